//! One route, described.

use std::collections::BTreeMap;

use axum::http::Method;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{has_body, security};
use crate::router::Access;

pub const FORM: &str = "application/x-www-form-urlencoded";
pub const JSON: &str = "application/json";
pub const HTML: &str = "text/html";
pub const PROBLEM: &str = "application/problem+json";

/// The types that are spoken, each by its name.
pub struct Schemas {
    out: SchemaGenerator,
    into: SchemaGenerator,
    requests: BTreeMap<String, Value>,
    /// What goes wrong, by part and status.
    failures: Map<String, Value>,
}

impl Default for Schemas {
    fn default() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        // What we are sent may lack what has a default; what we send does not.
        let mut into = settings().for_deserialize();
        into.inline_subschemas = true;
        Self {
            out: settings().for_serialize().into_generator(),
            into: into.into_generator(),
            requests: BTreeMap::new(),
            failures: Map::new(),
        }
    }
}

type Make = fn(&mut Schemas) -> Value;

/// As the server writes it.
pub fn written<T: JsonSchema>(schemas: &mut Schemas) -> Value {
    schemas.out.subschema_for::<T>().to_value()
}

/// As the server reads it.
pub fn read<T: JsonSchema>(schemas: &mut Schemas) -> Value {
    let name = T::schema_name().into_owned();
    let schema = schemas.into.root_schema_for::<T>().to_value();
    schemas.requests.insert(name.clone(), schema);
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

impl Schemas {
    /// What the operations refer to.
    pub fn components(mut self) -> Value {
        let mut all: Map<String, Value> = self.out.take_definitions(true);
        for (name, mut schema) in self.requests {
            if let Some(schema) = schema.as_object_mut() {
                schema.remove("title");
            }
            all.insert(name, schema);
        }
        json!({ "schemas": all, "responses": self.failures })
    }
}

/// One parameter of a query, a path, a form or the head.
#[derive(Clone, Debug)]
pub struct Field {
    pub name: &'static str,
    pub what: &'static str,
    pub required: bool,
    pub schema: Value,
}

pub fn may(name: &'static str, what: &'static str) -> Field {
    Field { name, what, required: false, schema: json!({ "type": "string" }) }
}

pub fn must(name: &'static str, what: &'static str) -> Field {
    Field { required: true, ..may(name, what) }
}

impl Field {
    pub fn of(self, schema: Value) -> Self {
        Self { schema, ..self }
    }

    /// Of a query or a form, where an empty value counts as none (RFC 6749 §3.1).
    fn or_empty(mut self) -> Self {
        if !self.required {
            empty_too(&mut self.schema);
        }
        self
    }

    fn property(&self) -> (String, Value) {
        let mut schema = self.schema.clone();
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".to_owned(), json!(self.what));
        }
        (self.name.to_owned(), schema)
    }

    fn parameter(&self, place: &str) -> Value {
        json!({
            "name": self.name, "in": place, "description": self.what,
            "required": self.required, "schema": self.schema,
        })
    }
}

fn empty_too(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    if let Some(items) = fields.get_mut("items") {
        empty_too(items);
    } else if let Some(Value::Array(values)) = fields.get_mut("enum") {
        values.push(json!(""));
    } else if ["format", "pattern"].iter().any(|word| fields.contains_key(*word))
        || fields.get("type").is_some_and(|kind| kind == "integer")
    {
        *schema = json!({ "anyOf": [schema, { "type": "string", "maxLength": 0 }] });
    }
}

/// An object of these fields.
pub fn object(fields: &[Field]) -> Value {
    let properties: Map<String, Value> = fields.iter().map(Field::property).collect();
    let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if let (Some(schema), false) = (schema.as_object_mut(), required.is_empty()) {
        schema.insert("required".to_owned(), json!(required));
    }
    schema
}

enum Body {
    None,
    Form(Vec<Field>),
    /// Whether it may be left out.
    Json(Make, bool),
    Fields(Vec<Field>, bool),
}

enum Content {
    None,
    Type(&'static str, Make),
    Json(Value),
    Text(&'static str),
}

struct Answer {
    status: u16,
    what: &'static str,
    content: Content,
    headers: Vec<(&'static str, &'static str)>,
}

/// How a door tells that something is wrong.
#[derive(Clone, Copy)]
pub struct Failure {
    pub content_type: &'static str,
    pub schema: Make,
}

pub struct Operation {
    method: Method,
    path: String,
    pub id: &'static str,
    tag: &'static str,
    summary: &'static str,
    details: Option<&'static str>,
    parameters: Vec<(&'static str, Field)>,
    body: Body,
    answers: Vec<Answer>,
    failure: Failure,
    errors: Vec<u16>,
}

/// Names and failures that the operations of one part share.
#[derive(Clone, Copy)]
pub struct Part {
    pub tag: &'static str,
    pub failure: Failure,
}

impl Part {
    pub fn route(self, method: Method, path: &str, id: &'static str, summary: &'static str) -> Operation {
        Operation {
            method,
            path: path.to_owned(),
            id,
            tag: self.tag,
            summary,
            details: None,
            parameters: Vec::new(),
            body: Body::None,
            answers: Vec::new(),
            failure: self.failure,
            errors: vec![503],
        }
    }

    pub fn get(self, path: &str, id: &'static str, summary: &'static str) -> Operation {
        self.route(Method::GET, path, id, summary)
    }

    pub fn post(self, path: &str, id: &'static str, summary: &'static str) -> Operation {
        self.route(Method::POST, path, id, summary)
    }

    pub fn delete(self, path: &str, id: &'static str, summary: &'static str) -> Operation {
        self.route(Method::DELETE, path, id, summary)
    }
}

impl Operation {
    pub fn is(&self, method: &Method, path: &str) -> bool {
        self.method == *method && self.path == path
    }

    #[cfg(test)]
    pub fn route(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub fn details(mut self, details: &'static str) -> Self {
        self.details = Some(details);
        self
    }

    pub fn query(mut self, fields: Vec<Field>) -> Self {
        self.parameters.extend(fields.into_iter().map(|field| ("query", field.or_empty())));
        self
    }

    pub fn at(mut self, name: &'static str, what: &'static str) -> Self {
        self.parameters.push(("path", must(name, what)));
        self
    }

    pub fn header(mut self, field: Field) -> Self {
        self.parameters.push(("header", field));
        self
    }

    pub fn form(mut self, fields: Vec<Field>) -> Self {
        self.body = Body::Form(fields.into_iter().map(Field::or_empty).collect());
        self
    }

    pub fn json<T: JsonSchema>(mut self) -> Self {
        self.body = Body::Json(read::<T>, false);
        self
    }

    /// A body that may be left out.
    pub fn json_or_nothing<T: JsonSchema>(mut self) -> Self {
        self.body = Body::Json(read::<T>, true);
        self
    }

    pub fn fields(mut self, fields: Vec<Field>) -> Self {
        let optional = fields.iter().all(|field| !field.required);
        self.body = Body::Fields(fields, optional);
        self
    }

    fn answer(mut self, status: u16, what: &'static str, content: Content) -> Self {
        self.answers.push(Answer { status, what, content, headers: Vec::new() });
        self
    }

    pub fn gives<T: JsonSchema>(self, status: u16, what: &'static str) -> Self {
        self.answer(status, what, Content::Type(JSON, written::<T>))
    }

    pub fn gives_json(self, status: u16, what: &'static str, schema: Value) -> Self {
        self.answer(status, what, Content::Json(schema))
    }

    pub fn gives_text(self, status: u16, what: &'static str, content_type: &'static str) -> Self {
        self.answer(status, what, Content::Text(content_type))
    }

    pub fn gives_nothing(self, status: u16, what: &'static str) -> Self {
        self.answer(status, what, Content::None)
    }

    /// Of the answer before.
    pub fn with(mut self, header: &'static str, what: &'static str) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.headers.push((header, what));
        }
        self
    }

    pub fn errors(mut self, statuses: &[u16]) -> Self {
        self.errors.extend(statuses);
        self
    }

    fn wrong(&self) -> impl Iterator<Item = u16> {
        // Every body may be too large or too slow.
        let body: &[u16] = if has_body(&self.method) { &[408, 413] } else { &[] };
        self.errors.iter().chain(body).copied()
    }

    pub fn json_of(&self, access: Access, schemas: &mut Schemas) -> Value {
        let mut shown = json!({
            "tags": [self.tag],
            "operationId": self.id,
            "summary": self.summary,
            "security": security(access),
            "responses": self.responses(schemas),
        });
        let Some(fields) = shown.as_object_mut() else { return shown };
        fields.extend(self.details.map(|details| ("description".to_owned(), json!(details))));
        if !self.parameters.is_empty() {
            let parameters: Vec<Value> =
                self.parameters.iter().map(|(place, field)| field.parameter(place)).collect();
            fields.insert("parameters".to_owned(), json!(parameters));
        }
        let (content_type, schema, optional) = match &self.body {
            Body::None => return shown,
            Body::Form(fields) => (FORM, object(fields), fields.iter().all(|field| !field.required)),
            Body::Json(make, optional) => (JSON, make(schemas), *optional),
            Body::Fields(fields, optional) => (JSON, object(fields), *optional),
        };
        let body = json!({ "required": !optional, "content": { content_type: { "schema": schema } } });
        fields.insert("requestBody".to_owned(), body);
        shown
    }

    fn responses(&self, schemas: &mut Schemas) -> Value {
        let mut all = Map::new();
        for answer in &self.answers {
            let mut shown = json!({ "description": answer.what });
            let content = match &answer.content {
                Content::None => None,
                Content::Type(content_type, make) => {
                    Some(json!({ *content_type: { "schema": make(schemas) } }))
                }
                Content::Json(schema) => Some(json!({ JSON: { "schema": schema } })),
                Content::Text(content_type) => {
                    Some(json!({ *content_type: { "schema": { "type": "string" } } }))
                }
            };
            if let Some(shown) = shown.as_object_mut() {
                shown.extend(content.map(|content| ("content".to_owned(), content)));
                if !answer.headers.is_empty() {
                    let header = |(name, what): &(&str, &str)| {
                        ((*name).to_owned(), json!({ "description": what, "schema": { "type": "string" } }))
                    };
                    let headers: Map<String, Value> = answer.headers.iter().map(header).collect();
                    shown.insert("headers".to_owned(), Value::Object(headers));
                }
            }
            all.insert(answer.status.to_string(), shown);
        }
        for status in self.wrong() {
            if all.contains_key(&status.to_string()) {
                continue;
            }
            let name = format!("{}{status}", self.tag);
            all.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{name}") }));
            if !schemas.failures.contains_key(&name) {
                let schema = (self.failure.schema)(schemas);
                let content = json!({ self.failure.content_type: { "schema": schema } });
                let shown = json!({ "description": meaning(status), "content": content });
                schemas.failures.insert(name, shown);
            }
        }
        Value::Object(all)
    }
}

/// What a status means everywhere here.
const fn meaning(status: u16) -> &'static str {
    match status {
        400 => "Something in the request is wrong; the body says what",
        401 => "Nobody is recognised, or the credential is over",
        403 => "Somebody is, who may not",
        404 => "There is no such thing, or not for this caller",
        405 => "It cannot be called so",
        408 => "The body did not arrive within 30 seconds",
        409 => "It stands against what is there",
        412 => "Somebody else changed it meanwhile: look again",
        413 => "The body is larger than 64 KiB",
        426 => "It must ask for an upgrade to a WebSocket",
        415 => "The body has another content type",
        422 => "The body was read, and does not fit",
        429 => "Too many: wait as long as Retry-After says",
        431 => "The head is larger than 16 KiB",
        _ => "Not available for the moment: try again",
    }
}
