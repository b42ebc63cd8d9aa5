//! Connection strings, both forms of libpq: `keyword=value …` and `postgresql://…`.
//!
//! Neither form's mistakes are quoted back: what was misread may be a piece of the password.

use super::{keywords, ConnInfoError};

type Settings = Vec<(String, String)>;

const SCHEMES: [&str; 2] = ["postgresql://", "postgres://"];

/// Whether libpq would read a `dbname` as a whole connection string.
pub(super) fn is_connection_string(text: &str) -> bool {
    uri_body(text).is_some() || text.contains('=')
}

/// Splits a connection string into its settings, in the order in which they were given.
pub(super) fn split(text: &str) -> Result<Settings, ConnInfoError> {
    match uri_body(text) {
        Some(body) => uri(body),
        None => keyword_values(text),
    }
}

fn uri_body(text: &str) -> Option<&str> {
    SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme))
}

fn keyword_values(text: &str) -> Result<Settings, ConnInfoError> {
    let mut settings = Settings::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (keyword, after) = rest.split_once('=').ok_or_else(|| missing_equals(settings.len() + 1))?;
        let keyword = keyword.trim_end();
        if keyword.is_empty() || keyword.contains(char::is_whitespace) {
            return Err(missing_equals(settings.len() + 1));
        }
        let (value, after) = value(after.trim_start()).map_err(|fault| fault.of(keyword))?;
        settings.push((keyword.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(settings)
}

fn missing_equals(position: usize) -> ConnInfoError {
    ConnInfoError::new(format!(
        "the connection string has no \"keyword=\" at its setting number {position}; a value with spaces needs single quotes"
    ))
}

struct Unterminated;

impl Unterminated {
    fn of(self, keyword: &str) -> ConnInfoError {
        ConnInfoError::new(format!("the quoted value of {keyword} in the connection string has no end"))
    }
}

/// One value and what follows it; a backslash takes the next character as it is, quoted or not.
fn value(text: &str) -> Result<(String, &str), Unterminated> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            c if c.is_whitespace() && !quoted => return Ok((value, &text[at..])),
            c => value.push(c),
        }
    }
    if quoted {
        Err(Unterminated)
    } else {
        Ok((value, ""))
    }
}

fn uri(body: &str) -> Result<Settings, ConnInfoError> {
    let (before_query, query) = body.split_once('?').unwrap_or((body, ""));
    let (authority, path) = before_query.split_once('/').unwrap_or((before_query, ""));
    let (credentials, hosts) = match authority.split_once('@') {
        Some((credentials, hosts)) => (credentials, hosts),
        None => ("", authority),
    };
    if hosts.contains('@') || (path.contains('@') && (path.contains('=') || !has_plain_ports(hosts))) || holds_password(query) {
        return Err(ConnInfoError::new("the connection URL's user or password holds one of @ / ?; write it as %40, %2F or %3F"));
    }

    let mut settings = Settings::new();
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    push_decoded(&mut settings, "user", user)?;
    push_decoded(&mut settings, "password", password)?;
    push_hosts(&mut settings, hosts)?;
    push_decoded(&mut settings, "dbname", path)?;
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        push_parameter(&mut settings, parameter)?;
    }
    Ok(settings)
}

fn push_decoded(settings: &mut Settings, keyword: &str, encoded: &str) -> Result<(), ConnInfoError> {
    if !encoded.is_empty() {
        settings.push((keyword.to_owned(), percent_decode(keyword, encoded)?));
    }
    Ok(())
}

fn push_hosts(settings: &mut Settings, hosts: &str) -> Result<(), ConnInfoError> {
    let pairs = hosts.split(',').map(host_and_port).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<&str> = pairs.iter().map(|(host, _)| *host).collect();
    let ports: Vec<&str> = pairs.iter().map(|(_, port)| *port).collect();
    if names.iter().any(|name| !name.is_empty()) {
        push_decoded(settings, "host", &names.join(","))?;
    }
    if ports.iter().any(|port| !port.is_empty()) {
        push_decoded(settings, "port", &ports.join(","))?;
    }
    Ok(())
}

/// False where `user:pass` of a password with a slash in it was taken for `host:port`.
fn has_plain_ports(hosts: &str) -> bool {
    let port = |host| host_and_port(host).map(|(_, port)| port);
    hosts.split(',').all(|host| port(host).is_ok_and(|port| port.bytes().all(|digit| digit.is_ascii_digit())))
}

/// Whether a password with a question mark in it may have been taken for parameters: whatever it says is not for a message to quote.
fn holds_password(query: &str) -> bool {
    let is_known = |parameter: &str| parameter.split_once('=').is_some_and(|(keyword, _)| keywords::is_known(keyword));
    query.contains('@') && !query.split('&').filter(|parameter| !parameter.is_empty()).all(is_known)
}

fn host_and_port(text: &str) -> Result<(&str, &str), ConnInfoError> {
    let Some(bracketed) = text.strip_prefix('[') else {
        return Ok(text.split_once(':').unwrap_or((text, "")));
    };
    let unclosed = || ConnInfoError::new("the IPv6 address in the connection URL must stand in [ ] before its :port");
    let (address, after) = bracketed.split_once(']').filter(|(address, _)| !address.is_empty()).ok_or_else(unclosed)?;
    match after.strip_prefix(':') {
        Some(port) => Ok((address, port)),
        None if after.is_empty() => Ok((address, "")),
        None => Err(unclosed()),
    }
}

fn push_parameter(settings: &mut Settings, parameter: &str) -> Result<(), ConnInfoError> {
    let (keyword, value) = parameter
        .split_once('=')
        .filter(|(_, value)| !value.contains('='))
        .ok_or_else(|| ConnInfoError::new("each parameter after \"?\" in the connection URL must be keyword=value"))?;
    let keyword = percent_decode("parameter", keyword)?;
    let value = percent_decode(&keyword, value)?;
    // JDBC's spelling, which libpq takes too.
    if keyword == "ssl" && value == "true" {
        settings.push(("sslmode".to_owned(), "require".to_owned()));
    } else {
        settings.push((keyword, value));
    }
    Ok(())
}

fn percent_decode(what: &str, encoded: &str) -> Result<String, ConnInfoError> {
    let malformed = || {
        ConnInfoError::new(format!(
            "the {what} in the connection URL has a \"%\" without two hexadecimal digits after it; write % itself as %25"
        ))
    };
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = after;
            continue;
        }
        let digits = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        let digits = digits.filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
        bytes.push(digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(malformed)?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).map_err(|_| ConnInfoError::new(format!("the {what} in the connection URL is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        split(text).unwrap()
    }

    fn expected(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn reads_keyword_value_strings() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("", &[]),
            ("  host=a  port = 5433 ", &[("host", "a"), ("port", "5433")]),
            ("password='a b' user=x", &[("password", "a b"), ("user", "x")]),
            (r"password='it\'s \\ ok'", &[("password", r"it's \ ok")]),
            (r"password=a\ b", &[("password", "a b")]),
            ("password= user=x", &[("password", "user=x")]),
            ("password='' user=x", &[("password", ""), ("user", "x")]),
            ("password=päss", &[("password", "päss")]),
        ];
        for (text, list) in cases {
            assert_eq!(pairs(text), expected(list), "{text}");
        }
    }

    #[test]
    fn reads_urls() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("postgresql://", &[]),
            ("postgres://localhost", &[("host", "localhost")]),
            ("postgres:///app", &[("dbname", "app")]),
            (
                "postgres://u:p%40%3a%25%20%c3%a9@h:1/d?sslmode=require",
                &[("user", "u"), ("password", "p@:% é"), ("host", "h"), ("port", "1"), ("dbname", "d"), ("sslmode", "require")],
            ),
            ("postgresql://a:1,b,[::1]:3/", &[("host", "a,b,::1"), ("port", "1,,3")]),
            ("postgresql://%2Fvar%2Frun/db", &[("host", "/var/run"), ("dbname", "db")]),
            ("postgresql:///db?host=/tmp&ssl=true", &[("dbname", "db"), ("host", "/tmp"), ("sslmode", "require")]),
            ("postgresql://h?application_name=a%20b", &[("host", "h"), ("application_name", "a b")]),
        ];
        for (text, list) in cases {
            assert_eq!(pairs(text), expected(list), "{text}");
        }
    }

    #[test]
    fn names_the_fault_without_quoting_what_may_be_a_password() {
        for text in [
            "password=s3cret s3cond user=x",
            "password='s3cret",
            "postgres://u:s3cret%4@h",
            "postgres://u:s3cret@s3cret@h",
            "postgres://u:s3cret/x@h/db",
            "postgres://u:s3cret?x@h/db",
            "postgres://u:x?s3cret=x@h/db",
            "postgres://u:x@?s3cret=x@h/db",
            "postgres://u:x@/s3cret=x@h/db",
            "postgres://u:s3cret@[::1",
            "postgres://u:s3cret@h?x",
            "postgres://u:s3cret%ff@h",
        ] {
            let message = split(text).unwrap_err().to_string();
            assert!(!message.contains("s3c"), "{text}: {message}");
        }
    }
}
