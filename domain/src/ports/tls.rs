//! The cryptography beneath TLS.

/// Makes ring the cryptography of every TLS connection that this process opens.
///
/// The HTTP clients of this process are built without cryptography of their own, so that there is one and not three. A
/// client that is built before this was called panics, so whoever builds one calls this first. A second call changes
/// nothing.
pub fn use_ring() {
    // The only error is that a provider is there already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
