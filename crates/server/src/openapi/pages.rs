//! The pages: which forms there are, and what stands in them.

use super::operation::{Failure, Field, HTML, Operation, Part, may, must};

pub const TAG: &str = "Pages";
const PART: Part = Part {
    tag: TAG,
    failure: Failure { content_type: HTML, schema: |_| serde_json::json!({ "type": "string" }) },
};

/// A page that people read.
fn page(path: &str, id: &'static str, summary: &'static str, query: Vec<Field>) -> Operation {
    PART.get(path, id, summary)
        .query(query)
        .gives_text(200, "The page", HTML)
        .gives_nothing(303, "On to another page, to sign in first perhaps")
        .errors(&[400, 401, 403, 404, 422, 429])
}

/// A form of ours, from the page that it stands on.
fn form(path: &str, id: &'static str, summary: &'static str, mut fields: Vec<Field>) -> Operation {
    fields.insert(0, must("csrf_token", "Of the page that the form stands on"));
    PART.post(path, id, summary)
        .form(fields)
        .gives_text(200, "The page that follows", HTML)
        .gives_nothing(303, "On to another page")
        .errors(&[400, 401, 403, 404, 409, 412, 415, 422, 429])
}

fn signing_in() -> Vec<Operation> {
    let next = || {
        vec![
            may("next", "Where to go on: device, account, admin or authorize"),
            may("user_code", "A code to go on with"),
            may(
                "request",
                "A browser's question to go on with, or what follows `/admin` in the path of a page",
            ),
            may("again", "Sign in although somebody is signed in"),
        ]
    };
    vec![
        page("/login", "loginPage", "Sign in", next()),
        form(
            "/login",
            "signIn",
            "With name and password",
            vec![may("username", "The name"), may("password", "The password")],
        ),
        page("/login/second", "secondStepPage", "The second step", next()),
        form(
            "/login/second",
            "secondStep",
            "With a second factor",
            vec![may("totp", "Six digits, or a recovery code")],
        ),
        page("/login/passkey", "passkeyLoginPage", "Sign in with a passkey", next()),
        form(
            "/login/passkey",
            "passkeyLogin",
            "With what the passkey answered",
            vec![may("credential", "The answer, in JSON"), may("second", "As the second step")],
        ),
        page("/login/upstream/{id}", "upstream", "Off to an identity provider", next())
            .at("id", "The provider's id"),
        page("/login/upstream/{id}/callback", "upstreamCallback", "Back from there", Vec::new())
            .query(vec![
                may("code", "Of the provider"),
                may("state", "As it was sent"),
                may("error", "Or so"),
            ])
            .at("id", "The provider's id"),
        PART.get("/login/upstream/{id}/icon", "upstreamIcon", "The picture on its button")
            .at("id", "The provider's id")
            .gives_text(200, "The picture", "image/*")
            .errors(&[404]),
        page("/logout", "logoutPage", "Asks whether to sign out", Vec::new()).query(vec![
            may("client_id", "The client that asks"),
            may("post_logout_redirect_uri", "Where to go afterwards"),
            may("state", "Comes along"),
        ]),
        form("/logout", "logout", "Signs out", Vec::new()),
        page("/authorize", "authorizePage", "The confirm page of a browser's question", Vec::new())
            .query(vec![may("request", "The question"), may("refused", "Why nobody can be asked")]),
    ]
}

fn own(verification_path: &str) -> Vec<Operation> {
    vec![
        page("/", "home", "Leads to the page for codes", Vec::new()),
        page(
            verification_path,
            "devicePage",
            "The box for a code",
            vec![may("user_code", "Fills the box in, and submits nothing")],
        ),
        form(
            verification_path,
            "decide",
            "Enter a code, decide, undo",
            vec![
                may("user_code", "The code that a device shows"),
                may("ticket", "Of the confirm page"),
                may("decision", "approve or deny"),
                may("own_device", "yes: I have the device in front of me"),
                may("grant", "What is undone"),
                may("undo", "Undo"),
            ],
        ),
        page("/account", "accountPage", "Devices, sessions, password, factors", Vec::new()),
        form("/account", "changeAccount", "Changes to any of it", vec![may("action", "What is changed")]),
        page("/account/totp", "totpPage", "Set up an authenticator app", Vec::new()),
        form("/account/totp", "enrolTotp", "With its first code", vec![may("totp", "Six digits")]),
        page("/account/passkey", "passkeyPage", "Add a passkey", Vec::new()),
        form(
            "/account/passkey",
            "addPasskey",
            "With what it answered",
            vec![may("credential", "The answer, in JSON"), may("name", "What it is called")],
        ),
        page("/account/connect/{id}", "connectPage", "Shows a code for a command line again", Vec::new())
            .at("id", "The question's id"),
        page(
            "/revoke/{token}",
            "noticePage",
            "Asks whether to disconnect the device of a notice",
            Vec::new(),
        )
        .at("token", "Of the notice's link"),
        form("/revoke/{token}", "revokeByNotice", "Disconnects it", Vec::new())
            .at("token", "Of the notice's link"),
        form(
            "/language",
            "language",
            "Another language",
            vec![may("lang", "Such as de"), may("back", "The page to go on with")],
        ),
        PART.get("/assets/{name}", "asset", "Style, pictures, scripts")
            .at("name", "The file")
            .gives_text(200, "The file", "*/*")
            .errors(&[404]),
        PART.get("/openapi.json", "openapi", "This document").gives_json(
            200,
            "OpenAPI 3.1",
            serde_json::json!({ "type": "object", "required": ["openapi", "paths"] }),
        ),
        PART.get("/openrpc.json", "openrpc", "The methods of the socket door").gives_json(
            200,
            "OpenRPC 1.3",
            serde_json::json!({ "type": "object", "required": ["openrpc", "methods"] }),
        ),
        PART.get("/docs", "docs", "Both documents, to read").gives_text(200, "The page", HTML),
    ]
}

fn administration() -> Vec<Operation> {
    let search = |names: &[&'static str]| names.iter().map(|name| may(name, "Part of the search")).collect();
    let id = "Its id, or the user's name";
    vec![
        page("/admin", "adminOverview", "What is going on", vec![may("days", "1, 7 or 30")]),
        page("/admin/clients", "adminClients", "Clients", search(&["q", "cursor"])),
        page("/admin/clients/new", "adminNewClient", "Add a client", Vec::new()),
        form("/admin/clients/new", "adminAddClient", "Adds it", Vec::new()),
        page("/admin/clients/{id}", "adminClient", "One client", Vec::new()).at("id", id),
        form("/admin/clients/{id}", "adminChangeClient", "Changes it", Vec::new()).at("id", id),
        page("/admin/users", "adminUsers", "People", search(&["q", "cursor"])),
        page("/admin/users/new", "adminNewUser", "Add somebody", Vec::new()),
        form("/admin/users/new", "adminAddUser", "Adds them", Vec::new()),
        page("/admin/users/{id}", "adminUser", "One person", Vec::new()).at("id", id),
        form("/admin/users/{id}", "adminChangeUser", "Changes them", Vec::new()).at("id", id),
        page(
            "/admin/devices",
            "adminDevices",
            "Devices of all doors",
            search(&["q", "user", "client", "address", "door", "status", "cursor"]),
        ),
        form("/admin/devices", "adminRevoke", "Disconnects one, or all that fit", Vec::new()),
        page("/admin/keys", "adminKeys", "Signing keys", Vec::new()),
        form("/admin/keys", "adminRotate", "Rotates them", Vec::new()),
        page(
            "/admin/audit",
            "adminAudit",
            "The audit trail",
            search(&["action", "user", "client", "device", "address", "since", "until", "cursor"]),
        ),
        page(
            "/admin/audit/export",
            "adminExport",
            "All of it that fits",
            search(&["action", "user", "client", "device", "address", "since", "until"]),
        )
        .gives_text(200, "Lines of JSON", "application/x-ndjson"),
        page("/admin/notices", "adminNotices", "Notices that did not arrive", Vec::new()),
        form("/admin/notices", "adminReplay", "Sends one again", Vec::new()),
    ]
}

pub fn operations(verification_path: &str) -> Vec<Operation> {
    [signing_in(), own(verification_path), administration()].into_iter().flatten().collect()
}
