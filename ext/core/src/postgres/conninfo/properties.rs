//! What holds for every connection string and every setting, not only for those that somebody thought of.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

type Pairs = Vec<(String, String)>;

const KEYWORDS: &[&str] = &[
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "connect_timeout",
    "client_encoding",
    "options",
    "keepalives",
    "keepalives_count",
    "tcp_user_timeout",
    "sslmode",
    "sslrootcert",
    "sslnegotiation",
    "sslcertmode",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "sslsni",
    "gssencmode",
    "channel_binding",
    "target_session_attrs",
    "load_balance_hosts",
    "sslpassword",
    "replication",
];

/// Anything at all, and strings made of what connection strings are made of: those get further into the parser.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z= '\\\\\t\nä]{0,24}",
        "postgres(ql)?://[a-z0-9:@/?&=%,\\[\\]. ä]{0,24}",
        "(host|port|sslmode) ?= ?'?[a-z0-9\\\\']{0,6}'?( user=[a-z]+)?"
    ]
}

fn any_setting() -> impl Strategy<Value = (String, String)> {
    let keyword = prop_oneof![20 => proptest::sample::select(KEYWORDS).prop_map(str::to_owned), 1 => any::<String>()];
    let value = prop_oneof![
        any::<String>(),
        "-?[0-9]{0,11}",
        "[a-z0-9.:/@-]{0,8}(,[a-z0-9.:/@-]{0,8}){0,3}",
        "(disable|allow|prefer|require|verify-(ca|full)|any|direct|TLSv1.[0-4]|system|UTF8|random)?",
        any_text()
    ];
    (keyword, value)
}

/// Settings as a URL can hold them, in the order in which it does.
fn url_parts() -> impl Strategy<Value = Pairs> {
    let hosts = vec(("[^,\0]{0,8}", proptest::option::of(1..=u16::MAX)), 1..4).prop_map(|servers| {
        let ports: Vec<String> = servers.iter().map(|(_, port)| port.map_or_else(String::new, |port| port.to_string())).collect();
        let hosts: Vec<String> = servers.into_iter().map(|(host, _)| host).collect();
        (hosts.join(","), ports.join(","))
    });
    let parameters = vec(("[a-z_]{1,8}", any::<String>()), 0..3);
    (any::<String>(), any::<String>(), hosts, any::<String>(), parameters).prop_map(|(user, password, (host, port), dbname, parameters)| {
        let before_query = [("user", user), ("password", password), ("host", host), ("port", port), ("dbname", dbname)];
        before_query.into_iter().map(|(keyword, value)| (keyword.to_owned(), value)).chain(parameters).collect()
    })
}

fn print_quoted(settings: &Pairs) -> String {
    let quoted = settings.iter().map(|(keyword, value)| format!("{keyword}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'")));
    quoted.collect::<Vec<_>>().join(" ")
}

fn print_escaped(settings: &Pairs) -> String {
    let escaped =
        settings.iter().map(|(keyword, value)| format!("{keyword} = {}", value.chars().flat_map(|c| ['\\', c]).collect::<String>()));
    escaped.collect::<Vec<_>>().join("\n")
}

fn print_url(parts: &Pairs) -> String {
    let of = |keyword: &str| parts.iter().take(5).find(|(known, _)| known == keyword).map_or("", |(_, value)| value.as_str());
    let servers: Vec<String> =
        of("host").split(',').zip(of("port").split(',')).map(|(host, port)| format!("{}:{port}", encode(host))).collect();
    let parameters: Vec<String> = parts.iter().skip(5).map(|(keyword, value)| format!("{keyword}={}", encode(value))).collect();
    format!(
        "postgres://{}:{}@{}/{}?{}",
        encode(of("user")),
        encode(of("password")),
        servers.join(","),
        encode(of("dbname")),
        parameters.join("&")
    )
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02x}") }).collect()
}

/// What a URL tells of its parts: nothing of those that are empty.
fn told(parts: Pairs) -> Pairs {
    let is_list_of_nothing = |value: &str| value.chars().all(|c| c == ',');
    let parts = parts.into_iter().enumerate().filter(|(at, (keyword, value))| {
        let is_list = *at < 5 && (keyword == "host" || keyword == "port");
        *at >= 5 || !(value.is_empty() || (is_list && is_list_of_nothing(value)))
    });
    parts.map(|(_, setting)| setting).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in any_text()) {
        let _ = ConnInfo::parse(&text);
    }

    #[test]
    fn what_is_printed_in_quotes_is_read_as_it_was(settings in vec(("[^\\s=]{1,8}", any::<String>()), 0..5)) {
        prop_assert_eq!(text::split(&print_quoted(&settings)).unwrap(), settings);
    }

    #[test]
    fn what_is_printed_with_backslashes_is_read_as_it_was(settings in vec(("[^\\s=]{1,8}", "(?s).{1,8}"), 0..5)) {
        prop_assume!(!print_escaped(&settings).starts_with("postgres"));
        prop_assert_eq!(text::split(&print_escaped(&settings)).unwrap(), settings);
    }

    #[test]
    fn what_is_printed_as_a_url_is_read_as_it_was(parts in url_parts()) {
        prop_assume!(!parts.iter().skip(5).any(|(keyword, _)| keyword == "ssl"));
        prop_assert_eq!(text::split(&print_url(&parts)).unwrap(), told(parts));
    }

    #[test]
    fn what_is_read_names_servers_that_can_be_tried(settings in vec(any_setting(), 0..8)) {
        if let Ok(conninfo) = ConnInfo::from_settings(settings) {
            prop_assert!((1..=hosts::HOSTS_MAX).contains(&conninfo.endpoints.len()));
            prop_assert!(conninfo.endpoints.iter().all(|endpoint| endpoint.port > 0 && (endpoint.host.is_some() || endpoint.address.is_some())));
            prop_assert!(!conninfo.connect_timeout.is_zero());
            prop_assert!(conninfo.tls.version_min <= conninfo.tls.version_max);
        }
    }

    #[test]
    fn no_message_and_no_debug_output_shows_the_password(settings in vec(any_setting(), 0..4), before in any::<String>(), after in any::<String>()) {
        let password = ("password".to_owned(), format!("{before}s3cret{after}"));
        let shown = match ConnInfo::from_settings(settings.into_iter().chain([password])) {
            Ok(conninfo) => format!("{conninfo:?} {conninfo}"),
            Err(error) => error.to_string(),
        };
        prop_assert!(!shown.contains("s3cret"), "{}", shown);
    }

    /// Whoever forgets to encode a password has it cut in pieces. None of them is quoted back.
    #[test]
    fn no_message_quotes_a_password_that_should_have_been_encoded(before in "[a-z][a-z0-9@/?:%&= ',]{0,4}", after in "[a-z0-9@/?:%&= ',]{0,4}") {
        if let Err(error) = ConnInfo::parse(&format!("postgres://deploy:{before}s3cret{after}@db.example/app")) {
            prop_assert!(!error.to_string().contains("s3cret"), "{}", error);
        }
    }
}
