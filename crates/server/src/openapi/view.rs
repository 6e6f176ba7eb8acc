//! The documents as they are served, and the page on which people read them. It has no script and loads
//! nothing from elsewhere: it stands beside the pages on which people approve.

use std::sync::{Arc, OnceLock};

use askama::Template;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use serde_json::Value;

use super::{document, rpc};
use crate::app::App;
use crate::pages::style_name;

fn own(app: &App) -> Value {
    document(&app.config.device.verification_path, app.public_url.issuer().trim_end_matches('/'))
}

fn sockets(app: &App) -> Value {
    rpc::document(&app.public_url.join("/ws").replacen("http", "ws", 1))
}

/// The documents of this server, made when somebody asks first: they are long, and change with its version.
#[derive(Debug, Default)]
pub struct Documents(OnceLock<Made>);

#[derive(Debug)]
struct Made {
    openapi: Bytes,
    openrpc: Bytes,
    page: Option<Bytes>,
}

fn made(app: &App) -> &Made {
    app.documents.0.get_or_init(|| {
        let (document, sockets) = (own(app), sockets(app));
        let page = DocsPage {
            base: app.public_url.base_path().to_owned(),
            style: style_name(),
            about: text(at(at(&document, "info"), "description")),
            version: text(at(at(&document, "info"), "version")),
            parts: parts(&document, &sockets),
        };
        let page = page.render().inspect_err(|error| tracing::error!(%error, "a page could not be written"));
        Made {
            openapi: document.to_string().into(),
            openrpc: sockets.to_string().into(),
            page: page.ok().map(Bytes::from),
        }
    })
}

fn json(document: &Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document.clone()).into_response()
}

pub async fn openapi(State(app): State<Arc<App>>) -> Response {
    json(&made(&app).openapi)
}

pub async fn openrpc(State(app): State<Arc<App>>) -> Response {
    json(&made(&app).openrpc)
}

pub async fn docs(State(app): State<Arc<App>>) -> Response {
    match made(&app).page.clone() {
        Some(page) => Html(page).into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Template)]
#[template(path = "docs.html")]
struct DocsPage {
    base: String,
    style: &'static str,
    about: String,
    version: String,
    parts: Vec<Part>,
}

struct Part {
    name: String,
    id: String,
    what: String,
    items: Vec<Item>,
}

/// A route, or a method of the socket door.
struct Item {
    id: String,
    verb: String,
    path: String,
    summary: String,
    details: String,
    who: &'static str,
    fields: Vec<Line>,
    answers: Vec<Line>,
}

struct Line {
    name: String,
    kind: String,
    needed: bool,
    what: String,
}

/// A field, or null.
fn at<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A schema in a word or two.
fn kind(schema: &Value) -> String {
    if let Some(name) = at(schema, "$ref").as_str() {
        return name.rsplit('/').next().unwrap_or_default().to_owned();
    }
    let one_of = |values: &[Value]| {
        let told = values.iter().map(text).filter(|value| !value.is_empty());
        told.collect::<Vec<_>>().join(" or ")
    };
    if let Some(values) = at(schema, "enum").as_array() {
        return one_of(values);
    }
    match at(schema, "type") {
        Value::String(kind) if kind == "array" => format!("list of {}", kind_of_items(schema)),
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => one_of(kinds),
        _ => match at(schema, "anyOf").as_array() {
            // An empty text counts as none, which needs no words.
            Some(kinds) => {
                let told = kinds.iter().filter(|schema| at(schema, "maxLength") != &Value::from(0));
                let mut told: Vec<String> = told.map(kind).collect();
                told.dedup();
                told.join(" or ")
            }
            None => "any".to_owned(),
        },
    }
}

fn kind_of_items(schema: &Value) -> String {
    kind(at(schema, "items"))
}

/// What stands there, or what is referred to.
fn followed<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match at(value, "$ref").as_str() {
        Some(place) => document.pointer(place.trim_start_matches('#')).unwrap_or(&Value::Null),
        None => value,
    }
}

/// The properties of an object.
fn properties(document: &Value, schema: &Value) -> Vec<Line> {
    let schema = followed(document, schema);
    let needed = |name: &str| {
        at(schema, "required").as_array().is_some_and(|required| required.iter().any(|known| known == name))
    };
    let fields = at(schema, "properties").as_object().into_iter().flatten();
    fields
        .map(|(name, schema)| Line {
            name: name.clone(),
            kind: kind(schema),
            needed: needed(name),
            what: text(at(schema, "description")),
        })
        .collect()
}

fn who(operation: &Value) -> &'static str {
    let asked = at(operation, "security").as_array().map_or(&[][..], Vec::as_slice);
    let is = |name: &str| asked.iter().any(|one| one.get(name).is_some());
    match (is("client"), is("bearer"), is("session")) {
        (true, true, _) => "a client, or a bearer",
        (true, false, _) => "a client",
        (false, true, true) => "a bearer, or a session with X-CSRF-Token",
        (false, true, false) => "a bearer",
        (false, false, true) => "a signed-in browser",
        (false, false, false) => "anybody",
    }
}

fn route(document: &Value, path: &str, verb: &str, operation: &Value) -> Item {
    let parameter = |one: &Value| Line {
        name: text(at(one, "name")),
        kind: format!("{}, {}", text(at(one, "in")), kind(at(one, "schema"))),
        needed: *at(one, "required") == Value::Bool(true),
        what: text(at(one, "description")),
    };
    let mut fields: Vec<Line> =
        at(operation, "parameters").as_array().into_iter().flatten().map(parameter).collect();
    for (_, content) in at(at(operation, "requestBody"), "content").as_object().into_iter().flatten() {
        fields.extend(properties(document, at(content, "schema")));
    }
    let answer = |(status, answer): (&String, &Value)| {
        let answer = followed(document, answer);
        let content = at(answer, "content").as_object().into_iter().flatten().next();
        Line {
            name: status.clone(),
            kind: content
                .map(|(kind_of, content)| format!("{kind_of}, {}", kind(at(content, "schema"))))
                .unwrap_or_default(),
            needed: false,
            what: text(at(answer, "description")),
        }
    };
    Item {
        id: text(at(operation, "operationId")),
        verb: verb.to_ascii_uppercase(),
        path: path.to_owned(),
        summary: text(at(operation, "summary")),
        details: text(at(operation, "description")),
        who: who(operation),
        fields,
        answers: at(operation, "responses").as_object().into_iter().flatten().map(answer).collect(),
    }
}

fn method(document: &Value, method: &Value) -> Item {
    let parameter = |one: &Value| Line {
        name: text(at(one, "name")),
        kind: kind(at(one, "schema")),
        needed: *at(one, "required") == Value::Bool(true),
        what: text(at(one, "description")),
    };
    let mut answers = properties(document, at(at(method, "result"), "schema"));
    for line in &mut answers {
        line.needed = false;
    }
    Item {
        id: text(at(method, "name")),
        verb: "CALL".to_owned(),
        path: text(at(method, "name")),
        summary: text(at(method, "description")),
        details: String::new(),
        who: "whoever has the socket, as it says",
        fields: at(method, "params").as_array().into_iter().flatten().map(parameter).collect(),
        answers,
    }
}

fn parts(document: &Value, sockets: &Value) -> Vec<Part> {
    let part = |tag: &Value| {
        let name = text(at(tag, "name"));
        let mut items = Vec::new();
        for (path, operations) in at(document, "paths").as_object().into_iter().flatten() {
            for (verb, operation) in operations.as_object().into_iter().flatten() {
                if at(operation, "tags").get(0) == tag.get("name") {
                    items.push(route(document, path, verb, operation));
                }
            }
        }
        if name == rpc::TAG {
            items.extend(
                at(sockets, "methods").as_array().into_iter().flatten().map(|one| method(sockets, one)),
            );
        }
        Part { id: name.to_lowercase(), what: text(at(tag, "description")), name, items }
    };
    at(document, "tags").as_array().into_iter().flatten().map(part).collect()
}
