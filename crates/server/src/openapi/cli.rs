//! The CLI door.

use serde_json::{Value, json};

use super::operation::{Failure, Field, JSON, Operation, Part, may, must, written};
use crate::api::answers::{
    Approved, Codes, Collected, Connected, DashboardCode, Failure as Wrong, KeyAsDevice, Keys, MadeKey,
    RevokedKey, Said,
};

pub const TAG: &str = "CLI";
const PART: Part = Part { tag: TAG, failure: Failure { content_type: JSON, schema: written::<Wrong> } };

/// A text that may be null or left out.
fn text(name: &'static str, what: &'static str) -> Field {
    may(name, what).of(json!({ "type": ["string", "null"], "maxLength": 2048 }))
}

fn needed(name: &'static str, what: &'static str) -> Field {
    must(name, what).of(json!({ "type": "string", "maxLength": 2048 }))
}

fn scopes() -> Field {
    may("scopes", "A list, or a text with spaces between")
        .of(json!({ "type": ["array", "string", "null"], "items": { "type": "string" } }))
}

fn number(name: &'static str, what: &'static str, from: u64, to: u64) -> Field {
    may(name, what).of(json!({ "type": ["integer", "null"], "minimum": from, "maximum": to }))
}

fn me() -> Value {
    json!({
        "type": "object",
        "properties": {
            "user": {
                "type": "object",
                "properties": {
                    "id": { "type": "string" },
                    "username": { "type": ["string", "null"] },
                    "email": { "type": ["string", "null"] },
                    "full_name": { "type": ["string", "null"] },
                    "tier": { "type": "string" },
                    "created_at": { "type": "string", "format": "date-time" },
                },
                "required": ["id", "username", "email", "full_name", "tier", "created_at"],
            },
            "credential": {
                "type": "object",
                "properties": {
                    "type": {
                        "type": "string",
                        "enum": ["session", "access_token", "trusted_issuer", "device_token", "api_key"],
                    },
                    "door": { "type": "string", "enum": ["oauth", "cli", "socket"] },
                    "id": { "type": "string" },
                    "device_id": { "type": "string" },
                    "name": { "type": "string" },
                    "client": { "type": ["string", "null"] },
                    "issuer": { "type": "string" },
                    "subject": { "type": "string" },
                    "scopes": { "type": "array", "items": { "type": "string" } },
                    "expires_at": { "type": ["string", "null"] },
                },
                "required": ["type"],
            },
        },
        "required": ["user", "credential"],
    })
}

fn codes() -> [Operation; 5] {
    [
        PART.post("/v1/auth/device", "askForKey", "A command line asks for a code to show")
            .fields(vec![
                text("name", "What people will know the key by: 1 to 100 visible characters"),
                scopes(),
                text("client_id", "A public client, which limits the scopes"),
            ])
            .gives::<Codes>(200, "A code to show, and one to poll with")
            .errors(&[400, 415, 422, 429]),
        PART.post("/v1/auth/device/token", "collectKey", "It polls, and collects its key once")
            .details(
                "400 with authorization_pending, slow_down, expired_token, access_denied or invalid_grant.",
            )
            .fields(vec![
                needed("device_code", "What it was given to poll with"),
                text("initiation_pin", "The two digits that the browser shows, where the policy wants them"),
            ])
            .gives::<Collected>(200, "The API key, shown this once")
            .errors(&[400, 404, 415, 422]),
        PART.post("/v1/auth/device/authorize", "approveKey", "A signed-in person approves, for other pages")
            .fields(vec![
                needed("user_code", "As the command line shows it"),
                text("stack_user_id", "Who the caller says to be; refused if it is somebody else"),
                text("email", "Not used"),
                text("full_name", "Not used"),
            ])
            .gives::<Approved>(200, "Approved")
            .errors(&[400, 401, 403, 404, 415, 422, 429]),
        PART.post("/v1/auth/dashboard-code", "makeDashboardCode", "A code to type into a command line")
            .fields(Vec::new())
            .gives::<DashboardCode>(200, "The code")
            .errors(&[400, 401, 403, 415, 422, 429]),
        PART.post("/v1/auth/cli-verify", "collectWithCode", "A command line collects with such a code, once")
            .fields(vec![needed("cli_code", "As it was typed")])
            .gives::<Collected>(200, "The API key, shown this once")
            .errors(&[400, 404, 415, 422, 429]),
    ]
}

fn keys() -> [Operation; 7] {
    const ONE: &str = "/v1/auth/api-keys/{id}";
    [
        PART.get(
            "/v1/auth/devices",
            "listKeysAsDevices",
            "The caller's API keys, as published clients list them",
        )
        .gives::<Vec<KeyAsDevice>>(200, "The keys")
        .errors(&[400, 401, 403]),
        PART.delete("/v1/auth/devices/{id}", "revokeKeyAsDevice", "Revokes one; a key only itself")
            .at("id", "The key's id")
            .gives_nothing(204, "It is revoked")
            .errors(&[400, 401, 403, 404]),
        PART.get("/v1/auth/api-keys", "listKeys", "The caller's API keys")
            .gives::<Keys>(200, "The keys")
            .errors(&[400, 401, 403]),
        PART.post("/v1/auth/api-keys", "makeKey", "Makes a key")
            .fields(vec![
                must("name", "1 to 100 visible characters").of(json!({ "type": "string", "minLength": 1 })),
                scopes(),
                number("expires_days", "Days until it ends; cli.key_ttl unless said", 1, 3650),
            ])
            .gives::<MadeKey>(201, "The key, shown this once")
            .errors(&[400, 401, 403, 415, 422, 429]),
        PART.delete(ONE, "revokeKey", "Revokes one; a key only itself")
            .at("id", "The key's id")
            .gives::<RevokedKey>(200, "It is revoked")
            .errors(&[400, 401, 403, 404]),
        PART.post(
            "/v1/auth/api-keys/{id}/rotate",
            "rotateKey",
            "Its one successor, with the same name and scopes",
        )
        .at("id", "The key's id")
        .fields(vec![
            number("overlap_seconds", "How long the old one goes on; a day unless said", 0, 2_592_000),
            number("expires_days", "Days until the new one ends", 1, 3650),
        ])
        .gives::<MadeKey>(201, "The new key, shown this once")
        .errors(&[400, 401, 403, 404, 409, 415, 422, 429]),
        PART.post("/v1/auth/api-keys/report", "reportKey", "Revokes a key that was found somewhere")
            .details("Everybody hears the same, whether or not there is such a key.")
            .fields(vec![needed("api_key", "The key, whole")])
            .gives::<Said>(200, "Thanks")
            .errors(&[400, 415, 422, 429]),
    ]
}

pub fn operations() -> Vec<Operation> {
    let others = [
        PART.get("/v1/auth/me", "me", "Whose credential this is, and what it may")
            .gives_json(200, "The person and the credential", me())
            .errors(&[400, 401, 403]),
        PART.get("/v1/devices", "listDevices", "Everything that the caller ever connected, of all doors")
            .gives::<Vec<Connected>>(200, "The devices")
            .errors(&[400, 401, 403]),
        PART.delete("/v1/devices/{id}", "revokeDevice", "Disconnects one")
            .at("id", "The device's id")
            .gives_nothing(204, "It is disconnected")
            .errors(&[400, 401, 403, 404]),
    ];
    codes().into_iter().chain(keys()).chain(others).collect()
}
