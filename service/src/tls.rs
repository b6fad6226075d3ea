//! TLS by rustls, with a certificate that is read again when it changes.

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at, at most.
const AGAIN: Duration = Duration::from_secs(1);

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct Error {
    path: PathBuf,
    reason: String,
}

/// A certificate and its key. Clones share what was read.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    cert: PathBuf,
    key: PathBuf,
    held: Mutex<Held>,
}

struct Held {
    stamps: [Stamp; 2],
    looked: Instant,
    config: Arc<ServerConfig>,
}

/// What tells one state of a file from another.
type Stamp = Option<(u64, u64, i64, i64)>;

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({})", self.0.cert.display())
    }
}

impl Tls {
    /// From files in PEM: the certificate with those that lead to its root, and its key, which others must not read.
    pub fn open(cert: &Path, key: &Path) -> Result<Tls, Error> {
        let stamps = [stamp(cert), stamp(key)];
        let config = read(cert, key)?;
        Ok(Tls(Arc::new(Inner {
            cert: cert.to_owned(),
            key: key.to_owned(),
            held: Mutex::new(Held {
                stamps,
                looked: Instant::now(),
                config,
            }),
        })))
    }

    /// With the certificate as it is now. One that cannot be used leaves the former in force.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let Inner { cert, key, held } = &*self.0;
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.looked.elapsed() >= AGAIN {
            held.looked = Instant::now();
            let stamps = [stamp(cert), stamp(key)];
            if stamps != held.stamps {
                match read(cert, key) {
                    Ok(config) => {
                        tracing::info!(cert = %cert.display(), "the certificate is a new one");
                        held.config = config;
                        held.stamps = stamps;
                    }
                    // Perhaps only one of the two is there yet: they are looked at again.
                    Err(error) => tracing::warn!(%error, "the certificate stays as it was"),
                }
            }
        }
        TlsAcceptor::from(held.config.clone())
    }
}

fn stamp(path: &Path) -> Stamp {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
}

fn read(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, Error> {
    let failed = |path: &Path, reason: String| Error {
        path: path.to_owned(),
        reason,
    };
    let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect);
    let chain: Vec<CertificateDer<'static>> = chain.map_err(|error| {
        failed(
            cert,
            format!("no certificate in PEM: {error} (hint: --tls-cert)"),
        )
    })?;
    let mode = std::fs::metadata(key).map_or(0, |meta| meta.mode());
    if mode & 0o007 != 0 {
        return Err(failed(
            key,
            "others may read the key (hint: chmod 600)".into(),
        ));
    }
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| failed(key, format!("no key in PEM: {error} (hint: --tls-key)")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(chain, secret)
        });
    let mut config = config.map_err(|error| failed(cert, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
