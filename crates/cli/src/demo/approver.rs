//! A person, played by a program: signs in, enters the code, approves, all over real HTTP.

use std::collections::HashMap;

use countersign_client::Plain;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use url::Url;

use crate::failure::{Outcome, failure};
use crate::output::note;

struct Browser {
    http: Client,
    at: Url,
    cookie: Option<String>,
    page: String,
}

pub async fn approve(link: &str, user: &str, password: &Plain, code: &str) -> Outcome {
    let http = Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let mut browser = Browser { http, at: Url::parse(link)?, cookie: None, page: String::new() };
    browser.get().await?;
    note("  … a person opens the link, and signs in")?;
    browser.submit("password", &[("username", user), ("password", password.reveal())]).await?;
    note(format!("  … enters the code {code}"))?;
    browser.submit("user_code", &[("user_code", code)]).await?;
    note("  … compares it with the device, ticks the box, and approves")?;
    browser.submit("decision", &[("own_device", "yes"), ("decision", "approve")]).await?;
    if browser.page.contains("name=\"undo\"") {
        Ok(())
    } else {
        Err(failure("the approval did not go through", "this is a bug; please report it"))
    }
}

impl Browser {
    async fn get(&mut self) -> Outcome {
        let request = self.http.get(self.at.clone());
        self.follow(request).await
    }

    /// Sends the form of this page with what was filled in and all of its hidden fields.
    async fn submit(&mut self, field: &str, filled: &[(&str, &str)]) -> Outcome {
        let form = self
            .page
            .split("<form ")
            .skip(1)
            .find(|form| form.contains(&format!("name=\"{field}\"")))
            .ok_or_else(|| {
                failure(format!("the page has no field {field}"), "this is a bug; please report it")
            })?;
        let mut fields: HashMap<&str, &str> = form.split("<input ").skip(1).filter_map(hidden).collect();
        fields.extend(filled.iter().copied());
        let action = attribute(form, "action").unwrap_or_default();
        let target = self.at.join(action)?;
        let request = self
            .http
            .post(target.clone())
            .form(&fields)
            .header("Origin", target.origin().ascii_serialization());
        self.at = target;
        self.follow(request).await
    }

    async fn follow(&mut self, request: RequestBuilder) -> Outcome {
        let mut response = self.send(request).await?;
        while response.status() == StatusCode::SEE_OTHER {
            let location =
                response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
            self.at = self.at.join(location)?;
            let request = self.http.get(self.at.clone());
            response = self.send(request).await?;
        }
        self.page = response.error_for_status()?.text().await?;
        Ok(())
    }

    async fn send(&mut self, request: RequestBuilder) -> Outcome<Response> {
        let request = match &self.cookie {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        };
        let response = request.send().await?;
        let set = response.headers().get(SET_COOKIE).and_then(|value| value.to_str().ok());
        if let Some(cookie) = set.and_then(|set| set.split(';').next()) {
            self.cookie = Some(cookie.to_owned());
        }
        Ok(response)
    }
}

fn hidden(input: &str) -> Option<(&str, &str)> {
    let tag = input.split('>').next()?;
    if attribute(tag, "type") != Some("hidden") {
        return None;
    }
    Some((attribute(tag, "name")?, attribute(tag, "value")?))
}

/// The value of an attribute of our own pages, which quote all of them and escape no token.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    rest.split('"').next()
}
