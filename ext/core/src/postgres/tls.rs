//! TLS by libpq's rules: what each `sslmode` proves, and which files it reads.
//!
//! As in libpq, a root certificate that is there is used in every mode: `require` (and `prefer`, `allow`) with one behaves as
//! `verify-ca`. Only `verify-ca` and `verify-full` insist on one.

mod verifier;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{ring, CryptoProvider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::conninfo::{ConnInfoError, Roots, SslMode, TlsSettings, TlsVersion};
use verifier::{public_key, Chain, ServerVerifier};

/// The protocol's name in TLS' own negotiation; PostgreSQL 17 and later insist on it for direct TLS.
const ALPN: &[u8] = b"postgresql";

/// Reads the files and makes the connector; fails with what to correct.
pub(crate) fn connector(settings: &TlsSettings) -> Result<MakeRustlsConnect, ConnInfoError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = ServerVerifier {
        chain: chain(settings, &provider)?,
        checks_name: settings.mode == SslMode::VerifyFull,
        provider: Arc::clone(&provider),
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions(settings))
        .map_err(|error| ConnInfoError::new(format!("TLS cannot be set up: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match settings.certificate.path() {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let certified = client_certificate(path, settings, &provider)?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
        }
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.enable_sni = settings.sni;
    Ok(MakeRustlsConnect::new(config))
}

static TLS12_ONLY: [&SupportedProtocolVersion; 1] = [&TLS12];
static TLS13_ONLY: [&SupportedProtocolVersion; 1] = [&TLS13];

fn versions(settings: &TlsSettings) -> &'static [&'static SupportedProtocolVersion] {
    match (settings.version_min, settings.version_max) {
        (TlsVersion::Tls13, _) => &TLS13_ONLY,
        (_, TlsVersion::Tls12) => &TLS12_ONLY,
        _ => rustls::ALL_VERSIONS,
    }
}

/// What the server's certificate is checked against; `None` takes any certificate.
fn chain(settings: &TlsSettings, provider: &Arc<CryptoProvider>) -> Result<Option<Chain>, ConnInfoError> {
    let Some(trusted) = trusted_certificates(settings)? else {
        return Ok(None);
    };
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(trusted.iter().cloned());
    if usable == 0 {
        return Err(ConnInfoError::new("sslrootcert holds no certificate that can be used; it must be a PEM file"));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .with_crls(revocation_lists(settings)?)
        .build()
        .map_err(|error| ConnInfoError::new(format!("sslcrl or sslrootcert cannot be used: {error}")))?;
    Ok(Some(Chain { verifier, trusted }))
}

fn trusted_certificates(settings: &TlsSettings) -> Result<Option<Vec<CertificateDer<'static>>>, ConnInfoError> {
    let must_verify = matches!(settings.mode, SslMode::VerifyCa | SslMode::VerifyFull);
    match &settings.roots {
        Roots::System => system_certificates().map(Some),
        Roots::File(path) if path.exists() => read_pem(path, "sslrootcert").map(Some),
        Roots::File(path) if must_verify => Err(ConnInfoError::new(format!(
            "sslmode={} needs the root certificate file {}, which does not exist; put the authority's certificate there, \
             name it in sslrootcert, or use sslrootcert=system",
            settings.mode,
            path.display()
        ))),
        Roots::None if must_verify => Err(ConnInfoError::new(format!(
            "sslmode={} needs sslrootcert: this process has no home directory to look for root.crt in",
            settings.mode
        ))),
        Roots::File(_) | Roots::None => Ok(None),
    }
}

fn system_certificates() -> Result<Vec<CertificateDer<'static>>, ConnInfoError> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err(ConnInfoError::new(
            "sslrootcert=system: the operating system has no trusted certificates; install its ca-certificates package",
        ));
    }
    Ok(found.certs)
}

fn revocation_lists(settings: &TlsSettings) -> Result<Vec<CertificateRevocationListDer<'static>>, ConnInfoError> {
    let mut lists = match settings.crl.path() {
        Some(path) => read_pem(path, "sslcrl")?,
        None => Vec::new(),
    };
    if let Some(directory) = &settings.crl_directory {
        let entries = fs::read_dir(directory).map_err(|error| unusable("sslcrldir", directory, &error))?;
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_file()) {
            lists.extend(read_pem(&path, "sslcrldir")?);
        }
    }
    Ok(lists)
}

fn client_certificate(path: &Path, settings: &TlsSettings, provider: &CryptoProvider) -> Result<CertifiedKey, ConnInfoError> {
    let certificates = read_pem(path, "sslcert")?;
    let key_path = settings.key.as_deref().ok_or_else(|| ConnInfoError::new("sslcert is given without sslkey"))?;
    check_key_is_private(key_path)?;
    let key = PrivateKeyDer::from_pem_file(key_path).map_err(|error| {
        ConnInfoError::new(format!(
            "sslkey {0} cannot be used: {error}; it must be an unencrypted PEM file (openssl pkey -in {0} -out NEW)",
            key_path.display()
        ))
    })?;
    let key = provider.key_provider.load_private_key(key).map_err(|error| unusable("sslkey", key_path, &error))?;
    let is_mismatch = match (key.public_key(), certificates.first().map(public_key)) {
        (Some(of_key), Some(Ok(of_certificate))) => of_key != of_certificate,
        _ => false,
    };
    if is_mismatch {
        return Err(unusable("sslcert", path, &format!("it does not belong to sslkey {}", key_path.display())));
    }
    Ok(CertifiedKey::new(certificates, key))
}

/// libpq's rule: nobody else may read the key, except that root's key may be shared with a group.
fn check_key_is_private(path: &Path) -> Result<(), ConnInfoError> {
    let metadata = fs::metadata(path).map_err(|error| unusable("sslkey", path, &error))?;
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & forbidden != 0 {
        return Err(ConnInfoError::new(format!("sslkey {0} may be read by others; run: chmod 0600 {0}", path.display())));
    }
    Ok(())
}

fn read_pem<T: PemObject>(path: &Path, keyword: &str) -> Result<Vec<T>, ConnInfoError> {
    let items = T::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<T>, _>>);
    match items {
        Ok(items) if items.is_empty() => Err(unusable(keyword, path, &"it holds no PEM section of the right kind")),
        Ok(items) => Ok(items),
        Err(error) => Err(unusable(keyword, path, &error)),
    }
}

fn unusable(keyword: &str, path: &Path, why: &dyn std::fmt::Display) -> ConnInfoError {
    ConnInfoError::new(format!("{keyword} {} cannot be used: {why}", path.display()))
}
