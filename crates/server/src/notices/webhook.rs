//! Webhooks as Standard Webhooks has them: signed, with an id that stays the same when they come again.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_core::time::Timestamp;

use super::reach::{PRIVATE_ADDRESS, Reach};
use crate::app::App;
use crate::flow::notices::Notice;
use crate::store::notices::Due;

pub async fn send(
    app: &App,
    http: &reqwest::Client,
    due: &Due,
    notice: &Notice,
    now: Timestamp,
) -> Result<(), String> {
    let hook = app.config.notices.webhooks.iter().find(|hook| hook.id == due.target);
    let hook = hook.ok_or_else(|| "there is no such webhook any more".to_owned())?;
    if !Reach::new(&app.config.notices.allowed_networks).may_call(&hook.url) {
        return Err(PRIVATE_ADDRESS.to_owned());
    }
    let body = serde_json::to_string(notice).map_err(|error| error.to_string())?;
    let id = format!("msg_{}", due.id);
    let request = http
        .post(&hook.url)
        .header("content-type", "application/json")
        .header("webhook-id", &id)
        .header("webhook-timestamp", now.secs().to_string())
        .header("webhook-signature", sign(&hook.key, &id, now.secs(), &body))
        .body(body);
    let answered = request.send().await.map_err(|error| why(&error.without_url()))?;
    let status = answered.status();
    if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
}

/// What is at the bottom of it: the outer words say that it did not work.
fn why(error: &reqwest::Error) -> String {
    let mut source: &dyn std::error::Error = error;
    while let Some(inner) = source.source() {
        source = inner;
    }
    source.to_string()
}

fn sign(key: &[u8], id: &str, timestamp: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mac = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = r#"{"test": 2432232314}"#;
        assert_eq!(
            sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }
}
