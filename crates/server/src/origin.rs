//! Where a request came from, as far as it can be believed.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};
use countersign_core::grant::Origin;
use countersign_core::text::is_hidden;
use ipnet::IpNet;

/// The address of the client: the nearest hop that is not a trusted proxy.
pub fn client_address(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let mut nearest = peer.ip().to_canonical();
    if !is_trusted(nearest) {
        return nearest;
    }
    // The last hop in a header is the one that our proxy saw; what stands before it, anybody may
    // have written.
    for hop in forwarded(headers).into_iter().rev() {
        let Some(address) = hop else { break };
        nearest = address.to_canonical();
        if !is_trusted(nearest) {
            break;
        }
    }
    nearest
}

/// The hops of `Forwarded` (RFC 7239), else of `X-Forwarded-For`, from first to last.
fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let values = |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
    let standard: Vec<&str> = values(header::FORWARDED).flat_map(|value| value.split(',')).collect();
    if !standard.is_empty() {
        let for_parameter = |hop: &str| {
            hop.split(';').find_map(|pair| {
                let (name, value) = pair.trim().split_once('=')?;
                name.eq_ignore_ascii_case("for").then(|| hop_address(value))
            })
        };
        return standard.into_iter().map(|hop| for_parameter(hop).flatten()).collect();
    }
    let name = header::HeaderName::from_static("x-forwarded-for");
    values(name).flat_map(|value| value.split(',')).map(hop_address).collect()
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

    fn seen(peer: &str, name: &str, value: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.append(header::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        client_address(format!("{peer}:1234").parse().unwrap(), &headers, &trusted).to_string()
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
