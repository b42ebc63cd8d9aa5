//! Certificates for servers and clients, made with the openssl command, which Debian's PostgreSQL brings along.

use std::fs;
use std::process::Command;

use super::Scratch;

const NEW_KEY: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

const CA_CONFIG: &str = "
[ca]
default_ca = own
[own]
database = index.txt
serial = serial
new_certs_dir = .
certificate = ca.crt
private_key = ca.key
default_md = sha256
default_crl_days = 30
crlnumber = crlnumber
policy = any
[any]
commonName = supplied
[v3_crl]
";

/// A certificate authority in a directory of its own.
pub struct Authority {
    directory: Scratch,
}

/// A certificate and its key, as PEM text.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let authority = Self { directory: Scratch::new() };
        authority.self_signed("ca", name, &["-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
        fs::write(authority.file("ca.cnf"), CA_CONFIG).unwrap();
        fs::write(authority.file("index.txt"), "").unwrap();
        fs::write(authority.file("crlnumber"), "01\n").unwrap();
        authority
    }

    /// The authority's own certificate file.
    pub fn root(&self) -> String {
        self.file("ca.crt")
    }

    /// A certificate that the authority issues; without `extensions` it is of X.509 version 1 or without alternative names.
    pub fn issue(&self, name: &str, extensions: Option<&str>) -> Pair {
        let (key, request, certificate) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.crt"));
        let subject = format!("/CN={name}");
        self.openssl(&[&["req", "-new", "-nodes", "-subj", &subject, "-keyout", &key, "-out", &request][..], &NEW_KEY].concat());
        let mut sign = vec!["x509", "-req", "-in", &request, "-out", &certificate, "-days", "2"];
        sign.extend(["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"]);
        if let Some(extensions) = extensions {
            fs::write(self.file("extensions"), extensions).unwrap();
            sign.extend(["-extfile", "extensions"]);
        }
        self.openssl(&sign);
        self.pair(name)
    }

    /// A certificate that vouches for itself, with an authority's marks, as `openssl req -x509` makes it.
    pub fn self_signed(&self, file: &str, name: &str, options: &[&str]) -> Pair {
        let (key, certificate, subject) = (format!("{file}.key"), format!("{file}.crt"), format!("/CN={name}"));
        let request = ["req", "-x509", "-nodes", "-days", "2", "-subj", &subject, "-keyout", &key, "-out", &certificate];
        self.openssl(&[&request[..], &NEW_KEY, options].concat());
        self.pair(file)
    }

    /// The file of a certificate or key that was made here.
    pub fn file(&self, name: &str) -> String {
        self.directory.file(name)
    }

    /// A list that revokes the named certificate (or none), as a file.
    pub fn revocation_list(&self, revoked: Option<&str>) -> String {
        if let Some(name) = revoked {
            self.openssl(&["ca", "-config", "ca.cnf", "-revoke", &format!("{name}.crt")]);
        }
        let list = format!("{}.crl", revoked.unwrap_or("empty"));
        self.openssl(&["ca", "-config", "ca.cnf", "-gencrl", "-crlexts", "v3_crl", "-out", &list]);
        self.file(&list)
    }

    fn pair(&self, name: &str) -> Pair {
        let read = |extension| fs::read_to_string(self.file(&format!("{name}.{extension}"))).unwrap();
        Pair { certificate: read("crt"), key: read("key") }
    }

    fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl").args(arguments).current_dir(self.directory.path()).output().unwrap();
        assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
