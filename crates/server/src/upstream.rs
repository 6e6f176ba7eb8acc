//! The operator's identity providers: the authorization code flow with PKCE (OpenID Connect Core §3.1,
//! RFC 7636), as their client.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::account::{MFA, Username};
use countersign_core::secret::{Digest, Plain};
use countersign_core::text::label;
use countersign_core::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::config::{self, ClaimRule, TrustedIssuer};
use crate::issuers::{self, Issuer, Said, Unverified, Vouched};

/// Every provider that is configured.
#[derive(Debug, Default)]
pub struct Upstreams(Vec<Upstream>);

#[derive(Debug)]
pub struct Upstream {
    pub config: config::Upstream,
    issuer: Issuer,
}

/// What one sign-in hangs together by.
#[derive(Debug)]
pub struct Asking<'a> {
    pub redirect_uri: &'a str,
    pub state: &'a Plain,
    pub nonce: &'a Plain,
    pub verifier: &'a Plain,
    /// The sign-in must be a fresh one.
    pub again: bool,
}

/// What a provider's token vouches for, or why that is not enough here.
#[derive(Debug)]
pub enum Admission {
    Admitted(Vouched),
    /// The configuration admits only others.
    Refused(String),
    /// They signed in with less than the configuration wants.
    TooWeak,
}

impl Upstreams {
    /// # Errors
    /// What the HTTP client says if it cannot be made.
    pub fn new(configured: &[config::Upstream]) -> Result<Self, String> {
        if configured.is_empty() {
            return Ok(Self::default());
        }
        let http = issuers::http_client()?;
        let upstream = |config: &config::Upstream| Upstream {
            config: config.clone(),
            issuer: Issuer::new(config.trusted(), http.clone()),
        };
        Ok(Self(configured.iter().map(upstream).collect()))
    }

    pub fn find(&self, id: &str) -> Option<&Upstream> {
        self.iter().find(|upstream| upstream.config.id == id)
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Upstream> {
        self.0.iter()
    }
}

fn bad(why: impl Into<String>) -> Unverified {
    Unverified::Bad(why.into())
}

/// An endpoint that nobody on the way can change.
fn endpoint(url: Option<&String>, name: &str) -> Result<String, Unverified> {
    match url {
        Some(url) if TrustedIssuer::is_safe(url) => Ok(url.clone()),
        Some(url) => Err(bad(format!("its {name} is no https URL: {url}"))),
        None => Err(bad(format!("its discovery document has no {name}"))),
    }
}

/// Client authentication wants both form-encoded before anything else (RFC 6749 §2.3.1).
fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Seconds that no sign-in is older than.
const LONG: &str = "31536000";

impl Upstream {
    /// What its button says.
    pub fn label(&self) -> String {
        let host = Url::parse(&self.config.issuer).ok().and_then(|url| url.host_str().map(str::to_owned));
        self.config.label.clone().or(host).unwrap_or_else(|| self.config.id.clone())
    }

    /// Where the browser goes.
    pub async fn authorize(&self, asking: &Asking<'_>, now: Timestamp) -> Result<Url, Unverified> {
        let discovery = self.issuer.discovery(now).await?;
        let to = endpoint(discovery.authorization_endpoint.as_ref(), "authorization_endpoint")?;
        let mut url = Url::parse(&to).map_err(|error| bad(error.to_string()))?;
        let challenge = URL_SAFE_NO_PAD.encode(Digest::of(asking.verifier.reveal()).as_bytes());
        {
            let mut query = url.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", &self.config.client_id)
                .append_pair("redirect_uri", asking.redirect_uri)
                .append_pair("scope", &self.config.scopes.join(" "))
                .append_pair("state", asking.state.reveal())
                .append_pair("nonce", asking.nonce.reveal())
                .append_pair("code_challenge", &challenge)
                .append_pair("code_challenge_method", "S256");
            if !self.config.required_acr.is_empty() {
                query.append_pair("acr_values", &self.config.required_acr.join(" "));
            }
            // This makes it say when that was (OpenID Connect Core §3.1.2.1).
            if asking.again {
                query.append_pair("prompt", "login").append_pair("max_age", "0");
            } else {
                query.append_pair("max_age", LONG);
            }
        }
        Ok(url)
    }

    /// What it says of whoever came back with this code. `issuer` is who the answer says that it is of
    /// (RFC 9207).
    pub async fn exchange(
        &self,
        code: &str,
        issuer: Option<&str>,
        asking: &Asking<'_>,
        now: Timestamp,
    ) -> Result<Said, Unverified> {
        #[derive(Deserialize)]
        struct Tokens {
            id_token: Plain,
            access_token: Option<Plain>,
        }
        let discovery = self.issuer.discovery(now).await?;
        match issuer {
            Some(issuer) if issuer != self.config.issuer => {
                return Err(bad("the answer is of another issuer"));
            }
            None if discovery.authorization_response_iss_parameter_supported => {
                return Err(bad("the answer does not say of which issuer it is"));
            }
            Some(_) | None => {}
        }
        let url = endpoint(discovery.token_endpoint.as_ref(), "token_endpoint")?;
        let (id, verifier) = (self.config.client_id.as_str(), asking.verifier.reveal());
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", asking.redirect_uri),
            ("code_verifier", verifier),
        ];
        let mut request = self.issuer.http().post(&url);
        let methods = discovery.token_endpoint_auth_methods_supported.as_ref();
        let basic =
            methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic"));
        match &self.config.client_secret {
            Some(secret) if basic => {
                request = request.basic_auth(encoded(id), Some(encoded(secret.reveal())));
            }
            Some(secret) => form.extend([("client_id", id), ("client_secret", secret.reveal())]),
            None => form.push(("client_id", id)),
        }
        let tokens: Tokens = answer(&url, request.form(&form)).await?;
        let mut claims = self.issuer.claims(tokens.id_token.reveal(), now).await?;
        let said = |name: &str| claims.get(name).and_then(Value::as_str);
        if said("nonce") != Some(asking.nonce.reveal()) {
            return Err(bad("its nonce is not the one of this sign-in"));
        }
        // OpenID Connect Core §3.1.3.7.
        let for_others = claims.get("aud").and_then(Value::as_array).is_some_and(|aud| aud.len() > 1);
        if said("azp").is_some_and(|azp| azp != id) || (for_others && said("azp").is_none()) {
            return Err(bad("it was issued to another client"));
        }
        let missing = self.wanted().any(|name| !claims.contains_key(name));
        if let (true, Some(token), Some(url)) = (missing, &tokens.access_token, &discovery.userinfo_endpoint)
        {
            let url = endpoint(Some(url), "userinfo_endpoint")?;
            let more: Said = answer(&url, self.issuer.http().get(&url).bearer_auth(token.reveal())).await?;
            if more.get("sub") != claims.get("sub") {
                return Err(bad("its userinfo is about somebody else"));
            }
            self.complete(&mut claims, &more);
        }
        Ok(claims)
    }

    /// What was signed counts; userinfo says only what the configuration needs besides. Whether an address
    /// was verified is said by whoever says the address.
    fn complete(&self, claims: &mut Said, more: &Said) {
        let email = self.config.claims.email.as_str();
        let same = claims.get(email) == more.get(email) && !claims.contains_key("email_verified");
        if !claims.contains_key(email) || same {
            let verified = more.get("email_verified").cloned();
            claims.extend(verified.map(|verified| ("email_verified".to_owned(), verified)));
        }
        let wanted = self.wanted().filter(|name| *name != "email_verified");
        let wanted: Vec<String> = wanted.map(str::to_owned).collect();
        for name in wanted {
            if let (false, Some(value)) = (claims.contains_key(&name), more.get(&name)) {
                claims.insert(name, value.clone());
            }
        }
    }

    /// Claims that the configuration needs.
    fn wanted(&self) -> impl Iterator<Item = &str> {
        let Self { config, .. } = self;
        let mapped = [Some(&config.claims.email), Some(&config.claims.name), config.claims.username.as_ref()];
        let mapped = mapped.into_iter().flatten().chain(config.rules.iter().map(|rule| &rule.claim));
        mapped.map(String::as_str).chain(["email_verified"])
    }

    /// Whether whoever this is may come in, and as whom.
    pub fn admit(&self, claims: &Said, now: Timestamp) -> Result<Admission, Unverified> {
        let config = &self.config;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let mut vouched = self.issuer.vouched(&self.renamed(claims), now)?;
        // It speaks of the claim `email`, and of no other.
        let is_verified = self.config.claims.email == "email"
            && claims
                .get("email_verified")
                .is_some_and(|said| *said == Value::Bool(true) || said.as_str() == Some("true"));
        if !is_verified {
            // Some providers let people write what they like there.
            vouched.email = None;
        }
        let domain =
            vouched.email.as_deref().and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain);
        let known =
            |domain: &str| config.allowed_domains.iter().any(|known| known.eq_ignore_ascii_case(domain));
        let fits = config.allowed_domains.is_empty() || (is_verified && domain.is_some_and(known));
        if !fits {
            let why = format!("subject {}: no verified e-mail address of an allowed domain", vouched.subject);
            return Ok(Admission::Refused(why));
        }
        if let Some(rule) = config.rules.iter().find(|rule| !is_met(rule, claims)) {
            let why = format!("subject {}: the rule for {} is not met", vouched.subject, rule.claim);
            return Ok(Admission::Refused(why));
        }
        let acr = text("acr");
        let is_one = |list: &[String]| acr.is_some_and(|acr| list.iter().any(|known| known == acr));
        let methods = &vouched.sign_in.amr;
        if (!config.required_acr.is_empty() && !is_one(&config.required_acr))
            || !config.required_amr.iter().all(|method| methods.contains(method))
        {
            return Ok(Admission::TooWeak);
        }
        if is_one(&config.multi_factor_acr) && !vouched.sign_in.is_multi_factor() {
            vouched.sign_in.amr.push(MFA.to_owned());
        }
        vouched.username = config.claims.username.as_deref().and_then(text).and_then(username);
        Ok(Admission::Admitted(vouched))
    }

    /// The claims under the names that they have everywhere.
    fn renamed(&self, claims: &Said) -> Said {
        let mut renamed = claims.clone();
        for (name, own) in [("email", &self.config.claims.email), ("name", &self.config.claims.name)] {
            if own != name {
                renamed.remove(name);
                renamed.extend(claims.get(own).map(|value| (name.to_owned(), value.clone())));
            }
        }
        renamed
    }
}

fn username(text: &str) -> Option<Username> {
    // Nobody is called what an account's id looks like.
    label(text).and_then(|text| text.parse().ok()).filter(Username::stands_in_links)
}

fn is_met(rule: &ClaimRule, claims: &Said) -> bool {
    let is = |value: &Value| match value {
        Value::String(text) => rule.any_of.iter().any(|known| known == text),
        Value::Bool(yes) => rule.any_of.iter().any(|known| *known == yes.to_string()),
        Value::Number(number) => rule.any_of.iter().any(|known| *known == number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    match claims.get(&rule.claim) {
        Some(Value::Array(values)) => values.iter().any(is),
        Some(value) => is(value),
        None => false,
    }
}

/// What a provider answers: 4xx is about what was sent, anything else that it cannot be asked now.
async fn answer<T: serde::de::DeserializeOwned>(
    url: &str,
    request: reqwest::RequestBuilder,
) -> Result<T, Unverified> {
    #[derive(Deserialize)]
    struct Refused {
        error: String,
    }
    let response = request
        .send()
        .await
        .map_err(|error| Unverified::Unreachable(format!("{url}: {}", error.without_url())))?;
    let status = response.status();
    if status.is_success() {
        return issuers::json(url, response).await.map_err(Unverified::Unreachable);
    }
    if status.is_client_error() && status != reqwest::StatusCode::TOO_MANY_REQUESTS {
        let refused = issuers::json::<Refused>(url, response).await;
        let error = refused.map_or_else(|_| String::new(), |refused| format!(": {}", refused.error));
        return Err(bad(format!("{url} answered {status}{error}")));
    }
    Err(Unverified::Unreachable(format!("{url} answered {status}")))
}
