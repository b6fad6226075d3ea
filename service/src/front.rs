//! What stands between clients and a service: TLS of its own, and proxies that may say for whom they ask.

use crate::tls::Tls;
use http::HeaderMap;
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Who comes in by which way.
#[derive(Clone, Debug, Default)]
pub struct Front {
    /// TLS; plain HTTP where there is none.
    pub tls: Option<Tls>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub proxies: Vec<IpNet>,
}

/// A connection, plain or not.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

impl Front {
    /// The connection as it is spoken on. None where the other side does not get that far in time.
    pub(crate) async fn open(&self, stream: TcpStream, patience: Duration) -> Option<Box<dyn Io>> {
        let Some(tls) = &self.tls else {
            return Some(Box::new(stream));
        };
        let shaken = tokio::time::timeout(patience, tls.acceptor().accept(stream)).await;
        match shaken {
            Ok(Ok(stream)) => Some(Box::new(stream)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a connection without TLS");
                None
            }
            Err(_) => None,
        }
    }

    /// For whom a request is: its peer, or whom the nearest strange address behind trusted proxies names.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let trusted = |ip: &IpAddr| self.proxies.iter().any(|net| net.contains(ip));
        let mut client = peer.to_canonical();
        if !trusted(&client) {
            return client;
        }
        let said = headers.get_all("x-forwarded-for").iter();
        let said: Vec<&str> = said.filter_map(|value| value.to_str().ok()).collect();
        let said = said.join(",");
        // Each proxy adds whom it heard at the end.
        for text in said.rsplit(',') {
            let Ok(ip) = text.trim().parse::<IpAddr>() else {
                break;
            };
            client = ip.to_canonical();
            if !trusted(&client) {
                break;
            }
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_say_for_whom_they_ask() {
        let front = Front {
            tls: None,
            proxies: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        };
        let of = |peer: &str, said: &[&str]| {
            let mut headers = HeaderMap::new();
            for text in said {
                headers.append("x-forwarded-for", text.parse().unwrap());
            }
            front.client(peer.parse().unwrap(), &headers).to_string()
        };
        assert_eq!(of("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(of("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(of("::ffff:10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        // What a client itself said comes first, and is not believed.
        assert_eq!(
            of("10.0.0.1", &["6.6.6.6, 198.51.100.7, 10.0.0.2"]),
            "198.51.100.7"
        );
        assert_eq!(of("10.0.0.1", &["6.6.6.6", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(of("10.0.0.1", &["6.6.6.6, nonsense"]), "10.0.0.1");
        assert_eq!(of("::1", &[]), "::1");
    }
}
