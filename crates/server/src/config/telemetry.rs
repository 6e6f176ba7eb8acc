//! Where traces go.

use axum::http::{HeaderName, HeaderValue};
use countersign_core::secret::Plain;
use url::Url;

use super::sources::Reader;

/// An OpenTelemetry collector.
#[derive(Clone, Debug)]
pub struct Traces {
    /// Where it takes traces, in full.
    pub url: String,
    pub headers: Vec<(String, Plain)>,
    /// The share of requests that are traced.
    pub sample: f64,
}

const ENDPOINT: &str = "telemetry.otlp.endpoint";
const HEADERS: &str = "telemetry.otlp.headers";
const SAMPLE: &str = "telemetry.otlp.sample";

impl Traces {
    pub(super) fn read(read: &mut Reader<'_>) -> Option<Self> {
        let sample = read.parse::<f64>(SAMPLE, "a number from 0 to 1").unwrap_or(1.0);
        if !(0.0..=1.0).contains(&sample) {
            read.problem(SAMPLE, &format!("`{sample}` does not fit: expected a number from 0 to 1"));
        }
        let lines = read.texts(HEADERS, "authorization: Bearer …");
        let headers: Option<Vec<_>> = lines.iter().map(|line| header(line)).collect();
        if headers.is_none() {
            read.problem(HEADERS, "an item is no header, such as authorization: Bearer …");
        }
        let endpoint = read.optional(ENDPOINT)?;
        if !cfg!(feature = "otlp") {
            let why = "this program was built without traces: build it with `cargo build --features otlp`, or take the image";
            read.problem(ENDPOINT, why);
        }
        let url = Url::parse(&endpoint).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none()
        });
        let Some(url) = url else {
            let why = "expected an http or https URL without query and password, such as http://127.0.0.1:4318; a password belongs into telemetry.otlp.headers";
            read.problem(ENDPOINT, why);
            return None;
        };
        let url = format!("{}/v1/traces", url.as_str().trim_end_matches('/'));
        Some(Self { url, headers: headers.unwrap_or_default(), sample })
    }
}

fn header(line: &str) -> Option<(String, Plain)> {
    let (name, value) = line.split_once(':')?;
    let name = HeaderName::try_from(name.trim()).ok()?;
    let value = value.trim();
    HeaderValue::try_from(value).ok()?;
    Some((name.to_string(), Plain::new(value.to_owned())))
}
