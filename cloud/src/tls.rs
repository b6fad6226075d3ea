//! Which cryptography TLS uses.

/// Chooses ring for this process unless the program has chosen already.
pub(crate) fn install() {
    // An error means that a choice was made before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
