//! Who the server is: libpq's (OpenSSL's) view, on top of webpki, which is stricter in three ways that real servers run into.
//!
//! - A self-signed certificate that is itself the trusted root is fine for OpenSSL; webpki will not take an authority's
//!   certificate for a server's.
//! - A certificate without subjectAltName is matched by its common name.
//! - `sslmode=require` accepts X.509 version 1, which PostgreSQL's manual produces with `openssl x509 -req`.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_name, WebPkiServerVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature_with_raw_key, CryptoProvider};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use x509_cert::der::asn1::{Ia5StringRef, PrintableStringRef, TeletexStringRef, Utf8StringRef};
use x509_cert::der::oid::db::rfc4519::COMMON_NAME;
use x509_cert::der::{Any, Decode, Encode, Tag, Tagged};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::Certificate;

/// The authorities to check against.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) verifier: Arc<WebPkiServerVerifier>,
    /// The same authorities' certificates, byte for byte.
    pub(super) trusted: Vec<CertificateDer<'static>>,
}

/// Checks the chain if there are authorities, the name if asked to, and always that the server holds its certificate's key.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    pub(super) chain: Option<Chain>,
    pub(super) checks_name: bool,
    pub(super) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(chain) = &self.chain {
            chain.verify(certificate, intermediates, name, ocsp, now)?;
        }
        if self.checks_name {
            verify_name(certificate, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    /// By the bare key, because webpki refuses to read a certificate of X.509 version 1.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(message, &public_key(certificate)?, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl Chain {
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), Error> {
        if self.trusted.iter().any(|trusted| trusted.as_ref() == certificate.as_ref()) {
            return verify_dates(certificate, now);
        }
        match self.verifier.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            // webpki looks at the name last: the chain is good.
            Err(Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })) => Ok(()),
            verified => verified.map(|_| ()),
        }
    }
}

fn verify_dates(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let validity = parse(certificate)?.tbs_certificate.validity;
    let now = Duration::from_secs(now.as_secs());
    if now < validity.not_before.to_unix_duration() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > validity.not_after.to_unix_duration() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

fn verify_name(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
    let verified = ParsedCertificate::try_from(certificate).and_then(|parsed| verify_server_name(&parsed, name));
    match common_name_without_alternatives(&parse(certificate)?) {
        Some(common_name) if verified.is_err() && matches_host(&common_name, &name.to_str()) => Ok(()),
        _ => verified,
    }
}

/// The subject's common name, unless the certificate names its hosts the modern way.
fn common_name_without_alternatives(certificate: &Certificate) -> Option<String> {
    if !matches!(certificate.tbs_certificate.get::<SubjectAltName>(), Ok(None)) {
        return None;
    }
    let attributes = certificate.tbs_certificate.subject.0.iter().flat_map(|set| set.0.iter());
    attributes.filter(|attribute| attribute.oid == COMMON_NAME).find_map(|attribute| text(&attribute.value))
}

fn text(value: &Any) -> Option<String> {
    Some(match value.tag() {
        Tag::Utf8String => Utf8StringRef::try_from(value).ok()?.as_str().to_owned(),
        Tag::PrintableString => PrintableStringRef::try_from(value).ok()?.as_str().to_owned(),
        Tag::Ia5String => Ia5StringRef::try_from(value).ok()?.as_str().to_owned(),
        Tag::TeletexString => TeletexStringRef::try_from(value).ok()?.as_str().to_owned(),
        _ => return None,
    })
}

/// libpq's matching: a leading `*.` stands for exactly one label.
fn matches_host(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        None => pattern.eq_ignore_ascii_case(host),
        Some(parent) => {
            host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest.contains('.') && rest.eq_ignore_ascii_case(parent))
        }
    }
}

/// The public key that the certificate is about.
pub(super) fn public_key(certificate: &CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    let key = parse(certificate)?.tbs_certificate.subject_public_key_info.to_der();
    key.map(SubjectPublicKeyInfoDer::from).map_err(|_| bad_encoding())
}

fn parse(certificate: &CertificateDer<'_>) -> Result<Certificate, Error> {
    Certificate::from_der(certificate.as_ref()).map_err(|_| bad_encoding())
}

fn bad_encoding() -> Error {
    CertificateError::BadEncoding.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        for (pattern, host, matches) in [
            ("db.example.com", "DB.example.com", true),
            ("*.example.com", "db.example.com", true),
            ("*.example.com", "a.db.example.com", false),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.com", "example.com", false),
            ("*", "db", false),
            ("127.0.0.1", "127.0.0.1", true),
        ] {
            assert_eq!(matches_host(pattern, host), matches, "{pattern} {host}");
        }
    }
}
