//! Whom webhooks may reach: the public network, and what the operator allows besides. A name is looked up
//! once, and where it leads is where the connection goes, so that nobody changes it in between.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// What is not the public network (IANA's special-purpose address registries).
const PRIVATE: [&str; 26] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
];

/// The address that a packet ends up at, where an IPv6 one holds an IPv4 one.
fn inner(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else { return address.to_canonical() };
    let bits = v6.to_bits();
    let v4 = |bits: u128| IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits & 0xFFFF_FFFF).unwrap_or(0)));
    // NAT64 (RFC 6052), 6to4 (RFC 3056), and IPv4-compatible, which nobody should use any more.
    if bits >> 32 == 0x0064_ff9b_u128 << 64 || (bits >> 32 == 0 && bits > 1) {
        v4(bits)
    } else if bits >> 112 == 0x2002 {
        v4(bits >> 80)
    } else {
        IpAddr::V6(v6)
    }
}

/// Where webhooks may go.
#[derive(Clone, Debug)]
pub struct Reach {
    allowed: Arc<[IpNet]>,
    private: Arc<[IpNet]>,
}

impl Reach {
    pub fn new(allowed: &[IpNet]) -> Self {
        let private = PRIVATE.iter().filter_map(|network| network.parse().ok()).collect();
        Self { allowed: allowed.into(), private }
    }

    pub fn may(&self, address: IpAddr) -> bool {
        let address = inner(address);
        let within = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&address));
        within(&self.allowed) || !within(&self.private)
    }

    /// Whether a URL that names an address may be called; one that names a host is judged where it leads.
    pub fn may_call(&self, url: &str) -> bool {
        match Url::parse(url).ok().as_ref().and_then(Url::host) {
            Some(Host::Ipv4(address)) => self.may(address.into()),
            Some(Host::Ipv6(address)) => self.may(address.into()),
            Some(Host::Domain(_)) => true,
            None => false,
        }
    }
}

/// Looks names up, and keeps those addresses that may be reached.
impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|found| reach.may(found.ip())).collect();
            if public.is_empty() {
                return Err(PRIVATE_ADDRESS.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

pub const PRIVATE_ADDRESS: &str =
    "it leads to a private address; allow its network with webhooks.allowed_networks";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_is_one() {
        assert_eq!(Reach::new(&[]).private.len(), PRIVATE.len());
    }

    #[test]
    fn only_the_public_network_is_reached() {
        let reach = Reach::new(&[]);
        for public in ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
        {
            assert!(reach.may(public.parse().unwrap()), "{public}");
        }
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.100.100.200",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "::127.0.0.1",
            "::ffff:0:0",
        ] {
            assert!(!reach.may(private.parse().unwrap()), "{private}");
        }
        for url in [
            "http://127.0.0.1/",
            "http://[::1]/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://[::ffff:10.0.0.1]/",
        ] {
            assert!(!reach.may_call(url), "{url}");
        }
        assert!(reach.may_call("https://hooks.example/x"));
    }

    #[test]
    fn what_is_allowed_is_reached() {
        let reach = Reach::new(&["10.0.0.0/8".parse().unwrap()]);
        assert!(reach.may("10.9.9.9".parse().unwrap()) && !reach.may("127.0.0.1".parse().unwrap()));
    }

    #[tokio::test]
    async fn names_that_lead_to_this_machine_lead_nowhere() {
        let name: Name = "localhost".parse().unwrap();
        assert!(Reach::new(&[]).resolve(name).await.is_err());
        let name: Name = "localhost".parse().unwrap();
        let own = Reach::new(&["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
        assert!(own.resolve(name).await.unwrap().next().is_some());
    }
}
