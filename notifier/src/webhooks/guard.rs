//! Where webhooks may go: public addresses, and what the operator allows. A name is resolved once, checked, and
//! connected to at the very addresses that were checked.

use async_trait::async_trait;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use url::{Host, Url};

/// Longest address that a user may name.
const LONGEST: usize = 2048;

/// A host or a network that webhooks may reach although it is private.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allow {
    /// A host by its name, whatever its addresses.
    Host(String),
    /// All addresses of a network.
    Net(IpNet),
}

impl FromStr for Allow {
    type Err = String;

    /// Reads a host's name, an address such as `10.1.2.3` or a network such as `10.0.0.0/8`.
    fn from_str(text: &str) -> Result<Allow, String> {
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Allow::Net(net));
        }
        if let Ok(addr) = text.parse::<IpAddr>() {
            return Ok(Allow::Net(addr.into()));
        }
        match Host::parse(text) {
            Ok(Host::Domain(name)) if !text.contains('/') => Ok(Allow::Host(name)),
            _ => Err(format!(
                "`{}` is no host, address or network (hint: hooks.example, 10.1.2.3 or 10.0.0.0/8)",
                text.escape_debug()
            )),
        }
    }
}

/// How names become addresses.
#[async_trait]
pub trait Names: Send + Sync + fmt::Debug {
    /// All addresses of a host.
    async fn lookup(&self, host: &str) -> std::io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug)]
pub struct SystemNames;

#[async_trait]
impl Names for SystemNames {
    async fn lookup(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok(found.map(|addr| addr.ip()).collect())
    }
}

/// Why a webhook does not go where it was sent. Never tells what a name resolved to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not even an address.
    #[error("expected an address such as https://hooks.example/path of at most {LONGEST} bytes")]
    Url,
    /// A user or password within the address.
    #[error("the address holds a user or password (verify the signature instead)")]
    Credentials,
    /// Not https.
    #[error("only https is accepted (the operator may allow http)")]
    Http,
    /// Not a public address.
    #[error(
        "the address is not a public one (the operator may allow it with SUNDOG_WEBHOOK_ALLOW)"
    )]
    Private,
}

/// Decides where webhooks may go.
#[derive(Clone, Debug)]
pub struct Guard {
    allow: Arc<[Allow]>,
    http: bool,
    names: Arc<dyn Names>,
}

impl Guard {
    /// `http`: accept plain http everywhere.
    pub fn new(allow: &[Allow], http: bool, names: Arc<dyn Names>) -> Guard {
        Guard {
            allow: allow.into(),
            http,
            names,
        }
    }

    /// Checks what can be checked without asking for a name's addresses.
    pub fn check(&self, text: &str) -> Result<Url, Refused> {
        if text.len() > LONGEST {
            return Err(Refused::Url);
        }
        let url = Url::parse(text).map_err(|_| Refused::Url)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Credentials);
        }
        let allowed = match url.host().ok_or(Refused::Url)? {
            Host::Domain(name) => self.allows_host(name),
            Host::Ipv4(addr) => self.check_literal(addr.into())?,
            Host::Ipv6(addr) => self.check_literal(addr.into())?,
        };
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.http || allowed => Ok(url),
            "http" => Err(Refused::Http),
            _ => Err(Refused::Url),
        }
    }

    /// Whether an address is allowed by name of the operator; an error if it is neither that nor public.
    fn check_literal(&self, addr: IpAddr) -> Result<bool, Refused> {
        match (self.allows(addr), is_public(addr)) {
            (true, _) => Ok(true),
            (false, true) => Ok(false),
            (false, false) => Err(Refused::Private),
        }
    }

    fn allows_host(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        let same = |allowed: &String| allowed.trim_end_matches('.').eq_ignore_ascii_case(host);
        let mut hosts = self.allow.iter();
        hosts.any(|allow| matches!(allow, Allow::Host(name) if same(name)))
    }

    fn allows(&self, addr: IpAddr) -> bool {
        let mut nets = self.allow.iter();
        nets.any(|allow| matches!(allow, Allow::Net(net) if net.contains(&addr)))
    }

    /// The addresses of a host, all of which may be connected to.
    async fn addresses(
        &self,
        host: &str,
    ) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let found = self.names.lookup(host).await?;
        let fits = |addr: &IpAddr| self.allows(*addr) || is_public(*addr);
        // A name that also has a private address is not trusted with its others.
        if !self.allows_host(host) && !found.iter().all(fits) {
            return Err(Refused::Private.into());
        }
        Ok(found
            .into_iter()
            .map(|addr| SocketAddr::new(addr, 0))
            .collect())
    }
}

/// For the client: what it connects to is what was checked.
impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found = guard.addresses(name.as_str()).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether an address belongs to the public internet.
fn is_public(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => is_public_v4(addr),
        IpAddr::V6(addr) => is_public_v6(addr),
    }
}

/// After the IANA registry of special-purpose addresses, with those of metadata services.
fn is_public_v4(addr: Ipv4Addr) -> bool {
    let [a, b, c, _] = addr.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127, _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 31, 196)
            | (192, 52, 193)
            | (192, 88, 99)
            | (192, 168, _)
            | (192, 175, 48)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
            | (224..=255, _, _)
    );
    // Public by its number, and yet the host's own service in Azure.
    !special && addr != Ipv4Addr::new(168, 63, 129, 16)
}

/// Only global unicast, without what embeds or tunnels IPv4 and what is reserved. IPv4-mapped addresses, NAT64,
/// unique local, link-local, site-local and multicast ones all lie outside 2000::/3.
fn is_public_v6(addr: Ipv6Addr) -> bool {
    let [a, b, ..] = addr.segments();
    let global = a & 0xe000 == 0x2000;
    let special = match a {
        // Protocol assignments, among them Teredo, and documentation.
        0x2001 => b < 0x0200 || b == 0x0db8,
        // 6to4.
        0x2002 => true,
        // Documentation.
        0x3fff => b < 0x1000,
        _ => false,
    };
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed(&'static [&'static str]);

    #[async_trait]
    impl Names for Fixed {
        async fn lookup(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
            Ok(self.0.iter().map(|text| text.parse().unwrap()).collect())
        }
    }

    fn guard(allow: &[&str], names: &'static [&'static str]) -> Guard {
        let allow: Vec<Allow> = allow.iter().map(|text| text.parse().unwrap()).collect();
        Guard::new(&allow, false, Arc::new(Fixed(names)))
    }

    const PRIVATE: &[&str] = &[
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "169.254.170.2",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:a00:1::",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ];
    const PUBLIC: &[&str] = &[
        "8.8.8.8",
        "1.1.1.1",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "198.20.0.1",
        "223.255.255.254",
        "2001:4860:4860::8888",
        "2606:4700::1111",
        "2a00:1450::1",
    ];

    #[test]
    fn only_public_addresses_are_public() {
        for text in PRIVATE {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in PUBLIC {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn addresses_in_any_spelling_are_checked() {
        let guard = guard(&[], &[]);
        let refused = |text: &str| guard.check(text).err();
        for text in PRIVATE {
            let host = match text.contains(':') {
                true => format!("[{text}]"),
                false => (*text).to_owned(),
            };
            let url = format!("https://{host}:8443/hook");
            assert_eq!(refused(&url), Some(Refused::Private), "{url}");
        }
        for text in [
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.0.0.1/",
            "https://0177.0.0.1/",
            "https://①②⑦.0.0.1/",
            "https://127.0.0.1./",
            "https://0/",
        ] {
            assert_eq!(refused(text), Some(Refused::Private), "{text}");
        }
        assert_eq!(refused("http://hooks.example/"), Some(Refused::Http));
        for text in [
            "ftp://hooks.example/",
            "file:///etc/passwd",
            "gopher://x/",
            "x",
            "",
            "https://",
            "unix:/x",
        ] {
            assert_eq!(refused(text), Some(Refused::Url), "{text}");
        }
        let long = format!("https://hooks.example/{}", "x".repeat(LONGEST));
        assert_eq!(refused(&long), Some(Refused::Url));
        assert_eq!(
            refused("https://user:secret@hooks.example/"),
            Some(Refused::Credentials)
        );
        assert_eq!(refused("https://hooks.example:8443/a?b=c"), None);
        assert_eq!(refused("https://8.8.8.8/"), None);
    }

    #[tokio::test]
    async fn names_are_judged_by_all_their_addresses() {
        for text in PRIVATE {
            let names: &'static [&'static str] = vec![*text].leak();
            let found = guard(&[], names).addresses("hooks.example").await;
            let error = found.unwrap_err().to_string();
            assert!(error.contains("not a public one"), "{error}");
            assert!(!error.contains(text), "{error}");
        }
        let mixed = guard(&[], &["8.8.8.8", "127.0.0.1"]);
        assert!(mixed.addresses("hooks.example").await.is_err());
        let good = guard(&[], &["8.8.8.8", "2606:4700::1111"]);
        assert_eq!(good.addresses("hooks.example").await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn the_operator_may_allow_hosts_and_networks() {
        let guard = guard(&["hooks.internal", "10.1.0.0/16", "::1"], &["10.1.2.3"]);
        assert!(guard.check("http://hooks.internal/x").is_ok());
        assert!(guard.check("http://HOOKS.internal./x").is_ok());
        assert!(guard.check("http://10.1.2.3/x").is_ok());
        assert!(guard.check("https://[::1]:9/x").is_ok());
        assert_eq!(
            guard.check("https://10.2.0.1/x").err(),
            Some(Refused::Private)
        );
        assert_eq!(guard.check("http://other/x").err(), Some(Refused::Http));
        assert!(guard.addresses("any.example").await.is_ok());
        for text in ["", "10.0.0.0/99", "a/b", "http://x"] {
            assert!(text.parse::<Allow>().is_err(), "{text}");
        }
    }
}
