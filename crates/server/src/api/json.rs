//! Bodies of JSON, read field by field: everything that is wrong is told at once, and never repeated,
//! because it may be a secret.

use std::ops::RangeInclusive;

use axum::extract::Request;
use axum::http::request::Parts;
use countersign_core::scope::Scopes;
use countersign_core::text::label;
use serde_json::{Map, Value, json};

use super::error::ApiError;
use crate::http::{self, BadForm};

/// What is wrong with one field, in the words of the framework that published clients know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// None: the body as a whole.
    field: Option<&'static str>,
    kind: &'static str,
    message: String,
}

impl Issue {
    pub fn missing(field: &'static str) -> Self {
        Self { field: Some(field), kind: "missing", message: "Field required".to_owned() }
    }

    fn wrong(field: &'static str, kind: &'static str, message: impl Into<String>) -> Self {
        Self { field: Some(field), kind, message: message.into() }
    }

    fn whole(kind: &'static str, message: &str) -> Self {
        Self { field: None, kind, message: message.to_owned() }
    }

    pub fn json(&self) -> Value {
        let place: Vec<&str> = ["body"].into_iter().chain(self.field).collect();
        json!({ "type": self.kind, "loc": place, "msg": self.message })
    }

    pub fn sentence(&self) -> String {
        format!("{}: {}", self.field.unwrap_or("body"), self.message)
    }
}

/// No text of a field is longer.
const TEXT_BYTES: usize = 2048;
const JSON: &str = "application/json";

#[derive(Debug, Default)]
pub struct Body {
    fields: Map<String, Value>,
    issues: Vec<Issue>,
}

impl Body {
    /// Reads the body of a request. An empty one has no fields.
    pub async fn read(request: Request) -> Result<(Parts, Self), ApiError> {
        let (parts, bytes) = http::bytes(request).await;
        let bytes = bytes.map_err(ApiError::Body)?;
        if bytes.is_empty() {
            return Ok((parts, Self::default()));
        }
        if http::content_type(&parts.headers).is_none_or(|essence| !essence.eq_ignore_ascii_case(JSON)) {
            return Err(ApiError::Body(BadForm::ContentType(JSON)));
        }
        Ok((parts, Self::parse(&bytes)))
    }

    fn parse(bytes: &[u8]) -> Self {
        let issue = match serde_json::from_slice(bytes) {
            Ok(Value::Object(fields)) => return Self { fields, issues: Vec::new() },
            Ok(_) => Issue::whole("model_attributes_type", "Input should be an object"),
            Err(_) => Issue::whole("json_invalid", "JSON decode error"),
        };
        Self { fields: Map::new(), issues: vec![issue] }
    }

    /// What is there of a field; `null` is as good as nothing.
    fn take(&mut self, field: &'static str) -> Option<Value> {
        self.fields.remove(field).filter(|value| !value.is_null())
    }

    pub fn optional(&mut self, field: &'static str) -> Option<String> {
        match self.take(field)? {
            Value::String(text) if text.len() > TEXT_BYTES => {
                let why = format!("String should have at most {TEXT_BYTES} bytes");
                self.issues.push(Issue::wrong(field, "string_too_long", why));
                None
            }
            Value::String(text) => Some(text),
            _ => {
                self.issues.push(Issue::wrong(field, "string_type", "Input should be a valid string"));
                None
            }
        }
    }

    pub fn required(&mut self, field: &'static str) -> String {
        if !self.fields.contains_key(field) && self.issues.iter().all(|issue| issue.field.is_some()) {
            self.issues.push(Issue::missing(field));
        } else if self.fields.get(field).is_some_and(Value::is_null) {
            self.issues.push(Issue::wrong(field, "string_type", "Input should be a valid string"));
        }
        self.optional(field).unwrap_or_default()
    }

    /// A name that people read.
    pub fn label(&mut self, field: &'static str) -> Option<String> {
        let text = self.optional(field)?;
        let found = label(&text);
        if found.is_none() {
            let why = "String should have 1 to 100 visible characters";
            self.issues.push(Issue::wrong(field, "value_error", why));
        }
        found
    }

    pub fn required_label(&mut self, field: &'static str) -> String {
        if self.fields.get(field).is_some_and(|value| !value.is_null()) {
            return self.label(field).unwrap_or_default();
        }
        self.required(field)
    }

    pub fn number(&mut self, field: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.take(field)?;
        let whole = value.as_u64().or_else(|| {
            // 365.0 is a whole number, too.
            value.as_f64().filter(|number| number.fract() == 0.0 && *number >= 0.0).map(|number| {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "judged below")]
                let whole = number as u64;
                whole
            })
        });
        match whole {
            Some(number) if range.contains(&number) => Some(number),
            _ if value.is_number() => {
                let why = format!("Input should be a whole number from {} to {}", range.start(), range.end());
                self.issues.push(Issue::wrong(field, "value_error", why));
                None
            }
            _ => {
                self.issues.push(Issue::wrong(field, "int_type", "Input should be a valid integer"));
                None
            }
        }
    }

    /// A list, or a text with spaces between.
    pub fn scopes(&mut self, field: &'static str) -> Scopes {
        let Some(value) = self.take(field) else { return Scopes::default() };
        let scopes = match value {
            Value::String(text) => text.parse::<Scopes>(),
            Value::Array(items) if items.iter().all(Value::is_string) => {
                Scopes::from_names(items.iter().filter_map(Value::as_str))
            }
            _ => {
                let why = "Input should be a list of strings, or a string with spaces between them";
                self.issues.push(Issue::wrong(field, "list_type", why));
                return Scopes::default();
            }
        };
        scopes.unwrap_or_else(|bad| {
            self.issues.push(Issue::wrong(field, "value_error", bad.to_string()));
            Scopes::default()
        })
    }

    /// After every field was taken: whether all was well.
    pub fn finish(self) -> Result<(), ApiError> {
        if self.issues.is_empty() { Ok(()) } else { Err(ApiError::Invalid(self.issues)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issues(text: &str, read: impl Fn(&mut Body)) -> Vec<String> {
        let mut body = Body::parse(text.as_bytes());
        read(&mut body);
        body.issues.iter().map(|issue| format!("{} {}", issue.field.unwrap_or("-"), issue.kind)).collect()
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let read = |body: &mut Body| {
            body.required("device_code");
            body.required_label("name");
            body.number("expires_days", 1..=10);
            body.scopes("scopes");
        };
        assert_eq!(issues("{", read), ["- json_invalid"]);
        assert_eq!(issues("[]", read), ["- model_attributes_type"]);
        assert_eq!(issues("{}", read), ["device_code missing", "name missing"]);
        assert_eq!(
            issues(r#"{"device_code":1,"name":" ","expires_days":0,"scopes":[1]}"#, read),
            ["device_code string_type", "name value_error", "expires_days value_error", "scopes list_type"]
        );
        assert_eq!(
            issues(r#"{"device_code":null,"name":null,"expires_days":"7","scopes":"a\"b"}"#, read),
            ["device_code string_type", "name string_type", "expires_days int_type", "scopes value_error"]
        );
        let right = r#"{"device_code":"x","name":"ci","expires_days":7.0,"scopes":["a","b"],"more":{}}"#;
        assert!(issues(right, read).is_empty());
    }

    #[test]
    fn what_was_sent_is_not_repeated() {
        let mut body = Body::parse(br#"{"device_code":["secret"]}"#);
        body.required("device_code");
        let Err(ApiError::Invalid(issues)) = body.finish() else { panic!("it should not do") };
        let shown = format!("{issues:?} {} {}", issues[0].json(), issues[0].sentence());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
