//! The URL under which people and devices reach the server: the issuer.

use url::{Host, Url};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    /// Without a trailing slash; `iss` to the letter.
    issuer: String,
    origin: String,
    /// Empty, or a path that begins with a slash and does not end with one.
    path: String,
    https: bool,
    loopback: bool,
    port: u16,
    host: String,
}

impl PublicUrl {
    /// Why a text is no public URL is said in words for the one who configured it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = |why: &str| format!("`{text}` {why}; expected something like https://login.example.com");
        let url = Url::parse(text).map_err(|_| bad("is not a URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("is neither http nor https"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("has a query or a fragment"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("holds a user name or password"));
        }
        if url.host().is_none() {
            return Err(bad("has no host"));
        }
        let loopback = is_loopback(&url);
        let origin = url.origin().ascii_serialization();
        let path = url.path().trim_end_matches('/').to_owned();
        let plain = |symbol: char| symbol.is_ascii_alphanumeric() || "/-_.~".contains(symbol);
        if !path.chars().all(plain) || path.contains("//") {
            return Err(bad("has a path with unusual characters"));
        }
        Ok(Self {
            issuer: format!("{origin}{path}"),
            origin,
            path,
            https: url.scheme() == "https",
            loopback,
            port: url.port_or_known_default().unwrap_or(0),
            host: url.host_str().unwrap_or_default().to_owned(),
        })
    }

    /// What stands where nothing is configured.
    pub fn local(port: u16, https: bool) -> Self {
        let scheme = if https { "https" } else { "http" };
        let origin = format!("{scheme}://localhost:{port}");
        let (path, host) = (String::new(), "localhost".to_owned());
        Self { issuer: origin.clone(), origin, path, https, loopback: true, port, host }
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    pub fn base_path(&self) -> &str {
        &self.path
    }

    pub const fn is_https(&self) -> bool {
        self.https
    }

    pub const fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// The absolute URL of one of our paths.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// Whether a form with this `Origin` header came from one of our pages. On this machine the
    /// names of the loopback interface are one, because people type any of them.
    pub fn is_own_origin(&self, origin: &str) -> bool {
        if origin == self.origin {
            return true;
        }
        self.loopback
            && Self::parse(origin).is_ok_and(|other| {
                other.loopback
                    && other.port == self.port
                    && other.https == self.https
                    && other.path.is_empty()
            })
    }
}

/// Whether it leads to this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_slash_is_dropped_and_a_path_kept() {
        let url = PublicUrl::parse("https://Login.Example.com:443/auth/").unwrap();
        assert_eq!(url.issuer(), "https://login.example.com/auth");
        assert_eq!(url.join("/device"), "https://login.example.com/auth/device");
        assert!(url.is_https() && !url.is_loopback());
    }

    #[test]
    fn what_is_no_issuer_is_refused() {
        for text in [
            "",
            "example.com",
            "ftp://x",
            "https://x/?q",
            "https://x/#f",
            "https://u:p@x",
            "https://x/a//b",
            "https://x/ä{}",
        ] {
            assert!(PublicUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn foreign_origins_are_foreign() {
        let local = PublicUrl::local(8628, false);
        for own in ["http://localhost:8628", "http://127.0.0.1:8628", "http://[::1]:8628"] {
            assert!(local.is_own_origin(own), "{own}");
        }
        for foreign in [
            "null",
            "http://localhost:9999",
            "https://localhost:8628",
            "http://evil.example:8628",
            "http://localhost:8628/x",
        ] {
            assert!(!local.is_own_origin(foreign), "{foreign}");
        }
        let public = PublicUrl::parse("https://login.example.com/auth").unwrap();
        assert!(public.is_own_origin("https://login.example.com"));
        assert!(!public.is_own_origin("https://login.example.com.evil.example"));
    }
}
