//! The OAuth door.

use axum::http::Method;
use countersign_core::wire::{DeviceAuthorization, ErrorBody, TokenResponse};
use serde_json::{Value, json};

use super::operation::{Failure, Field, JSON, Operation, Part, may, must, written};
use crate::flow::register::Metadata;

pub const TAG: &str = "OAuth";
const PART: Part = Part { tag: TAG, failure: Failure { content_type: JSON, schema: written::<ErrorBody> } };

/// What a client shows beside the rest of a form, unless it shows it in the head.
fn client(fields: Vec<Field>) -> Vec<Field> {
    let own = [
        may("client_id", "The client; needed unless the head or client_assertion names it"),
        may("client_secret", "Its secret, of a client that may send it so"),
        may("client_assertion", "A JWT that the client signed (RFC 7523 §2.2), good once"),
        may("client_assertion_type", "Beside it: urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
    ];
    fields.into_iter().chain(own).collect()
}

fn resource() -> Field {
    may("resource", "What the tokens are for (RFC 8707); it may come several times")
        .of(json!({ "type": "array", "items": { "type": "string", "format": "uri" } }))
}

fn scope() -> Field {
    may("scope", "Separated by spaces; what the client may have unless said")
}

/// What is asked of the person, whichever way the question comes.
fn question() -> Vec<Field> {
    vec![
        scope(),
        resource(),
        may("nonce", "Comes back in the ID token"),
        may("max_age", "Seconds since the person signed in, at most")
            .of(json!({ "type": "string", "pattern": "^[0-9]{1,9}$" })),
        may("prompt", "login: the person signs in anew"),
        may("acr_values", "urn:countersign:acr:mfa: with a second factor"),
        may("login_hint", "Who is expected; fills in the name"),
        may("dpop_jkt", "The thumbprint of the key that the tokens will be bound to (RFC 9449 §10)"),
    ]
}

fn authorization() -> Vec<Field> {
    let mut fields = vec![
        may("response_type", "code"),
        may("redirect_uri", "One that is registered; any port of 127.0.0.1, [::1] and localhost"),
        may("state", "Comes back as it is"),
        may("code_challenge", "S256 of the verifier (RFC 7636); needed"),
        may("code_challenge_method", "S256"),
        may("response_mode", "query"),
    ];
    fields.extend(question());
    fields
}

fn browser() -> Vec<Field> {
    let mut fields = vec![
        may("client_id", "The client"),
        may("request_uri", "What the pushed request was answered (RFC 9126)"),
    ];
    fields.extend(authorization());
    fields
}

fn logout() -> Vec<Field> {
    vec![
        may("id_token_hint", "An ID token of the client"),
        may("client_id", "The client, without a hint"),
        may("post_logout_redirect_uri", "One that is registered"),
        may("state", "Comes back as it is"),
    ]
}

const LOCATION: (&str, &str) = ("Location", "Where to go on");

fn token() -> Operation {
    let grants = [
        "urn:ietf:params:oauth:grant-type:device_code",
        "refresh_token",
        "authorization_code",
        "client_credentials",
    ];
    let fields = vec![
        must("grant_type", "Which grant").of(json!({ "type": "string", "enum": grants })),
        may("device_code", "Of the device grant"),
        may("initiation_pin", "The two digits that the browser shows, where the policy wants them")
            .of(json!({ "type": "string", "pattern": "^[0-9]{2}$" })),
        may("refresh_token", "The newest one"),
        may("code", "Of the authorization code grant"),
        may("code_verifier", "Beside code"),
        may("redirect_uri", "Beside code, as it was asked with"),
        scope(),
        resource(),
    ];
    PART.post("/oauth2/v1/token", "token", "Tokens for a grant; devices poll here")
        .details(
            "authorization_pending: poll again after `interval`; slow_down: from now on after the interval \
             that stands there; access_denied and expired_token: ask anew. A refresh token is good once: the \
             answer brings its successor.",
        )
        .header(may("DPoP", "A proof of possession (RFC 9449): the tokens are bound to its key"))
        .form(client(fields))
        .gives::<TokenResponse>(200, "Tokens")
        .errors(&[400, 401])
}

fn introspection() -> Value {
    json!({
        "type": "object",
        "properties": {
            "active": { "type": "boolean", "description": "Whether it is good; if not, nothing else is said" },
            "token_type": {
                "type": "string",
                "enum": ["Bearer", "DPoP", "api_key", "device_token", "refresh_token"],
            },
            "iss": { "type": "string" },
            "sub": { "type": "string" },
            "username": { "type": ["string", "null"] },
            "client_id": { "type": "string" },
            "scope": { "type": "string" },
            "aud": { "type": ["string", "array"], "items": { "type": "string" } },
            "exp": { "type": "integer" },
            "iat": { "type": "integer" },
            "jti": { "type": "string" },
            "sid": { "type": "string", "description": "The login that it belongs to" },
            "cnf": { "type": "object", "properties": { "jkt": { "type": "string" } } },
            "device_id": { "type": "string" },
            "name": { "type": "string" },
        },
        "required": ["active"],
    })
}

fn claims() -> Value {
    json!({
        "type": "object",
        "properties": {
            "sub": { "type": "string" },
            "preferred_username": { "type": "string", "description": "With the scope profile" },
            "name": { "type": "string" },
            "email": { "type": "string", "description": "With the scope email" },
            "email_verified": { "type": "boolean" },
        },
        "required": ["sub"],
    })
}

fn jwks() -> Value {
    json!({
        "type": "object",
        "properties": { "keys": { "type": "array", "items": { "type": "object" } } },
        "required": ["keys"],
    })
}

fn discovery() -> Value {
    json!({
        "type": "object",
        "properties": {
            "issuer": { "type": "string", "format": "uri" },
            "token_endpoint": { "type": "string", "format": "uri" },
            "jwks_uri": { "type": "string", "format": "uri" },
            "device_authorization_endpoint": { "type": "string", "format": "uri" },
        },
        "required": ["issuer", "token_endpoint", "jwks_uri", "device_authorization_endpoint"],
    })
}

/// RFC 7591 §3.2.1.
fn registered() -> Value {
    json!({
        "type": "object",
        "properties": {
            "client_id": { "type": "string" },
            "client_id_issued_at": { "type": "integer" },
            "client_name": { "type": "string" },
            "client_secret": { "type": "string", "description": "Shown this once" },
            "client_secret_expires_at": { "type": "integer", "description": "0: never" },
            "registration_access_token": { "type": "string", "description": "Shown this once" },
            "registration_client_uri": { "type": "string", "format": "uri" },
            "redirect_uris": { "type": "array", "items": { "type": "string" } },
            "post_logout_redirect_uris": { "type": "array", "items": { "type": "string" } },
            "grant_types": { "type": "array", "items": { "type": "string" } },
            "response_types": { "type": "array", "items": { "type": "string" } },
            "token_endpoint_auth_method": { "type": "string" },
            "scope": { "type": "string" },
            "jwks": { "type": "object" },
            "id_token_signed_response_alg": { "type": "string" },
            "dpop_bound_access_tokens": { "type": "boolean" },
            "require_pushed_authorization_requests": { "type": "boolean" },
        },
        "required": ["client_id", "client_name", "registration_client_uri", "token_endpoint_auth_method"],
    })
}

fn registration() -> [Operation; 4] {
    const OWN: &str = "/oauth2/v1/register/{id}";
    const OFF: &str = "Without registration.initial_access_token in the configuration it is 404.";
    [
        PART.post("/oauth2/v1/register", "registerClient", "A client registers itself (RFC 7591)")
            .details(OFF)
            .json::<Metadata>()
            .gives_json(201, "The client; secret and registration_access_token this once", registered())
            .errors(&[400, 401, 404, 429]),
        PART.get(OWN, "readRegistration", "What a client registered (RFC 7592)")
            .at("id", "The client's id")
            .gives_json(200, "The client", registered())
            .errors(&[401, 404]),
        PART.route(Method::PUT, OWN, "changeRegistration", "A client changes what it registered")
            .at("id", "The client's id")
            .json::<Metadata>()
            .gives_json(200, "The client", registered())
            .errors(&[400, 401, 404]),
        PART.delete(OWN, "removeRegistration", "A client removes itself")
            .at("id", "The client's id")
            .gives_nothing(204, "It is gone, with everything that it was granted")
            .errors(&[401, 404]),
    ]
}

fn in_browser() -> [Operation; 4] {
    const AUTHORIZE: &str = "/oauth2/v1/authorize";
    const LEAVE: &str = "/oauth2/v1/end_session";
    const ON: &str =
        "On to sign-in and confirm pages, back to the client with an error, or to a page that says why not";
    const OUT: &str = "On to a page that asks whether to sign out";
    [
        PART.get(AUTHORIZE, "authorize", "A browser asks for an authorization code (RFC 6749 §4.1, PKCE)")
            .query(browser())
            .gives_nothing(303, ON)
            .with(LOCATION.0, LOCATION.1)
            .errors(&[400]),
        PART.post(AUTHORIZE, "authorizeByForm", "The same, by a form")
            .form(browser())
            .gives_nothing(303, ON)
            .with(LOCATION.0, LOCATION.1)
            .errors(&[400]),
        PART.get(LEAVE, "endSession", "A client has the browser signed out (RP-Initiated Logout)")
            .query(logout())
            .gives_nothing(303, OUT)
            .with(LOCATION.0, LOCATION.1)
            .errors(&[400]),
        PART.post(LEAVE, "endSessionByForm", "The same, by a form")
            .form(logout())
            .gives_nothing(303, OUT)
            .with(LOCATION.0, LOCATION.1)
            .errors(&[400]),
    ]
}

fn published() -> [Operation; 4] {
    let keys = |path, id| {
        PART.get(path, id, "The keys that signatures are checked with").gives_json(
            200,
            "A JSON Web Key Set",
            jwks(),
        )
    };
    let about = |path, id| {
        PART.get(path, id, "What works here, and where").gives_json(200, "The metadata", discovery())
    };
    [
        about("/.well-known/openid-configuration", "discovery"),
        about("/.well-known/oauth-authorization-server", "oauthDiscovery"),
        keys("/.well-known/jwks.json", "wellKnownKeys"),
        keys("/oauth2/v1/jwks", "keys"),
    ]
}

pub fn operations() -> Vec<Operation> {
    let mut all = vec![
        PART.post(
            "/oauth2/v1/device_authorization",
            "askForDevice",
            "A device asks for a code to show (RFC 8628 §3.1)",
        )
        .form(client(question()))
        .gives::<DeviceAuthorization>(200, "A code to show, and one to poll with")
        .errors(&[400, 401, 429]),
        token(),
        PART.post("/oauth2/v1/introspect", "introspect", "What a token is good for (RFC 7662)")
            .details("A confidential client asks, or a bearer of the scope introspect.")
            .form(client(vec![
                must("token", "An access, refresh or device token, or an API key"),
                may("token_type_hint", "Not needed"),
                may("device_id", "Of an imported device that shows its token for the first time"),
            ]))
            .gives_json(200, "What it says", introspection())
            .errors(&[400, 401, 403]),
        PART.post("/oauth2/v1/revoke", "revokeToken", "Ends a token of the client (RFC 7009)")
            .form(client(vec![
                must("token", "An access or refresh token; of a refresh token the whole login ends"),
                may("token_type_hint", "Not needed"),
            ]))
            .gives_nothing(200, "It is not good, whether or not it ever was")
            .errors(&[400, 401]),
        PART.post("/oauth2/v1/par", "pushRequest", "A client pushes what a browser will ask (RFC 9126)")
            .header(may("DPoP", "A proof: the code will be bound to its key"))
            .form(client(authorization()))
            .gives_json(
                201,
                "What stands for it",
                json!({
                    "type": "object",
                    "properties": {
                        "request_uri": { "type": "string" },
                        "expires_in": { "type": "integer", "description": "Seconds" },
                    },
                    "required": ["request_uri", "expires_in"],
                }),
            )
            .errors(&[400, 401, 429]),
        PART.get("/oauth2/v1/userinfo", "userinfo", "Who somebody is (OpenID Connect Core §5.3)")
            .gives_json(200, "The claims of its scopes", claims())
            .errors(&[400, 401, 403]),
        PART.post("/oauth2/v1/userinfo", "userinfoByPost", "The same")
            .gives_json(200, "The claims of its scopes", claims())
            .errors(&[400, 401, 403]),
    ];
    all.extend(registration());
    all.extend(in_browser());
    all.extend(published());
    all
}
