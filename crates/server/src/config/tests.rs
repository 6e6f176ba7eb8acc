use super::*;

fn with(pairs: &[(&str, &str)]) -> Result<Config, Problems> {
    let mut sources = Sources::default();
    for (key, value) in pairs {
        sources.put(key, Value::One((*value).to_owned()), "test");
    }
    Config::from_sources(&sources)
}

fn problem(key: &str, value: &str) -> String {
    with(&[(key, value)]).expect_err("should be refused").to_string()
}

#[test]
fn the_defaults_are_a_configuration() {
    let config = with(&[]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8628");
    assert_eq!(config.public_url(config.listen).issuer(), "http://localhost:8628");
    assert_eq!(sqlite_path(&config), "countersign-data/countersign.db");
    assert_eq!(config.device.code_ttl, Duration::from_mins(30));
    assert_eq!(config.lifetimes.refresh, Duration::from_hours(720));
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    assert!(problem("device.code_tll", "5m").contains("device.code_tll (test)"));
    assert!(problem("device.code_tll", "5m").contains("did you mean device.code_ttl?"));
}

#[test]
fn bad_values_name_their_key_and_what_was_expected() {
    for (key, value, hint) in [
        ("server.listen", "8628", "an address and a port"),
        ("device.code_ttl", "5 minutes", "such as 250ms, 5s"),
        ("device.interval", "1500ms", "whole seconds"),
        ("device.interval", "0s", "from 1s to 5m"),
        ("device.user_code", "digits-4", "unambiguous-10"),
        ("device.verification_path", "device", "begin with a slash"),
        ("server.public_url", "http://login.example.com", "plain http is refused"),
        ("server.tls.cert_file", "/x.pem", "server.tls.key_file"),
        ("database.url", "mysql://x", "expected sqlite://"),
        ("rate_limit.wrong_codes_per_account", "0", "from 1 on"),
        ("tokens.signing_alg", "HS256", "ES256, RS256, EdDSA"),
        ("ops.listen", "127.0.0.1:8628", "another address than server.listen"),
        ("retention.audit", "0s", "from 1s"),
        ("log.format", "xml", "text, json"),
        ("log.level", "foo", "off, error, warn, info"),
        ("device.verification_path", "/login", "taken by other pages"),
        ("device.verification_path", "/oauth2/v1/token", "taken by other pages"),
    ] {
        let text = problem(key, value);
        assert!(text.contains(hint), "{key} = {value}: {text}");
    }
}

#[test]
fn traces_need_a_build_that_has_them() {
    let found =
        with(&[("telemetry.otlp.endpoint", "http://127.0.0.1:4318/"), ("telemetry.otlp.sample", "0.5")]);
    if cfg!(feature = "otlp") {
        let traces = found.unwrap().traces.unwrap();
        assert_eq!(traces.url, "http://127.0.0.1:4318/v1/traces");
        assert!((traces.sample - 0.5).abs() < f64::EPSILON);
    } else {
        assert!(found.unwrap_err().to_string().contains("--features otlp"));
    }
    for bad in
        ["collector:4318", "https://user:word@collector", "https://collector?key=word", "grpc://collector"]
    {
        let said = problem("telemetry.otlp.endpoint", bad);
        assert!(said.contains("expected an http or https URL"), "{said}");
    }
    for bad in ["1.5", "-1", "NaN", "half"] {
        assert!(problem("telemetry.otlp.sample", bad).contains("a number from 0 to 1"));
    }
    let mut sources = Sources::default();
    sources.put("telemetry.otlp.headers", Value::Many(vec!["key: a\nb".to_owned()]), "test");
    let said = Config::from_sources(&sources).unwrap_err().to_string();
    assert!(said.contains("is no header"), "{said}");
}

#[test]
fn all_problems_are_told_at_once() {
    let problems = with(&[("server.listen", "x"), ("log.format", "y"), ("nope", "z")]).unwrap_err();
    assert_eq!(problems.0.len(), 3);
}

#[test]
fn plain_http_is_for_this_machine_or_those_who_insist() {
    assert!(with(&[("server.public_url", "http://127.0.0.1:9000")]).is_ok());
    let insist = [("server.public_url", "http://login.lan"), ("server.allow_insecure_http", "true")];
    assert!(with(&insist).is_ok());
}

#[test]
fn later_sources_win_and_lists_in_the_environment_are_json() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("countersign.toml");
    std::fs::write(
        &file,
        "[device]\ncode_ttl = \"5m\"\ninterval = \"7s\"\n[server]\ntrusted_proxies = [\"10.0.0.0/8\"]\n",
    )
    .unwrap();
    let mut sources = Sources::default();
    sources.file(&file).unwrap();
    let variables = [
        ("COUNTERSIGN_DEVICE__CODE_TTL", "6m"),
        ("COUNTERSIGN_SERVER__TRUSTED_PROXIES", "[\"127.0.0.1\", \"fd00::/8\"]"),
        ("COUNTERSIGN_DATA_DIR", "/data"),
        ("COUNTERSIGN_PORT_8628_TCP_ADDR", "10.0.0.1"),
        ("COUNTERSIGN_SERVICE_HOST", "10.0.0.1"),
        ("COUNTERSIGN_PORT", "tcp://10.0.0.1:8628"),
        ("PATH", "/bin"),
    ];
    sources.environment(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let config = Config::from_sources(&sources).unwrap();
    assert_eq!(config.device.code_ttl, Duration::from_mins(6));
    assert_eq!(config.device.interval, Duration::from_secs(7));
    assert_eq!(config.trusted_proxies.len(), 2);
    assert_eq!(config.data_dir, PathBuf::from("/data"));
}

#[test]
fn an_underscore_that_is_missing_in_a_variable_is_told() {
    for (name, meant) in [
        ("COUNTERSIGN_PUBLIC_URL", "COUNTERSIGN_SERVER__PUBLIC_URL"),
        ("COUNTERSIGN_SERVER_LISTEN", "COUNTERSIGN_SERVER__LISTEN"),
    ] {
        let mut sources = Sources::default();
        sources.environment([(name.to_owned(), "x".to_owned())]);
        let said = Config::from_sources(&sources).unwrap_err().to_string();
        assert!(said.contains(&format!("({name})")) && said.contains(meant), "{said}");
    }
}

#[test]
fn a_secret_may_lie_in_a_file_and_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    std::fs::write(&file, "sqlite:///srv/x.db\n").unwrap();
    let mut sources = Sources::default();
    sources.put("database.url_file", Value::One(file.display().to_string()), "test");
    assert_eq!(sqlite_path(&Config::from_sources(&sources).unwrap()), "/srv/x.db");
    assert!(sources.shown().iter().all(|(_, value, _)| !value.contains("srv")));
}

#[test]
fn the_environment_is_checked_as_well() {
    let mut sources = Sources::default();
    sources.environment([("COUNTERSIGN_DEVICE__INTERVALL".to_owned(), "5s".to_owned())]);
    let text = Config::from_sources(&sources).unwrap_err().to_string();
    assert!(text.contains("COUNTERSIGN_DEVICE__INTERVALL") && text.contains("device.interval"), "{text}");
}

fn sqlite_path(config: &Config) -> &str {
    match &config.database {
        Location::Sqlite(path) => path.to_str().unwrap(),
        Location::Postgres(options) => panic!("{options:?}"),
    }
}

#[test]
fn a_postgres_url_is_checked_and_its_password_is_not_repeated() {
    let read = |url: &str| {
        let mut sources = Sources::default();
        sources.put("database.url", Value::One(url.to_owned()), "test");
        Config::from_sources(&sources).map(|config| match config.database {
            Location::Postgres(options) => options,
            Location::Sqlite(path) => panic!("{path:?}"),
        })
    };
    let good = read("postgres://me:hunter2@db.example:5433/app").unwrap();
    assert_eq!(good.place(), "postgres database app on db.example");
    assert!(!format!("{good:?}").contains("hunter2"));
    for (bad, words) in [
        ("postgres://me:hunter2@db.example:99999/app", "cannot be read"),
        ("postgres://", "names no host"),
        ("postgres://db.example/app", "names no user"),
        ("mysql://me:hunter2@db.example/app", "postgres://user"),
    ] {
        let error = read(bad).unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains("hunter2"), "{bad}: {error}");
    }
}
