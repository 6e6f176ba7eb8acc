//! The administration in JSON.

use axum::http::Method;
use countersign_core::admin::{
    Assignment, AuditView, ClientChange, ClientView, DeviceView, Figures, Items, KeyView, MadePassword,
    NewClient, NewPassword, NewUser, NoticeView, Page, Problem, Rotation, SweepRequest, Swept, UserChange,
    UserView, Verdict,
};
use serde_json::json;

use super::operation::{Failure, Field, Operation, PROBLEM, Part, may, written};
use crate::flow::office::PAGE;

pub const TAG: &str = "Administration";
const PART: Part = Part { tag: TAG, failure: Failure { content_type: PROBLEM, schema: written::<Problem> } };

/// Of every route here.
const ALWAYS: &[u16] = &[400, 401, 403, 422];
/// Of routes with a body.
const BODY: &[u16] = &[409, 415];

fn page(mut fields: Vec<Field>) -> Vec<Field> {
    fields.push(may("cursor", "The `next` of the page before"));
    fields.push(
        may("limit", "Items of a page; 50 unless said")
            .of(json!({ "type": "integer", "minimum": 1, "maximum": PAGE })),
    );
    fields
}

fn list(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    PART.get(path, id, summary).errors(ALWAYS)
}

fn act(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    PART.post(path, id, summary)
        .header(
            may("Idempotency-Key", "With the same key it is done once, for a day")
                .of(json!({ "type": "string", "pattern": "^[!-~]{1,255}$" })),
        )
        .errors(ALWAYS)
        .errors(BODY)
}

/// Of something with a revision.
fn guarded(operation: Operation) -> Operation {
    operation
        .header(may("If-Match", "The ETag of what was looked at; 412 if somebody changed it since"))
        .errors(&[404, 412])
}

fn edit(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    guarded(PART.route(Method::PATCH, path, id, summary)).errors(ALWAYS).errors(&[409, 415])
}

fn remove(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    guarded(PART.delete(path, id, summary)).errors(ALWAYS)
}

const TAGGED: (&str, &str) = ("ETag", "What an edit names in If-Match");

fn clients() -> [Operation; 6] {
    const ALL: &str = "/admin/api/v1/clients";
    const ONE: &str = "/admin/api/v1/clients/{id}";
    const ID: &str = "The client's id";
    [
        list(ALL, "listClients", "Clients, by name or id")
            .query(page(vec![may("q", "Part of the id or name")]))
            .gives::<Page<ClientView>>(200, "A page"),
        act(ALL, "addClient", "Adds a client")
            .json::<NewClient>()
            .gives::<ClientView>(201, "The client, with its secret this once")
            .with(TAGGED.0, TAGGED.1),
        list(ONE, "getClient", "One client")
            .at("id", ID)
            .gives::<ClientView>(200, "The client")
            .with(TAGGED.0, TAGGED.1)
            .errors(&[404]),
        edit(ONE, "editClient", "Changes a client; what is not said stays")
            .at("id", ID)
            .json_or_nothing::<ClientChange>()
            .gives::<ClientView>(200, "The client")
            .with(TAGGED.0, TAGGED.1),
        remove(ONE, "removeClient", "Removes a client, and everything that it was ever granted")
            .at("id", ID)
            .gives_nothing(204, "It is gone"),
        guarded(act(
            "/admin/api/v1/clients/{id}/rotate-secret",
            "rotateSecret",
            "Gives a client a new secret",
        ))
        .at("id", ID)
        .json_or_nothing::<Rotation>()
        .gives::<ClientView>(200, "The client, with the new secret this once")
        .with(TAGGED.0, TAGGED.1),
    ]
}

fn users() -> Vec<Operation> {
    const ALL: &str = "/admin/api/v1/users";
    const ONE: &str = "/admin/api/v1/users/{id}";
    const ID: &str = "The user's name";
    let acts = [
        (
            "/admin/api/v1/users/{id}/disable",
            "disableUser",
            "Disables a user: every credential of theirs ends",
        ),
        ("/admin/api/v1/users/{id}/enable", "enableUser", "Lets a user sign in again"),
        ("/admin/api/v1/users/{id}/sign-out", "signOutUser", "Signs a user out of every browser"),
        (
            "/admin/api/v1/users/{id}/reset-factors",
            "resetFactors",
            "Takes away a user's second factors and passkeys, and signs them out",
        ),
    ];
    let mut all = vec![
        list(ALL, "listUsers", "Users, by name or e-mail address")
            .query(page(vec![may("q", "Part of the name or e-mail address")]))
            .gives::<Page<UserView>>(200, "A page"),
        act(ALL, "addUser", "Adds a user")
            .json::<NewUser>()
            .gives::<UserView>(201, "The user, with a password this once if one was made")
            .with(TAGGED.0, TAGGED.1),
        list(ONE, "getUser", "One user")
            .at("id", ID)
            .gives::<UserView>(200, "The user")
            .with(TAGGED.0, TAGGED.1)
            .errors(&[404]),
        edit(ONE, "editUser", "Changes a user; what is not said stays")
            .at("id", ID)
            .json_or_nothing::<UserChange>()
            .gives::<UserView>(200, "The user")
            .with(TAGGED.0, TAGGED.1),
        remove(ONE, "removeUser", "Removes a user, and everything that they connected")
            .at("id", ID)
            .gives_nothing(204, "They are gone")
            .errors(&[409]),
        guarded(act("/admin/api/v1/users/{id}/password", "setPassword", "Gives a user a new password"))
            .at("id", ID)
            .json_or_nothing::<NewPassword>()
            .gives::<MadePassword>(200, "The password, if one was made here")
            .gives_nothing(204, "The password that was sent is theirs"),
    ];
    all.extend(acts.map(|(path, id, summary)| {
        guarded(act(path, id, summary)).at("id", ID).fields(Vec::new()).gives_nothing(204, "Done")
    }));
    all
}

fn devices() -> [Operation; 4] {
    [
        list("/admin/api/v1/devices", "searchDevices", "Credentials of all doors")
            .query(page(vec![
                may("user", "The name of a user"),
                may("client", "The id of a client"),
                may("address", "The address that it asked from"),
                may("q", "Part of its name"),
                may("door", "The door").of(json!({ "type": "string", "enum": ["oauth", "cli", "socket"] })),
                may("status", "Only those that are good").of(json!({ "type": "string", "enum": ["active"] })),
            ]))
            .gives::<Page<DeviceView>>(200, "A page"),
        act(
            "/admin/api/v1/devices/revoke",
            "revokeDevices",
            "Disconnects everything that fits, and denies what waits",
        )
        .json_or_nothing::<SweepRequest>()
        .gives::<Swept>(200, "What was revoked"),
        PART.delete("/admin/api/v1/devices/{id}", "revokeAnyDevice", "Disconnects one")
            .at("id", "The device's id")
            .gives_nothing(204, "It is disconnected")
            .errors(ALWAYS)
            .errors(&[404]),
        act("/admin/api/v1/devices/{id}/assign", "assignDevice", "Gives a paired device to somebody")
            .at("id", "The device's id")
            .json::<Assignment>()
            .gives_nothing(204, "It is theirs")
            .errors(&[404]),
    ]
}

fn trail() -> Vec<Field> {
    vec![
        may("action", "Such as grant.approved, or grant for all of them"),
        may("user", "The name of a user"),
        may("client", "The id of a client"),
        may("device", "The id of a device"),
        may("address", "The address that it came from"),
        may("since", "RFC 3339: not before").of(json!({ "type": "string", "format": "date-time" })),
        may("until", "RFC 3339: before").of(json!({ "type": "string", "format": "date-time" })),
    ]
}

fn rest() -> [Operation; 8] {
    [
        list("/admin/api/v1/keys", "listSigningKeys", "The keys that sign")
            .gives::<Items<KeyView>>(200, "All of them"),
        act("/admin/api/v1/keys/rotate", "rotateSigningKeys", "The next keys sign from now on")
            .fields(Vec::new())
            .gives::<Items<KeyView>>(200, "All of them"),
        list("/admin/api/v1/audit", "listAudit", "The audit trail, the newest first")
            .query(page(trail()))
            .gives::<Page<AuditView>>(200, "A page"),
        list("/admin/api/v1/audit/export", "exportAudit", "All of it that fits, as lines of JSON")
            .query(trail())
            .gives_text(200, "One AuditView a line, the newest first", "application/x-ndjson"),
        list("/admin/api/v1/audit/verify", "verifyAudit", "Whether the trail is whole")
            .gives::<Verdict>(200, "The verdict"),
        list("/admin/api/v1/notices", "listNotices", "Notices that did not arrive, yet or for good")
            .gives::<Items<NoticeView>>(200, "Up to 200"),
        act("/admin/api/v1/notices/{id}/replay", "replayNotice", "Sends a notice again that was given up")
            .at("id", "The notice's id")
            .fields(Vec::new())
            .gives_nothing(204, "It will be tried again")
            .errors(&[404]),
        list("/admin/api/v1/figures", "figures", "What happened how often, on all servers together")
            .query(vec![
                may("days", "How many days back; 7 unless said")
                    .of(json!({ "type": "integer", "minimum": 1, "maximum": 90 })),
            ])
            .gives::<Figures>(200, "The figures"),
    ]
}

pub fn operations() -> Vec<Operation> {
    clients().into_iter().chain(users()).chain(devices()).chain(rest()).collect()
}
