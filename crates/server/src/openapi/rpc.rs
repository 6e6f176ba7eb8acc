//! The socket door: the upgrade, and its methods as an `OpenRPC` document.

use serde_json::{Value, json};

use super::operation::{Failure, Field, JSON, Operation, Part, may, must, object};
use crate::ws::rpc::version;

pub const TAG: &str = "Sockets";
const PART: Part = Part {
    tag: TAG,
    failure: Failure {
        content_type: JSON,
        schema: |_| object(&[must("error", "A code"), must("error_description", "What to do")]),
    },
};

pub fn operations() -> Vec<Operation> {
    vec![
        PART.get("/ws", "openSocket", "Opens a WebSocket that speaks JSON-RPC 2.0")
            .header(may("Authorization", "Bearer or DeviceToken, with a device token, a token of the configuration or an access token; nothing to pair"))
            .header(may("X-Aisopod-Protocol-Version", "The version that the client speaks"))
            .gives_nothing(101, "The socket is open; system.welcome comes first")
            .errors(&[400, 401, 403, 426, 429]),
    ]
}

struct Method {
    name: &'static str,
    what: &'static str,
    params: Vec<Field>,
    result: Value,
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

fn texts() -> Value {
    json!({ "type": "array", "items": { "type": "string" } })
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn node() -> Field {
    must("device_id", "The device's own UUID").of(json!({ "type": "string", "format": "uuid" }))
}

fn maybe_node() -> Field {
    may("device_id", "The device's own UUID").of(json!({ "type": ["string", "null"] }))
}

fn code() -> Value {
    json!({ "type": "string", "pattern": "^[0-9]{6}$" })
}

fn paired() -> Vec<Field> {
    vec![
        node(),
        must("device_name", "What people call it"),
        must("device_type", "ios, android, desktop, server or another that is known"),
        must("client_version", "As it says"),
        must("owner", "The user's name; null where nobody owns it").of(json!({ "type": ["string", "null"] })),
        must("scopes", "What it may").of(texts()),
        must("paired_at", "When").of(time()),
        must("last_used", "When").of(json!({ "type": ["string", "null"] })),
        must("online", "Whether a socket of it is open on this node").of(flag()),
        must("revoked", "Whether it is over").of(flag()),
    ]
}

fn waiting() -> Vec<Field> {
    vec![
        node(),
        must("device_name", "What it calls itself"),
        must("device_type", "Its kind"),
        must("client_version", "As it says"),
        must("requested_at", "When").of(time()),
        must("expires_at", "When").of(time()),
        may("address", "Where it asked from"),
    ]
}

fn decision(word: &'static str) -> Value {
    object(&[
        must(word, "Done").of(flag()),
        node(),
        may("initiation_pin", "Two digits to type on the device, where the policy wants that"),
    ])
}

fn methods() -> Vec<Method> {
    let chosen = || vec![may("pairing_code", "As the device shows it").of(code()), maybe_node()];
    vec![
        Method {
            name: "node.pair.request",
            what: "Asks; anybody may. A new request of the same device ends its older one.",
            params: vec![
                must("device_name", "1 to 100 visible characters"),
                must("device_type", "Its kind"),
                must("client_version", "1 to 100 visible characters"),
                node(),
            ],
            result: object(&[
                must("pairing_code", "Six digits to show").of(code()),
                must("expires_at", "When it ends").of(time()),
                must("expires_in", "Seconds").of(json!({ "type": "integer" })),
                must("verification_uri", "Where a person types it"),
            ]),
        },
        Method {
            name: "node.pair.confirm",
            what: "Collects, once, after somebody approved. Until then -32003 with status pending and the \
                seconds to wait.",
            params: vec![
                must("pairing_code", "As it was given").of(code()),
                node(),
                may("initiation_pin", "The two digits that the browser shows, where the policy wants them"),
            ],
            result: object(&[
                must("device_token", "Shown this once"),
                must("paired_at", "When").of(time()),
                must("scopes", "What it may").of(texts()),
            ]),
        },
        Method {
            name: "node.pair.approve",
            what: "An operator, or a person where the policy allows it, approves; by code or by device.",
            params: chosen(),
            result: decision("approved"),
        },
        Method {
            name: "node.pair.reject",
            what: "The opposite.",
            params: chosen(),
            result: decision("rejected"),
        },
        Method {
            name: "node.pair.revoke",
            what: "Ends a device's token and closes its sockets.",
            params: vec![node()],
            result: object(&[must("revoked", "Whether there was one").of(flag())]),
        },
        Method {
            name: "node.pair.list",
            what: "What waits (for operators; never its code), and what is paired: a device sees itself, a \
                person theirs, operators all.",
            params: Vec::new(),
            result: object(&[
                must("pending", "What waits").of(json!({ "type": "array", "items": object(&waiting()) })),
                must("paired", "What is paired").of(json!({ "type": "array", "items": object(&paired()) })),
            ]),
        },
        Method {
            name: "node.pair.refresh",
            what: "A new token; the old one ends.",
            params: vec![maybe_node()],
            result: object(&[
                must("device_token", "Shown this once"),
                node(),
                must("scopes", "What it may").of(texts()),
                may("expires_at", "Where pairing.token_ttl is set").of(time()),
            ]),
        },
        Method {
            name: "node.pair.rename",
            what: "Gives a device another name.",
            params: vec![node(), must("device_name", "1 to 100 visible characters")],
            result: object(&[node(), must("device_name", "The name")]),
        },
        Method {
            name: "node.pair.remove",
            what: "Forgets a device.",
            params: vec![node()],
            result: object(&[must("removed", "Whether there was one").of(flag())]),
        },
        Method {
            name: "node.pair.verify",
            what: "Whether a device token is good, and whose; for those who have operator.read.",
            params: vec![must("device_token", "The token"), maybe_node()],
            result: object(&[
                must("ok", "Whether it is good").of(flag()),
                may("device", "Which device").of(object(&paired())),
            ]),
        },
    ]
}

/// What comes without being asked for.
const HEARD: [(&str, &str); 3] = [
    ("system.welcome", "The first frame of every socket: versions, and who the socket is."),
    ("node.pair.requested", "For operators: somebody asks."),
    ("node.pair.resolved", "For operators and whoever asked: what became of it."),
];

fn errors() -> Value {
    let all = [
        (-32700, "Parse error"),
        (-32600, "Invalid Request"),
        (-32601, "Method not found"),
        (-32602, "Missing or invalid parameters"),
        (-32603, "Internal error, or not available for the moment"),
        (-32001, "Unauthorized"),
        (-32002, "Too many requests: data.retry_after seconds"),
        (-32003, "Pairing: the message says what"),
        (-32010, "Protocol version mismatch"),
    ];
    all.iter().map(|(code, message)| json!({ "code": code, "message": message })).collect()
}

/// Of a server whose sockets are opened here.
pub fn document(url: &str) -> Value {
    let shown = |method: Method| {
        let params: Vec<Value> = method
            .params
            .iter()
            .map(|field| {
                json!({
                    "name": field.name, "description": field.what,
                    "required": field.required, "schema": field.schema,
                })
            })
            .collect();
        json!({
            "name": method.name,
            "description": method.what,
            "paramStructure": "by-name",
            "params": params,
            "result": { "name": "result", "schema": method.result },
            "errors": errors(),
        })
    };
    let heard: Vec<Value> =
        HEARD.iter().map(|(name, what)| json!({ "name": name, "description": what })).collect();
    json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "Countersign, socket door",
            "version": version(),
            "description": "JSON-RPC 2.0 over a WebSocket; one object or one batch of up to 100 in a text frame.",
        },
        "servers": [{ "name": "socket", "url": url }],
        "methods": methods().into_iter().map(shown).collect::<Vec<_>>(),
        "x-notifications": heard,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::NAMES;

    #[test]
    fn every_method_is_described() {
        let words: Vec<&str> = methods().iter().map(|method| method.name).collect();
        let mut names = NAMES.to_vec();
        names.sort_unstable();
        let mut sorted = words.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, names);
    }
}
