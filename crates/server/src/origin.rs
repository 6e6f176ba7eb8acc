//! Where a request came from, as far as it can be believed.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};
use countersign_core::grant::Origin;
use countersign_core::text::is_hidden;
use ipnet::IpNet;

/// Which header tells of the hops before a trusted proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HopHeader {
    /// Whichever is there. If both are and contradict each other, one of them is the visitor's own
    /// invention, and neither is believed.
    Auto,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    XForwardedFor,
}

impl HopHeader {
    pub const NAMES: [(&'static str, Self); 3] =
        [("auto", Self::Auto), ("forwarded", Self::Forwarded), ("x-forwarded-for", Self::XForwardedFor)];

    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, header)| header)
    }
}

/// The address of the client: the nearest hop that is not a trusted proxy.
pub fn client_address(
    peer: SocketAddr,
    headers: &HeaderMap,
    trusted: &[IpNet],
    believed: HopHeader,
) -> IpAddr {
    let peer = peer.ip().to_canonical();
    match believed {
        HopHeader::Forwarded => nearest(peer, &forwarded(headers), trusted),
        HopHeader::XForwardedFor => nearest(peer, &x_forwarded_for(headers), trusted),
        HopHeader::Auto => {
            let (standard, common) = (forwarded(headers), x_forwarded_for(headers));
            let (by_standard, by_common) =
                (nearest(peer, &standard, trusted), nearest(peer, &common, trusted));
            match (standard.is_empty(), common.is_empty()) {
                (_, true) => by_standard,
                (true, false) => by_common,
                (false, false) if by_standard == by_common => by_common,
                (false, false) => peer,
            }
        }
    }
}

fn nearest(peer: IpAddr, hops: &[Option<IpAddr>], trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let mut nearest = peer;
    if !is_trusted(nearest) {
        return nearest;
    }
    // The last hop in a header is the one that our proxy saw; what stands before it, anybody may
    // have written.
    for hop in hops.iter().rev() {
        let Some(address) = hop else { break };
        nearest = address.to_canonical();
        if !is_trusted(nearest) {
            break;
        }
    }
    nearest
}

/// The hops of a header from first to last, as far as they can be read. What a visitor put in front,
/// whatever bytes it is, does not keep the last one from being read.
fn hops(
    headers: &HeaderMap,
    name: HeaderName,
    read: impl Fn(&str) -> Option<IpAddr> + Copy,
) -> Vec<Option<IpAddr>> {
    let values = headers.get_all(name).iter();
    let parts = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    parts.map(|hop| std::str::from_utf8(hop).ok().and_then(read)).collect()
}

fn x_forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    hops(headers, HeaderName::from_static("x-forwarded-for"), hop_address)
}

fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    hops(headers, header::FORWARDED, |hop| {
        let for_parameter = hop.split(';').find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            name.eq_ignore_ascii_case("for").then_some(value)
        });
        for_parameter.and_then(hop_address)
    })
}

/// An address as proxies write it: bare, with a port, in brackets, in quotes.
fn hop_address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// Address and user agent as they are stored and shown.
pub fn origin(address: IpAddr, headers: &HeaderMap) -> Origin {
    let user_agent = headers.get(header::USER_AGENT).map(|value| {
        let text = String::from_utf8_lossy(value.as_bytes());
        text.chars().filter(|symbol| !is_hidden(*symbol)).take(Origin::USER_AGENT_CHARS).collect()
    });
    Origin { address: address.to_string(), user_agent: user_agent.filter(|text: &String| !text.is_empty()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen_by(believed: HopHeader, peer: &str, sent: &[(&str, &[u8])]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, axum::http::HeaderValue::from_bytes(value).unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        client_address(format!("{peer}:1234").parse().unwrap(), &headers, &trusted, believed).to_string()
    }

    fn seen(peer: &str, name: &str, value: &str) -> String {
        seen_by(HopHeader::Auto, peer, &[(name, value.as_bytes())])
    }

    #[test]
    fn a_visitor_cannot_add_the_header_that_the_proxy_does_not_set() {
        let sent: &[(&str, &[u8])] =
            &[("forwarded", b"for=203.0.113.7"), ("x-forwarded-for", b"198.51.100.9")];
        assert_eq!(seen_by(HopHeader::Auto, "10.0.0.1", sent), "10.0.0.1");
        assert_eq!(seen_by(HopHeader::XForwardedFor, "10.0.0.1", sent), "198.51.100.9");
        assert_eq!(seen_by(HopHeader::Forwarded, "10.0.0.1", sent), "203.0.113.7");
        let agreed: &[(&str, &[u8])] =
            &[("forwarded", b"for=198.51.100.9"), ("x-forwarded-for", b"198.51.100.9")];
        assert_eq!(seen_by(HopHeader::Auto, "10.0.0.1", agreed), "198.51.100.9");
    }

    #[test]
    fn odd_bytes_in_front_do_not_hide_the_last_hop() {
        let sent: &[(&str, &[u8])] = &[("x-forwarded-for", b"\xff\xfe, 198.51.100.9")];
        assert_eq!(seen_by(HopHeader::Auto, "10.0.0.1", sent), "198.51.100.9");
    }

    #[test]
    fn nobody_elses_header_is_believed() {
        assert_eq!(seen("192.0.2.1", "x-forwarded-for", "198.51.100.9"), "192.0.2.1");
        assert_eq!(seen("192.0.2.1", "forwarded", "for=198.51.100.9"), "192.0.2.1");
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_its_forger_is_not() {
        assert_eq!(seen("10.0.0.1", "x-forwarded-for", "1.1.1.1, 198.51.100.9"), "198.51.100.9");
        assert_eq!(seen("10.0.0.1", "x-forwarded-for", "1.1.1.1, 198.51.100.9, 10.2.3.4"), "198.51.100.9");
        assert_eq!(seen("10.0.0.1", "x-forwarded-for", "nonsense"), "10.0.0.1");
        assert_eq!(seen("[::1]", "forwarded", "for=\"[2001:db8::7]:4711\";proto=https"), "2001:db8::7");
        assert_eq!(seen("10.0.0.1", "forwarded", "for=1.1.1.1, for=192.0.2.60:80"), "192.0.2.60");
        assert_eq!(seen("10.0.0.1", "forwarded", "for=unknown"), "10.0.0.1");
    }
}
