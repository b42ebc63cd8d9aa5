//! `~/.pgpass`: passwords by host, port, database and user, by libpq's rules.

use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How much of a password file is read; a file beyond that is not one.
const PASSFILE_BYTES_MAX: u64 = 1024 * 1024;

/// Which password is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: &'a str,
    pub(crate) dbname: &'a str,
    pub(crate) user: &'a str,
}

/// Why a password file that exists was not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ignored {
    OpenToOthers(PathBuf),
    NotAFile(PathBuf),
    TooLarge(PathBuf),
    Unreadable(PathBuf, String),
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenToOthers(path) => {
                write!(f, "the password file {0} was ignored because others may read it; run: chmod 0600 {0}", path.display())
            }
            Self::NotAFile(path) => write!(f, "the password file {} was ignored: it is not a plain file", path.display()),
            Self::TooLarge(path) => {
                write!(f, "the password file {} was ignored: it is larger than 1 MB", path.display())
            }
            Self::Unreadable(path, why) => write!(f, "the password file {} could not be read: {why}", path.display()),
        }
    }
}

/// The password that the file holds for `key`; a file that does not exist holds none.
pub(crate) fn look_up(path: &Path, key: Key<'_>) -> Result<Option<String>, Ignored> {
    let unreadable = |error: io::Error| Ignored::Unreadable(path.to_owned(), error.to_string());
    let metadata = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(unreadable)?,
    };
    if !metadata.is_file() {
        return Err(Ignored::NotAFile(path.to_owned()));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(Ignored::OpenToOthers(path.to_owned()));
    }
    if metadata.len() > PASSFILE_BYTES_MAX {
        return Err(Ignored::TooLarge(path.to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    Ok(find(&text, key))
}

fn find(text: &str, key: Key<'_>) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| password_if_matching(line, key))
}

fn password_if_matching(line: &str, key: Key<'_>) -> Option<String> {
    let mut rest = line;
    for wanted in [key.host, key.port, key.dbname, key.user] {
        let (field, after) = split_field(rest);
        if field.raw != "*" && field.text != wanted {
            return None;
        }
        rest = after?;
    }
    Some(split_field(rest).0.text).filter(|password| !password.is_empty())
}

struct Field<'a> {
    raw: &'a str,
    text: String,
}

/// The field before the next bare colon, without its backslashes, and what follows the colon, if there is one.
fn split_field(line: &str) -> (Field<'_>, Option<&str>) {
    let mut text = String::new();
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            ':' => return (Field { raw: &line[..at], text }, Some(&line[at + 1..])),
            '\\' => text.push(chars.next().map_or('\\', |(_, escaped)| escaped)),
            c => text.push(c),
        }
    }
    (Field { raw: line, text }, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key<'_> = Key { host: "db", port: "5432", dbname: "app", user: "me" };

    #[test]
    fn finds_the_first_line_that_matches() {
        let cases: &[(&str, Option<&str>)] = &[
            ("db:5432:app:me:one", Some("one")),
            ("# db:5432:app:me:no\r\n*:*:*:*:any\r\ndb:5432:app:me:late", Some("any")),
            ("other:5432:app:me:no\ndb:*:*:me:two\n", Some("two")),
            (r"db:5432:app:me:a\:b\\c d", Some(r"a:b\c d")),
            ("db:5432:app:me:pa:rest", Some("pa")),
            ("db:5432:app:me:ünï 'q\" %40", Some("ünï 'q\" %40")),
            ("d*:5432:app:me:no", None),
            (r"\*:5432:app:me:no", None),
            ("db:5432:app:me", None),
            ("db:5432:app:me:", None),
            ("", None),
        ];
        for (text, password) in cases {
            assert_eq!(find(text, KEY).as_deref(), *password, "{text}");
        }
    }

    #[test]
    fn matches_fields_with_escaped_colons() {
        let key = Key { host: "::1", ..KEY };
        assert_eq!(find(r"\:\:1:5432:app:me:six", key).as_deref(), Some("six"));
    }

    #[test]
    fn ignores_a_file_that_others_may_read() {
        let path = std::env::temp_dir().join(format!("good_job_rs-pgpass-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, "*:*:*:*:secret").unwrap();
        let set_mode = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();

        set_mode(0o640);
        let ignored = look_up(&path, KEY).unwrap_err();
        assert!(ignored.to_string().contains("chmod 0600") && !ignored.to_string().contains("secret"));
        set_mode(0o600);
        assert_eq!(look_up(&path, KEY), Ok(Some("secret".to_owned())));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(look_up(&path, KEY), Ok(None));
        assert!(matches!(look_up(&std::env::temp_dir(), KEY), Err(Ignored::NotAFile(_))));
    }
}
