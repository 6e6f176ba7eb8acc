//! The documents: served as they are printed, readable without scripts, and true of the sockets. What the
//! `OpenAPI` document says is held against a server by `scripts/api-test`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::socket::{GATEWAY, PHONE, Socket, TABLET, connect, facts, operated, paired};
use crate::support::{server, text};

#[tokio::test]
async fn documents_are_served_to_everybody() {
    let server = server().await;
    let openapi: Value =
        server.http.get(server.url("/openapi.json")).send().await.unwrap().json().await.unwrap();
    assert_eq!(openapi["openapi"], "3.1.0");
    let public = text(&openapi["servers"][0], "url");
    assert!(public.starts_with("http://localhost:"), "{public}");
    let openrpc: Value =
        server.http.get(server.url("/openrpc.json")).send().await.unwrap().json().await.unwrap();
    assert_eq!(openrpc["servers"][0]["url"], format!("{}/ws", public.replace("http://", "ws://")));

    let docs = server.http.get(server.url("/docs")).send().await.unwrap();
    let policy = docs.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("script-src"), "{policy}");
    let page = docs.text().await.unwrap();
    assert!(!page.contains("<script") && !page.contains("style="));
    let operations =
        openapi["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    for operation in operations {
        assert!(page.contains(&format!("id=\"{}\"", text(operation, "operationId"))), "{operation}");
    }
    for method in openrpc["methods"].as_array().unwrap() {
        assert!(page.contains(&format!("<code>{}</code>", text(method, "name"))), "{method}");
    }
}

/// Whether a value is what a schema says, and holds nothing of which the schema does not tell.
fn fits(value: &Value, schema: &Value, place: &str) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let said = &schema["type"];
    let known = said == kind || said.as_array().is_some_and(|kinds| kinds.iter().any(|one| one == kind));
    assert!(known, "{place} is {value}, not {said}");
    match value {
        Value::Array(items) => items.iter().for_each(|item| fits(item, &schema["items"], place)),
        Value::Object(fields) => {
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(fields.contains_key(name.as_str().unwrap()), "{place} lacks {name}");
            }
            for (name, value) in fields {
                let property = &schema["properties"][name];
                assert!(property.is_object(), "{place} has {name}, of which nothing is said");
                fits(value, property, &format!("{place}.{name}"));
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn methods_answer_as_the_document_says() {
    let server = operated().await;
    let document: Value =
        server.http.get(server.url("/openrpc.json")).send().await.unwrap().json().await.unwrap();
    let methods = document["methods"].as_array().unwrap().iter();
    let mut left: BTreeMap<&str, &Value> =
        methods.map(|method| (text(method, "name"), &method["result"]["schema"])).collect();
    let token = paired(&server, PHONE).await;
    let mut operator = connect(&server, Some(GATEWAY)).await;
    let mut tablet = connect(&server, None).await;
    let mut hold = async |socket: &mut Socket, name: &'static str, params: Value| -> Value {
        let result = socket.result(name, params).await;
        fits(&result, left.remove(name).unwrap(), name);
        result
    };

    let asked = hold(&mut tablet, "node.pair.request", facts(TABLET)).await;
    let code = json!({ "pairing_code": asked["pairing_code"], "device_id": TABLET });
    hold(&mut operator, "node.pair.list", json!({})).await;
    hold(&mut operator, "node.pair.approve", json!({ "device_id": TABLET })).await;
    hold(&mut tablet, "node.pair.confirm", code).await;
    let verify = json!({ "device_token": token, "device_id": PHONE });
    hold(&mut operator, "node.pair.verify", verify).await;
    hold(&mut operator, "node.pair.rename", json!({ "device_id": PHONE, "device_name": "Hall" })).await;
    hold(&mut operator, "node.pair.refresh", json!({ "device_id": PHONE })).await;
    hold(&mut operator, "node.pair.revoke", json!({ "device_id": TABLET })).await;
    hold(&mut operator, "node.pair.remove", json!({ "device_id": TABLET })).await;
    let mut again = connect(&server, None).await;
    again.request(TABLET).await;
    hold(&mut operator, "node.pair.reject", json!({ "device_id": TABLET })).await;
    assert_eq!(left, BTreeMap::new());
}
