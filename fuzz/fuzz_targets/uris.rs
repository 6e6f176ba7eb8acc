//! Addresses that clients say: where codes and browsers are sent, what tokens are for, and our own. An
//! input is two lines: what is registered, and what is asked for. What we let pass leads, as browsers
//! read it, to the host that stands in it.

#![no_main]

use countersign_core::client::{is_absolute_uri, is_listed, is_redirect_uri};
use countersign_server::config::PublicUrl;
use libfuzzer_sys::fuzz_target;
use url::{Host, Url};

/// What browsers make of a redirect URI that we let pass.
fn read(uri: &str) {
    if !is_redirect_uri(uri) {
        return;
    }
    assert!(is_absolute_uri(uri), "{uri}");
    // Where browsers refuse, such as a name that is no Punycode, nobody gets anywhere.
    let Ok(url) = Url::parse(uri) else { return };
    assert!(url.username().is_empty() && url.password().is_none(), "{uri} is {url}");
    assert!(url.fragment().is_none(), "{uri} is {url}");
    assert!(!matches!(url.scheme(), "javascript" | "data" | "vbscript" | "file" | "blob"), "{uri} is {url}");
    if url.scheme() == "http" {
        let here = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        assert!(here, "{uri} leads away");
    }
    if url.scheme() == "https" {
        let host = url.host_str().unwrap_or_default();
        assert!(!host.is_empty(), "{uri} has no host");
        let said = uri.split_once("://").map_or("", |(_, rest)| rest);
        let said = said.split(['/', '?']).next().unwrap_or_default();
        let bare =
            said.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(said, |(host, _)| host);
        match url.host() {
            // There are many ways to write one of these.
            Some(Host::Ipv6(there)) => {
                let bare = bare.trim_start_matches('[').trim_end_matches(']');
                assert_eq!(bare.parse(), Ok(there), "{uri} leads elsewhere");
            }
            _ => assert_eq!(bare.to_ascii_lowercase(), host, "{uri} leads elsewhere"),
        }
    }
}

/// Whether somebody who asks for another place than is registered gets there.
fn listed(known: &str, asked: &str) {
    if !is_redirect_uri(known) || !is_listed(&[known.to_owned()], asked) {
        return;
    }
    assert!(is_redirect_uri(asked), "{known} lets {asked} pass");
    let (Ok(mut known), Ok(mut asked)) = (Url::parse(known), Url::parse(asked)) else { return };
    if known.scheme() == "http" {
        known.set_port(None).unwrap();
        asked.set_port(None).unwrap();
    }
    assert_eq!(known, asked);
}

fn own(text: &str) {
    let Ok(url) = PublicUrl::parse(text) else { return };
    assert_eq!(PublicUrl::parse(url.issuer()).as_ref(), Ok(&url));
    let parsed = Url::parse(url.issuer()).expect("an issuer is a URL");
    assert_eq!(parsed.scheme() == "https", url.is_https());
    assert_eq!(parsed.host_str(), Some(url.host()));
    assert!(url.base_path().is_empty() || !url.base_path().ends_with('/'));
    let origin = parsed.origin().ascii_serialization();
    assert!(url.is_own_origin(&origin), "{text}");
    for foreign in ["null", "https://evil.example:1"] {
        assert!(origin == foreign || !url.is_own_origin(foreign), "{text}");
    }
    let joined = Url::parse(&url.join("/device")).expect("a page is a URL");
    assert_eq!(joined.path(), format!("{}/device", url.base_path()));
}

fuzz_target!(|text: &str| {
    let (known, asked) = text.split_once('\n').unwrap_or((text, text));
    for uri in [known, asked] {
        read(uri);
        own(uri);
    }
    listed(known, asked);
    listed(known, known);
});
