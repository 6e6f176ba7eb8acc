//! What every route takes and gives: an `OpenAPI` 3.1 document, made from the table of routes and from the
//! types that are spoken, and an `OpenRPC` document of the socket door. Both can be read at `/docs`.

mod admin;
mod cli;
mod oauth;
mod operation;
mod pages;
mod rpc;
mod view;

use axum::http::Method;
use serde_json::{Map, Value, json};

use self::operation::{Operation, Schemas};
pub use self::rpc::document as rpc;
pub use self::view::{Documents, docs, openapi, openrpc};
use crate::router::{Access, Endpoint, table};

/// Parts of the document, in the order in which they are read.
const TAGS: [(&str, &str); 5] = [
    (oauth::TAG, "OAuth 2.0 with OpenID Connect: device grant, authorization code, tokens, registration."),
    (cli::TAG, "Login that ends in an API key, and what people do with their keys and devices."),
    (rpc::TAG, "JSON-RPC 2.0 over a WebSocket; its methods stand in the OpenRPC document."),
    (admin::TAG, "Administration in JSON: RFC 9457 problems, cursors, Idempotency-Key, If-Match."),
    (pages::TAG, "What people see in a browser. Forms carry the csrf_token of the page that they stand on."),
];

const ABOUT: &str = "Connects devices without a keyboard or browser to the people who own them. Every answer \
    has X-Request-Id. Bodies are at most 64 KiB and must arrive within 30 seconds; repeated parameters are \
    refused, but for resource. Times are RFC 3339 in UTC, or seconds where a number stands.";

/// Everything that is described, whether or not a route is there for it.
fn described(verification_path: &str) -> Vec<Operation> {
    let parts = [oauth::operations(), cli::operations(), rpc::operations(), admin::operations()];
    parts.into_iter().flatten().chain(pages::operations(verification_path)).collect()
}

/// The whole, for a server at this URL.
pub fn document(verification_path: &str, server: &str) -> Value {
    let mut schemas = Schemas::default();
    let mut paths: Map<String, Value> = Map::new();
    let all = described(verification_path);
    for endpoint in table(verification_path) {
        let Some(operation) = of(&all, &endpoint) else { continue };
        let shown = operation.json_of(endpoint.access, &mut schemas);
        let path = paths.entry(endpoint.path.clone()).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(endpoint.method.as_str().to_ascii_lowercase(), shown);
        }
    }
    let tags: Vec<Value> =
        TAGS.iter().map(|(name, what)| json!({ "name": name, "description": what })).collect();
    let mut components = schemas.components();
    if let Some(components) = components.as_object_mut() {
        components.insert("securitySchemes".to_owned(), schemes());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Countersign",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": server }],
        "tags": tags,
        "paths": paths,
        "components": components,
    })
}

fn of<'a>(all: &'a [Operation], endpoint: &Endpoint) -> Option<&'a Operation> {
    all.iter().find(|operation| operation.is(&endpoint.method, &endpoint.path))
}

/// How callers show who they are.
fn schemes() -> Value {
    json!({
        "client": {
            "type": "http", "scheme": "basic",
            "description": "An OAuth client's id and secret. They may stand in the form instead \
                (`client_id`, `client_secret`), or a signed `client_assertion` (RFC 7523).",
        },
        "bearer": {
            "type": "http", "scheme": "bearer",
            "description": "An access token, an API key or a device token, as the route says. A token that is \
                bound to a key comes as `Authorization: DPoP` with a proof (RFC 9449).",
        },
        "session": {
            "type": "apiKey", "in": "cookie", "name": "countersign",
            "description": "The cookie of a signed-in browser; `__Host-countersign` over https.",
        },
        "csrf": {
            "type": "apiKey", "in": "header", "name": "X-CSRF-Token",
            "description": "The csrf_token of a form of the same session.",
        },
    })
}

/// What a route asks of its caller.
fn security(access: Access) -> Value {
    match access {
        Access::Public | Access::Form => json!([]),
        Access::Client => json!([{ "client": [] }, {}]),
        Access::Bearer | Access::Administrator => json!([{ "bearer": [] }]),
        Access::ClientOrBearer => json!([{ "client": [] }, { "bearer": [] }, {}]),
        Access::Person | Access::PersonsForm => json!([{ "session": [] }]),
        Access::Caller | Access::Credential => json!([{ "bearer": [] }, { "session": [], "csrf": [] }]),
    }
}

/// Whether a body comes along.
fn has_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PATH: &str = "/device";

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let routes: BTreeSet<String> =
            table(PATH).iter().map(|endpoint| format!("{} {}", endpoint.method, endpoint.path)).collect();
        let all = described(PATH);
        let words: Vec<String> = all.iter().map(Operation::route).collect();
        assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len(), "described twice");
        assert_eq!(words.into_iter().collect::<BTreeSet<_>>(), routes);
        let ids: BTreeSet<&str> = all.iter().map(|operation| operation.id).collect();
        assert_eq!(ids.len(), all.len(), "two operations have one id");
    }

    /// Every `$ref` leads somewhere, and nothing lies there that nobody refers to.
    #[test]
    fn references_are_whole() {
        let document = document(PATH, "https://login.example.com");
        let mut referred = BTreeSet::new();
        let mut todo = vec![&document];
        while let Some(value) = todo.pop() {
            match value {
                Value::Object(fields) => {
                    referred.extend(fields.get("$ref").and_then(Value::as_str));
                    todo.extend(fields.values());
                }
                Value::Array(items) => todo.extend(items),
                _ => {}
            }
        }
        let named = |kind: &str| {
            let part = document["components"][kind].as_object().unwrap();
            part.keys().map(|name| format!("#/components/{kind}/{name}")).collect::<Vec<_>>()
        };
        let there: BTreeSet<String> = named("schemas").into_iter().chain(named("responses")).collect();
        assert_eq!(referred, there.iter().map(String::as_str).collect());
    }

    #[test]
    fn the_path_of_the_code_page_is_the_operators() {
        let document = document("/link", "/");
        assert!(document["paths"]["/link"]["post"].is_object() && document["paths"][PATH].is_null());
    }
}
