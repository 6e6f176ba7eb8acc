//! Every key, with its default and its meaning.

/// One key: its name, its default as it would stand in a file, and what it means.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub key: &'static str,
    pub default: &'static str,
    pub list: bool,
    /// Holds a secret: it has a `…_file` twin, and `config show` does not print it.
    pub secret: bool,
    pub meaning: &'static str,
}

const fn setting(key: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting { key, default, list: false, secret: false, meaning }
}

const fn list(key: &'static str, meaning: &'static str) -> Setting {
    Setting { key, default: "", list: true, secret: false, meaning }
}

const fn secret(key: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting { key, default, list: false, secret: true, meaning }
}

const fn secret_list(key: &'static str, meaning: &'static str) -> Setting {
    Setting { key, default: "", list: true, secret: true, meaning }
}

/// Every key that this program knows. An empty default means: unset.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    setting("data_dir", "countersign-data", "folder of the SQLite file and the key file; created with mode 0700"),
    setting("server.listen", "127.0.0.1:8628", "address and port of the public listener; port 0 picks one and logs it"),
    setting("server.public_url", "", "issuer, and base of every URL sent out; without it http://localhost:<port>"),
    list("server.trusted_proxies", "networks (CIDR) whose Forwarded and X-Forwarded-For headers are believed"),
    setting("server.forwarded_header", "auto", "the header that the trusted proxies set: forwarded, x-forwarded-for, or auto: whichever is there, and neither if both are and contradict each other"),
    setting("server.max_sockets", "20000", "open WebSockets at most, besides other connections; further ones are refused"),
    setting("server.max_connections", "10000", "open connections at most; further ones wait until one ends"),
    setting("server.allow_insecure_http", "false", "allow a public_url with plain http on a host that is not this machine"),
    setting("server.tls.cert_file", "", "PEM file with the certificate chain; serve TLS without a proxy"),
    setting("server.tls.key_file", "", "PEM file with the private key of server.tls.cert_file"),
    setting("ops.listen", "127.0.0.1:9628", "address and port of the private listener: /livez, /readyz, /metrics"),
    secret("database.url", "", "sqlite://<path> or postgres://user:password@host:5432/database; without it sqlite://<data_dir>/countersign.db"),
    setting("database.pool_size", "16", "PostgreSQL: connections of this node that write, at most"),
    setting("database.read_connections", "2", "PostgreSQL: connections of this node over which reads are pipelined"),
    setting("database.connect_timeout", "5s", "PostgreSQL: how long a connection may take, or be waited for"),
    setting("database.statement_timeout", "10s", "PostgreSQL: how long one statement may take"),
    setting("database.ca_file", "", "PostgreSQL: PEM file with the certificates to trust; without it those of the system. TLS is used with other machines unless the URL says sslmode=disable"),
    setting("secrets.key_file", "", "file with the 32 bytes that seal secrets; without it <data_dir>/secret.key"),
    setting("device.code_ttl", "30m", "how long a user code can be entered and a device code polled"),
    setting("device.interval", "5s", "how long a device waits between polls; whole seconds"),
    setting("device.user_code", "unambiguous-8", "shape of user codes: unambiguous-8, unambiguous-10, consonants-8, digits-9"),
    setting("device.verification_path", "/device", "path of the page on which people enter codes"),
    setting("cli.code_ttl", "15m", "how long a code of the CLI door can be used, in either direction"),
    setting("cli.interval", "5s", "how long a command line waits between polls; whole seconds"),
    setting("cli.key_ttl", "365d", "lifetime of API keys, unless whoever makes one says otherwise"),
    setting("cli.key_prefix", "cs", "API keys read <prefix>_sk_…"),
    setting("cli.verification_url", "", "page to which command lines send people, without query and fragment; without it the page of device.verification_path"),
    list("cli.trusted_issuers", "whose JWTs count as a signed-in person: tables { issuer, jwks_url?, audience, subject_claim = \"sub\" }; without jwks_url the issuer's discovery document says where its keys are"),
    setting("cli.reverse_code_length", "6", "symbols of a code that people type into a command line, from 6 to 12"),
    setting("pairing.code_ttl", "300s", "how long a pairing code can be used"),
    setting("pairing.cleanup_interval", "300s", "time between two sweeps of pairing codes whose time is over"),
    setting("pairing.approval", "user", "who approves pairings: user, a signed-in person or an operator's socket; or self, the node itself, on networks where everybody is trusted"),
    setting("pairing.token_ttl", "", "lifetime of device tokens; without it until they are revoked"),
    setting("pairing.token_hash", "sha256", "argon2id keeps such a hash beside the digest, so that device tokens can be exported"),
    list("pairing.allowed_origins", "origins of web pages that may open sockets, besides our own"),
    setting("pairing.ping_interval", "30s", "silence after which a socket is asked whether it is still there"),
    setting("pairing.pong_timeout", "20s", "how long it may take to answer that"),
    secret_list("pairing.gateway_tokens", "tokens of operators' and services' sockets: tables { token, role, scopes }"),
    setting("tokens.access_ttl", "1h", "lifetime of access and ID tokens"),
    setting("tokens.refresh_ttl", "30d", "lifetime of a device's login, however often it is refreshed"),
    setting("tokens.refresh_idle_ttl", "14d", "lifetime of one refresh token that nobody uses"),
    setting("tokens.reuse_grace", "10s", "how long a spent refresh token still gets a successor, for lost answers"),
    setting("tokens.signing_alg", "ES256", "signature of access tokens: ES256, RS256 or EdDSA"),
    secret("registration.initial_access_token", "", "with this token clients may register themselves (RFC 7591); without it nobody may"),
    list("registration.scopes", "scopes that such clients may have; without it openid profile email offline_access"),
    secret_list("upstream", "identity providers (OpenID Connect) that people sign in with: tables { id, issuer, client_id, client_secret or client_secret_file, label, icon_file, scopes, claims = { username, email, name }, allowed_domains, rules = [{ claim, any_of }], required_acr, required_amr, multi_factor_acr }; see identity-providers.md"),
    setting("login.passwords", "true", "whether people may sign in with a password; without, with one of [[upstream]] or a passkey"),
    setting("login.session_ttl", "12h", "how long a browser stays signed in"),
    setting("login.fresh_for", "10m", "how long after a sign-in people may change what they sign in with"),
    setting("login.second_factor", "optional", "from whom a second factor is demanded before they approve or make anything: optional, administrators or everybody"),
    setting("approval.max_age", "", "how old the sign-in behind an approval may be; without it as old as the session, unless the device asked for less"),
    setting("approval.acr", "single-factor", "what the sign-in behind an approval must have been: single-factor or multi-factor"),
    setting("approval.mismatch", "warn", "what follows where device and person are in different places (another network, /24 or /56, or another network operator or country where approval.geoip_file tells): off, warn on the confirm page, step_up to a fresh sign-in, or deny"),
    setting("approval.geoip_file", "", "file in MaxMind's format that knows the country of addresses, such as GeoLite2-Country.mmdb; read at start"),
    setting("approval.geoip_asn_file", "", "the same for network operators, such as GeoLite2-ASN.mmdb, where approval.geoip_file does not know them"),
    setting("approval.initiation_check", "off", "pin: after Approve the browser shows two digits that must be typed on the device before it gets anything"),
    setting("approval.code_ttl", "", "how long any code lives, at most; without it as long as its door or its client says"),
    list("approval.scope_cap", "scopes that tokens and keys may have; others are left out of what is asked; without it all"),
    setting("approval.complete_uri", "true", "whether links may carry the user code; without, people type it"),
    list("approval.allowed_requester_cidrs", "networks from which devices may ask; without it all"),
    setting("login.password_workers", "0", "password checks at the same time; 0 means one for each processor"),
    setting("detection.asks_per_address", "20", "device codes a minute for one address from which on that is suspicious"),
    setting("detection.denials_per_client", "10", "denials an hour of what one client asked, from which on that is suspicious"),
    setting("detection.block", "false", "whether what is suspicious is stopped, too: further questions of that address or client, and codes that a second person enters"),
    setting("notices.new_device", "true", "whether people are told by mail, and webhooks, of each device that is connected to an account"),
    setting("notices.link_ttl", "7d", "how long the link in such a notice can disconnect the device"),
    secret("mail.smtp_url", "", "how mail is sent: smtps://user:password@host, or smtp://user:password@host:587?tls=required; without it none is"),
    setting("mail.from", "", "sender of mail, such as Example <devices@example.com>"),
    setting("mail.language", "en", "language of mail"),
    secret_list("webhooks.endpoints", "who is told of events, by Standard Webhooks: tables { id, url, secret or secret_file, events }; without events of all"),
    list("webhooks.allowed_networks", "networks that are not public and may be called all the same, such as 10.0.0.0/8; without it webhooks reach public addresses alone"),
    setting("rate_limit.enabled", "true", "whether the limits below hold"),
    setting("rate_limit.device_codes_per_address", "60", "device codes a minute for one address"),
    setting("rate_limit.device_codes_per_client", "600", "device codes a minute for one client"),
    setting("rate_limit.wrong_codes_per_account", "10", "wrong user codes in 10 minutes for one account, then a growing wait"),
    setting("rate_limit.wrong_codes_per_address", "30", "wrong user codes in 10 minutes for one address, then a growing wait"),
    setting("rate_limit.wrong_reverse_codes_per_address", "5", "wrong codes in a minute that one address types into command lines"),
    setting("rate_limit.wrong_reverse_codes", "300", "wrong codes in a minute that all addresses together type into command lines"),
    setting("rate_limit.pairing_codes_per_address", "60", "pairing codes a minute for one address"),
    setting("rate_limit.sockets_per_address", "64", "open sockets of one address"),
    setting("rate_limit.upgrades_per_address", "600", "sockets that one address opens a minute"),
    setting("rate_limit.passkeys_per_address", "60", "sign-ins with a passkey that one address begins a minute"),
    setting("rate_limit.upstream_sign_ins_per_address", "60", "sign-ins with an identity provider that one address begins a minute"),
    setting("rate_limit.imported_tokens_per_address", "60", "argon2id checks of imported device tokens a minute for one address"),
    setting("rate_limit.wrong_passwords_per_account", "10", "wrong passwords in 15 minutes for one user name, then a growing wait"),
    setting("rate_limit.wrong_passwords_per_address", "100", "wrong passwords in 15 minutes for one address, then a growing wait"),
    setting("retention.grants", "7d", "how long ended grants are kept; an hour, if nobody ever entered their code"),
    setting("retention.tokens", "30d", "how long ended device logins stay in the inventory"),
    setting("retention.audit", "365d", "how long audit rows are kept, 1s at least"),
    setting("retention.figures", "90d", "how long the hourly figures of the overview are kept"),
    setting("retention.interval", "60s", "time between two sweeps"),
    setting("retention.batch", "500", "rows that one statement of a sweep deletes at most"),
    setting("telemetry.otlp.endpoint", "", "OpenTelemetry collector that traces are sent to (OTLP/HTTP), such as http://127.0.0.1:4318; without it none are. Needs a build with the feature otlp"),
    secret_list("telemetry.otlp.headers", "headers for it, such as [\"authorization: Bearer …\"]"),
    setting("telemetry.otlp.sample", "1", "share of requests that are traced, from 0 to 1"),
    setting("log.level", "info", "what is logged: error, warn, info, debug, trace, or a filter such as countersign_server=debug"),
    setting("log.format", "text", "how it is logged: text or json"),
];
