//! Devices and people by the dozen, who write down every answer that they get, so that it can be
//! checked later that it still holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use tokio::sync::watch;

use crate::process::PASSWORD;

/// A right code that a crash kept from being given back counts as wrong, and here are many crashes.
pub const CROWD: [&str; 4] = [
    "--set",
    "rate_limit.wrong_codes_per_account=100000",
    "--set",
    "rate_limit.wrong_codes_per_address=100000",
];
/// Settings that every server of these tests needs.
pub const SETTINGS: [&str; 6] = [
    "--set",
    "rate_limit.device_codes_per_address=1000000",
    "--set",
    "rate_limit.device_codes_per_client=1000000",
    "--set",
    "login.password_workers=2",
];

/// The servers, one behind the other: each request goes to the next.
#[derive(Debug, Default)]
pub struct Balancer {
    urls: std::sync::RwLock<Vec<String>>,
    turn: AtomicUsize,
    /// Nobody need answer well while this is set.
    pub outage: AtomicBool,
    /// Answers that came with a status of 500 or more while there was no outage.
    pub faults: std::sync::Mutex<Vec<String>>,
    answers: watch::Sender<usize>,
}

impl Balancer {
    pub fn set(&self, urls: Vec<String>) {
        *self.urls.write().unwrap() = urls;
    }

    /// Answers so far.
    pub fn answers(&self) -> usize {
        *self.answers.borrow()
    }

    /// Until there are so many.
    pub async fn until(&self, answers: usize) {
        let mut seen = self.answers.subscribe();
        let enough = seen.wait_for(|seen| *seen >= answers);
        let _ = tokio::time::timeout(Duration::from_mins(1), enough).await.expect("answers within a minute");
    }

    fn next(&self) -> Option<String> {
        let urls = self.urls.read().unwrap();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        (!urls.is_empty()).then(|| urls[turn % urls.len()].clone())
    }
}

/// What came back, if anything did.
pub struct Answer {
    pub status: StatusCode,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }
}

/// One caller: a keep-alive client that knows the balancer.
#[derive(Clone)]
pub struct Caller {
    http: reqwest::Client,
    pub balancer: Arc<Balancer>,
}

impl Caller {
    pub fn new(balancer: &Arc<Balancer>) -> Self {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        Self { http, balancer: balancer.clone() }
    }

    /// `None`: nobody answered, or only that it cannot; whether it happened nobody knows.
    async fn send(
        &self,
        request: impl Fn(&reqwest::Client, &str) -> reqwest::RequestBuilder,
    ) -> Option<Answer> {
        let base = self.balancer.next()?;
        let calm_before = !self.balancer.outage.load(Ordering::SeqCst);
        let response = request(&self.http, &base).send().await.ok()?;
        let status = response.status();
        let text = response.text().await.ok()?;
        if status.is_server_error() {
            if calm_before && !self.balancer.outage.load(Ordering::SeqCst) {
                self.balancer.faults.lock().unwrap().push(format!("{status} {text}"));
            }
            return None;
        }
        self.balancer.answers.send_modify(|answers| *answers += 1);
        Some(Answer { status, text })
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Option<Answer> {
        self.send(|http, base| http.post(format!("{base}{path}")).form(form)).await
    }

    async fn poll(&self, code: &str) -> Option<Answer> {
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        let form = [("grant_type", grant), ("client_id", "countersign-cli"), ("device_code", code)];
        self.post("/oauth2/v1/token", &form).await
    }

    async fn refresh(&self, token: &str) -> Option<Answer> {
        let form =
            [("grant_type", "refresh_token"), ("client_id", "countersign-cli"), ("refresh_token", token)];
        self.post("/oauth2/v1/token", &form).await
    }

    async fn revoke(&self, token: &str) -> Option<Answer> {
        self.post("/oauth2/v1/revoke", &[("client_id", "countersign-cli"), ("token", token)]).await
    }

    pub async fn userinfo(&self, token: &str) -> Option<Answer> {
        self.send(|http, base| http.get(format!("{base}/oauth2/v1/userinfo")).bearer_auth(token)).await
    }
}

/// Asks until there is an answer.
pub async fn insist<F: Future<Output = Option<Answer>>>(ask: impl Fn() -> F) -> Answer {
    tokio::time::timeout(Duration::from_mins(1), async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("an answer within a minute")
}

/// A person's browser: a session, and the token that its forms carry.
#[derive(Clone)]
pub struct Browser {
    caller: Caller,
    cookie: String,
    csrf: String,
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(found, _)| found)
}

impl Browser {
    /// Signs in; the servers must be well.
    pub async fn sign_in(caller: &Caller, name: &str) -> Self {
        let base = caller.balancer.next().unwrap();
        let cookie = |response: &reqwest::Response| {
            let set = response.headers()["set-cookie"].to_str().unwrap();
            set.split(';').next().unwrap().to_owned()
        };
        let csrf = |page: &str| between(page, "name=\"csrf_token\" value=\"", "\"").unwrap().to_owned();
        let page = caller.http.get(format!("{base}/login")).send().await.unwrap();
        let first = cookie(&page);
        let token = csrf(&page.text().await.unwrap());
        let form = [("csrf_token", token.as_str()), ("username", name), ("password", PASSWORD)];
        let request = caller.http.post(format!("{base}/login")).header("cookie", first).form(&form);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let cookie = cookie(&response);
        let page = caller.http.get(format!("{base}/device")).header("cookie", &cookie).send().await.unwrap();
        let csrf = csrf(&page.text().await.unwrap());
        Self { caller: caller.clone(), cookie, csrf }
    }

    /// The same browser, before the same server at another address.
    pub fn moved(self, caller: &Caller) -> Self {
        Self { caller: caller.clone(), ..self }
    }

    /// Enters a code and decides, in one form.
    pub async fn decide(&self, code: &str, decision: &str) -> Option<Answer> {
        let form = [
            ("csrf_token", self.csrf.as_str()),
            ("user_code", code),
            ("own_device", "yes"),
            ("decision", decision),
        ];
        let send = |http: &reqwest::Client, base: &str| {
            http.post(format!("{base}/device")).header("cookie", &self.cookie).form(&form)
        };
        self.caller.send(send).await
    }
}

/// Whether something that a device asked for happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fact {
    No,
    Yes,
    /// It was asked for and nobody answered.
    Perhaps,
}

/// One device, and everything that it was answered.
#[derive(Clone, Debug)]
pub struct Device {
    code: String,
    approved: Fact,
    denied: Fact,
    collected: Fact,
    revoked: Fact,
    /// Access and newest refresh token.
    tokens: Option<(String, String)>,
    /// A refresh got no answer: the newest token is not known.
    stale: bool,
}

/// A device's life up to the moment at which nobody answers. `None` if it was not even heard of.
pub async fn live(browser: &Browser, turn: usize) -> Option<Device> {
    let caller = &browser.caller;
    let form = [("client_id", "countersign-cli"), ("scope", "openid offline_access")];
    let asked = caller.post("/oauth2/v1/device_authorization", &form).await?;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.text);
    let asked = asked.json();
    let field = |name: &str| asked[name].as_str().unwrap().to_owned();
    let mut device = Device {
        code: field("device_code"),
        approved: Fact::No,
        denied: Fact::No,
        collected: Fact::No,
        revoked: Fact::No,
        tokens: None,
        stale: false,
    };
    // Lost on the way or not: the code was answered, so the device goes into the book.
    let _rest = go_on(browser, &mut device, &field("user_code"), turn).await;
    Some(device)
}

async fn go_on(browser: &Browser, device: &mut Device, user_code: &str, turn: usize) -> Option<()> {
    let caller = &browser.caller;
    let pending = caller.poll(&device.code).await?;
    assert_eq!(pending.error(), "authorization_pending", "{}", pending.text);
    match turn % 5 {
        0 => return Some(()),
        1 => {
            device.denied = Fact::Perhaps;
            let answer = browser.decide(user_code, "deny").await?;
            assert!(answer.text.contains("Request denied"), "{}", answer.text);
            device.denied = Fact::Yes;
            return Some(());
        }
        _ => {}
    }
    device.approved = Fact::Perhaps;
    let answer = browser.decide(user_code, "approve").await?;
    assert!(answer.text.contains("Device connected"), "{} {}", answer.status, answer.text);
    device.approved = Fact::Yes;
    if turn % 5 == 2 {
        return Some(());
    }
    device.collected = Fact::Perhaps;
    // Another node may need a second to hear of the approval.
    let collected = loop {
        let answer = caller.poll(&device.code).await?;
        if answer.status == StatusCode::OK {
            break answer.json();
        }
        assert!(["slow_down", "authorization_pending"].contains(&&*answer.error()), "{}", answer.text);
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    keep(device, &collected);
    if turn % 5 == 3 {
        device.stale = true;
        let (_, refresh) = device.tokens.clone()?;
        let renewed = caller.refresh(&refresh).await?;
        assert_eq!(renewed.status, StatusCode::OK, "{}", renewed.text);
        keep(device, &renewed.json());
        device.stale = false;
    } else {
        device.revoked = Fact::Perhaps;
        let (_, refresh) = device.tokens.clone()?;
        let revoked = caller.revoke(&refresh).await?;
        assert_eq!(revoked.status, StatusCode::OK, "{}", revoked.text);
        device.revoked = Fact::Yes;
    }
    Some(())
}

fn keep(device: &mut Device, tokens: &Value) {
    let field = |name: &str| tokens[name].as_str().unwrap().to_owned();
    device.collected = Fact::Yes;
    device.tokens = Some((field("access_token"), field("refresh_token")));
}

impl Device {
    /// Checks that every answer still holds, and asks what was left open.
    pub async fn check(&mut self, caller: &Caller) {
        let polled = insist(|| caller.poll(&self.code)).await;
        let heard = if polled.status == StatusCode::OK { "tokens".to_owned() } else { polled.error() };
        let still_open = ["authorization_pending", "slow_down"];
        let fits = match (self.approved, self.denied, self.collected) {
            (_, _, Fact::Yes) => heard == "invalid_grant",
            (Fact::Yes, _, Fact::Perhaps) => ["tokens", "invalid_grant"].contains(&&*heard),
            (Fact::Yes, _, Fact::No) => heard == "tokens",
            (_, Fact::Yes, _) => heard == "access_denied",
            (Fact::Perhaps, _, _) => heard == "tokens" || still_open.contains(&&*heard),
            (_, Fact::Perhaps, _) => heard == "access_denied" || still_open.contains(&&*heard),
            (Fact::No, Fact::No, _) => still_open.contains(&&*heard),
        };
        assert!(fits, "heard {heard} of {self:?}: {}", polled.text);
        if heard == "invalid_grant" {
            self.collected = Fact::Yes;
        }
        if heard == "tokens" {
            self.approved = Fact::Yes;
            keep(self, &polled.json());
        }
        let Some((access, refresh)) = self.tokens.clone() else { return };
        let live = insist(|| caller.userinfo(&access)).await.status;
        match self.revoked {
            Fact::No => assert_eq!(live, StatusCode::OK, "{self:?}"),
            Fact::Yes => assert_eq!(live, StatusCode::UNAUTHORIZED, "{self:?}"),
            Fact::Perhaps if live == StatusCode::OK => self.revoked = Fact::No,
            Fact::Perhaps => self.revoked = Fact::Yes,
        }
        match (self.revoked, self.stale) {
            (Fact::Yes, _) => {
                let answer = insist(|| caller.refresh(&refresh)).await;
                assert_eq!(answer.error(), "invalid_grant", "{self:?}");
            }
            (_, false) => {
                // Once: a repeated refresh is no answer that must hold.
                if let Some(answer) = caller.refresh(&refresh).await {
                    assert_eq!(answer.status, StatusCode::OK, "{self:?}: {}", answer.text);
                    keep(self, &answer.json());
                } else {
                    self.stale = true;
                }
            }
            (_, true) => {}
        }
    }
}
