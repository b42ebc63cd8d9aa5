//! How each session is set up, in one round trip.

use std::fmt::Write;

use super::conninfo::ConnInfoError;

/// What every session of a runtime has in common.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Session {
    /// The zone in which Active Record writes its timestamps, so that the database's "now" means the same as theirs.
    pub timezone: String,
    /// Schemas as Active Record takes them: a list for SET search_path.
    pub schema_search_path: Option<String>,
    /// Further settings of the server; `None` stands for DEFAULT.
    pub variables: Vec<(String, Option<String>)>,
    /// Shown in pg_stat_activity; empty leaves the connection's own.
    pub application_name: String,
    /// Whether a server will not do that takes no writes, whatever target_session_attrs says.
    pub writes: bool,
}

impl Session {
    /// The statements to run, as one text.
    ///
    /// The time zone comes after the variables, which may name another: Active Record writes timestamps without regard to
    /// that, and so must we.
    pub(crate) fn statements(&self) -> Result<String, ConnInfoError> {
        let mut sql = String::from("SET client_min_messages TO warning");
        if let Some(path) = self.schema_search_path.as_deref().filter(|path| !path.trim().is_empty()) {
            let value = literal("schema_search_path", &search_path(path))?;
            let _ = write!(sql, "; SELECT pg_catalog.set_config('search_path', {value}, false)");
        }
        for (name, value) in &self.variables {
            let value = match value {
                Some(value) => literal(name, value)?,
                None => "DEFAULT".to_owned(),
            };
            let _ = write!(sql, "; SET SESSION {} TO {value}", identifier(name)?);
        }
        let timezone = literal("timezone", &self.timezone)?;
        let _ = write!(sql, "; SET TimeZone TO {timezone}; SET standard_conforming_strings TO on");
        Ok(sql)
    }
}

/// A quoted literal that means the same whatever standard_conforming_strings is.
fn literal(name: &str, value: &str) -> Result<String, ConnInfoError> {
    if value.contains('\0') {
        return Err(ConnInfoError::new(format!("the value of {name} contains a NUL byte, which PostgreSQL cannot take")));
    }
    let quoted = value.replace('\'', "''");
    Ok(if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', r"\\")) } else { format!("'{quoted}'") })
}

/// A setting's name, perhaps with a prefix (`auto_explain.log_min_duration`), quoted.
fn identifier(name: &str) -> Result<String, ConnInfoError> {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
    };
    if !name.split('.').all(is_part) {
        return Err(ConnInfoError::new(format!(
            "variables has {name:?}, which is not the name of a setting: letters, digits, _ and . are allowed"
        )));
    }
    Ok(name.split('.').map(|part| format!("\"{part}\"")).collect::<Vec<_>>().join("."))
}

/// Active Record puts its text behind `SET search_path TO`, where a name may stand in single quotes; set_config knows double
/// quotes only.
fn search_path(list: &str) -> String {
    let mut path = String::with_capacity(list.len());
    let mut quote = None;
    let mut chars = list.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '\'' | '"') => {
                quote = Some(c);
                path.push('"');
            }
            (Some('\''), '\'') if chars.peek() == Some(&'\'') => path.extend(chars.next()),
            (Some('\''), '"') => path.push_str("\"\""),
            (Some(open), c) if c == open => {
                quote = None;
                path.push('"');
            }
            (_, c) => path.push(c),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session { timezone: "UTC".to_owned(), ..Session::default() }
    }

    #[test]
    fn sets_the_time_zone_after_the_variables() {
        let session = Session {
            schema_search_path: Some("app, public".to_owned()),
            variables: vec![
                ("statement_timeout".to_owned(), Some("5s".to_owned())),
                ("my.Setting".to_owned(), Some(r"it's \ odd".to_owned())),
                ("work_mem".to_owned(), None),
                ("TimeZone".to_owned(), Some("Asia/Tokyo".to_owned())),
            ],
            ..session()
        };
        assert_eq!(
            session.statements().unwrap(),
            "SET client_min_messages TO warning; SELECT pg_catalog.set_config('search_path', 'app, public', false); \
             SET SESSION \"statement_timeout\" TO '5s'; SET SESSION \"my\".\"Setting\" TO E'it''s \\\\ odd'; \
             SET SESSION \"work_mem\" TO DEFAULT; SET SESSION \"TimeZone\" TO 'Asia/Tokyo'; \
             SET TimeZone TO 'UTC'; SET standard_conforming_strings TO on"
        );
    }

    #[test]
    fn refuses_names_that_are_not_settings() {
        for name in ["", "a b", "a;b", "1a", "a.", "a\"b", "ünï", "a--b"] {
            let variables = vec![(name.to_owned(), None)];
            let error = Session { variables, ..session() }.statements().unwrap_err();
            assert!(error.to_string().contains(&format!("{name:?}")), "{name}: {error}");
        }
    }

    #[test]
    fn refuses_nul_bytes() {
        let variables = vec![("a".to_owned(), Some("x\0".to_owned()))];
        assert!(Session { variables, ..session() }.statements().is_err());
    }

    #[test]
    fn takes_search_paths_as_active_record_does() {
        for (list, path) in [
            ("app,public", "app,public"),
            (r#""$user", public"#, r#""$user", public"#),
            (r#""Od""d", x"#, r#""Od""d", x"#),
            ("'it''s', 'a\"b'", r#""it's", "a""b""#),
            (r#""it's""#, r#""it's""#),
        ] {
            assert_eq!(search_path(list), path, "{list}");
        }
    }
}
