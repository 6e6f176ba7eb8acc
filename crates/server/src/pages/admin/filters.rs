//! What lists are searched by, and kept searched by from one page to the next.

use url::form_urlencoded::Serializer;

use crate::http::Form;

pub struct Field {
    pub name: &'static str,
    pub label: &'static str,
    pub value: String,
    pub hint: Option<&'static str>,
    /// The values that there are, where people choose instead of writing.
    pub choices: Vec<&'static str>,
}

pub fn field(query: &Form, name: &'static str, label: &'static str, hint: Option<&'static str>) -> Field {
    Field { name, label, value: query.one(name).unwrap_or_default().to_owned(), hint, choices: Vec::new() }
}

pub fn choice(query: &Form, name: &'static str, label: &'static str, choices: &[&'static str]) -> Field {
    Field { choices: choices.to_vec(), ..field(query, name, label, None) }
}

/// The query of the same search, from there on.
pub fn following(filters: &[Field], cursor: Option<String>) -> Option<String> {
    let cursor = cursor?;
    let mut query = Serializer::new(String::new());
    for filter in filters.iter().filter(|filter| !filter.value.is_empty()) {
        query.append_pair(filter.name, &filter.value);
    }
    query.append_pair("cursor", &cursor);
    Some(query.finish())
}
