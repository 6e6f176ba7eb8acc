//! A server, a device, a browser: what the tests speak through.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_core::audit::By;
use countersign_core::client::GrantType;
use countersign_core::secret::Plain;
use countersign_core::time::Timestamp;
use countersign_server::config::{Config, Sources, Value as Setting};
use countersign_server::flow::accounts::{self, NewAccount};
use countersign_server::flow::clients::{self, ClientSettings, Proving};
use countersign_server::flow::office::Office;
use countersign_server::serve::{Running, start};
use countersign_server::world::{Clock, Entropy};
use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Response, StatusCode};
use serde_json::Value;

pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub const PASSWORD: &str = "correct horse battery";
pub const START: Timestamp = Timestamp::from_secs(1_800_000_000);

pub struct Server {
    pub running: Running,
    pub http: reqwest::Client,
    pub folder: tempfile::TempDir,
    database: Database,
}

/// The engine under test: SQLite, or with `COUNTERSIGN_TEST_ENGINE=postgres` a schema of its own in the
/// cluster that `scripts/with-postgres` started.
#[derive(Clone)]
pub enum Database {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Database {
    async fn create(folder: &Path) -> Self {
        match std::env::var("COUNTERSIGN_TEST_ENGINE").as_deref() {
            Err(_) | Ok("sqlite") => Self::Sqlite(folder.join("countersign.db")),
            Ok("postgres") => {
                let cluster =
                    std::env::var("COUNTERSIGN_TEST_POSTGRES").expect("run this with scripts/with-postgres");
                let name = format!("t{}", uuid::Uuid::now_v7().simple());
                Self::Postgres(cluster.clone()).run(&format!("CREATE SCHEMA {name}")).await;
                Self::Postgres(format!("{cluster}?options=-csearch_path%3D{name}"))
            }
            Ok(other) => panic!("COUNTERSIGN_TEST_ENGINE={other} is neither sqlite nor postgres"),
        }
    }

    /// Runs statements behind the server's back.
    pub async fn run(&self, sql: &str) {
        match self {
            Self::Sqlite(path) => rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap(),
            Self::Postgres(url) => {
                let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
                tokio::spawn(connection);
                client.batch_execute(sql).await.unwrap();
            }
        }
    }

    /// Makes every such change of a table fail, until [`Database::mend`].
    pub async fn break_table(&self, table: &str, change: &str) {
        let sql = match self {
            Self::Sqlite(_) => format!(
                "CREATE TRIGGER broken BEFORE {change} ON {table} BEGIN SELECT RAISE(ABORT, 'injected'); END"
            ),
            Self::Postgres(_) => format!(
                "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'injected'; END $$;
                 CREATE TRIGGER broken BEFORE {change} ON {table} FOR EACH ROW EXECUTE FUNCTION broken()"
            ),
        };
        self.run(&sql).await;
    }

    pub async fn mend(&self, table: &str) {
        let sql = match self {
            Self::Sqlite(_) => "DROP TRIGGER broken".to_owned(),
            Self::Postgres(_) => format!("DROP TRIGGER broken ON {table}; DROP FUNCTION broken"),
        };
        self.run(&sql).await;
    }

    /// Everything that is stored, as it is stored; bytes also as text in hexadecimal.
    pub async fn dump(&self) -> Vec<u8> {
        match self {
            Self::Sqlite(path) => {
                let mut bytes = std::fs::read(path).unwrap();
                bytes.extend(std::fs::read(path.with_extension("db-wal")).unwrap());
                bytes
            }
            Self::Postgres(url) => {
                let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
                tokio::spawn(connection);
                let tables = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema()";
                let mut text = String::new();
                for table in client.query(tables, &[]).await.unwrap() {
                    let rows = format!("SELECT t::text FROM {} AS t", table.get::<_, String>(0));
                    let rows = client.query(&rows, &[]).await.unwrap();
                    text.extend(rows.iter().map(|row| row.get::<_, String>(0)));
                }
                text.into_bytes()
            }
        }
    }
}

/// A status and the JSON that came with it.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub json: Value,
}

impl Reply {
    pub async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let json = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self { status, headers, json }
    }

    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.json);
        self.json
    }

    #[track_caller]
    pub fn refused(&self, status: u16, error: &str) {
        assert_eq!((self.status, self.json["error"].as_str()), (status, Some(error)), "{}", self.json);
        assert!(self.json["error_description"].as_str().is_some_and(|text| !text.is_empty()));
        assert_eq!(self.headers["cache-control"], "no-store");
        assert!(self.headers.contains_key("x-request-id"));
    }
}

#[track_caller]
pub fn text<'a>(json: &'a Value, field: &str) -> &'a str {
    json[field].as_str().unwrap_or_else(|| panic!("no {field} in {json}"))
}

pub async fn server() -> Server {
    Server::with(&[]).await
}

impl Server {
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::create(folder.path()).await;
        let running = boot(folder.path(), &database, settings, Clock::manual(START)).await;
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let server = Self { running, http, folder, database };
        server.add_user("alice").await;
        server.add_client("tv", None, ClientSettings::default()).await;
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.running.address.port())
    }

    pub fn ops(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.ops_address)
    }

    pub fn pass(&self, seconds: u64) {
        self.running.app.clock.advance(Duration::from_secs(seconds));
    }

    pub fn now(&self) -> Timestamp {
        self.running.app.clock.now()
    }

    /// The command line at work.
    pub fn office(&self) -> Office<'_> {
        Office { app: &self.running.app, by: By::COMMAND_LINE, now: self.now() }
    }

    pub async fn add_user(&self, name: &str) {
        let account = NewAccount {
            name: name.parse().unwrap(),
            email: Some(format!("{name}@example.com")),
            full_name: Some(format!("{name} Example")),
            tier: None,
            admin: false,
            password: Plain::new(PASSWORD.to_owned()),
        };
        accounts::add(&self.running.app, &By::COMMAND_LINE, account, self.now()).await.unwrap().unwrap();
    }

    /// Adds a client; `secret` makes it confidential. Returns the secret.
    pub async fn add_client(&self, id: &str, secret: Option<()>, settings: ClientSettings) -> String {
        let settings =
            ClientSettings { name: settings.name.or_else(|| Some(format!("The {id}"))), ..settings };
        let proving = secret.map_or(Proving::Nothing, |()| Proving::Secret(None));
        let added = clients::add(
            &self.running.app,
            &By::COMMAND_LINE,
            id.parse().unwrap(),
            proving,
            settings,
            self.now(),
        );
        let (_, secret) = added.await.unwrap().unwrap();
        secret.map_or_else(String::new, |secret| secret.reveal().to_owned())
    }

    pub async fn api(&self) -> String {
        self.add_client("api", Some(()), ClientSettings::default()).await
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Reply {
        Reply::of(self.http.post(self.url(path)).form(form).send().await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        Reply::of(self.http.get(self.url(path)).send().await.unwrap()).await
    }

    pub async fn ask(&self, client: &str, scope: &str) -> Device {
        self.ask_with(client, &[("scope", scope)]).await
    }

    pub async fn ask_with(&self, client: &str, extra: &[(&str, &str)]) -> Device {
        let mut form = vec![("client_id", client)];
        form.extend(extra);
        let json = self.post("/oauth2/v1/device_authorization", &form).await.ok();
        Device {
            client: client.to_owned(),
            device_code: text(&json, "device_code").to_owned(),
            user_code: text(&json, "user_code").to_owned(),
            json,
        }
    }

    pub async fn poll(&self, device: &Device) -> Reply {
        self.poll_as(&device.client, device).await
    }

    pub async fn poll_as(&self, client: &str, device: &Device) -> Reply {
        let form = [("grant_type", DEVICE_CODE), ("client_id", client), ("device_code", &device.device_code)];
        self.post("/oauth2/v1/token", &form).await
    }

    pub async fn poll_with(&self, device: &Device, pin: &str) -> Reply {
        let form = [
            ("grant_type", DEVICE_CODE),
            ("client_id", device.client.as_str()),
            ("device_code", &device.device_code),
            ("initiation_pin", pin),
        ];
        self.post("/oauth2/v1/token", &form).await
    }

    /// A client with exceptions from the policy, as TOML.
    pub async fn add_client_with(&self, id: &str, policy: &str) {
        let policy = Some(toml::from_str(policy).unwrap());
        self.add_client(id, None, ClientSettings { policy, ..ClientSettings::default() }).await;
    }

    pub async fn refresh(&self, client: &str, token: &str) -> Reply {
        let form = [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
        self.post("/oauth2/v1/token", &form).await
    }

    pub async fn introspect(&self, secret: &str, token: &str) -> Value {
        let form = [("client_id", "api"), ("client_secret", secret), ("token", token)];
        self.post("/oauth2/v1/introspect", &form).await.ok()
    }

    pub async fn userinfo(&self, token: &str) -> Reply {
        Reply::of(self.http.get(self.url("/oauth2/v1/userinfo")).bearer_auth(token).send().await.unwrap())
            .await
    }

    /// A browser in which this person is signed in.
    pub async fn signed_in(&self, name: &str) -> Browser<'_> {
        let mut browser = self.browser();
        browser.get("/login?next=account").await;
        let page = browser.submit("password", &[("username", name), ("password", PASSWORD)]).await;
        assert!(page.contains("Your devices"), "{page}");
        browser
    }

    pub fn browser(&self) -> Browser<'_> {
        Browser {
            server: self,
            cookie: None,
            known: None,
            language: None,
            page: String::new(),
            status: StatusCode::OK,
            path: String::new(),
        }
    }

    /// Asks, approves as alice, and collects.
    pub async fn login(&self, client: &str, scope: &str) -> Value {
        let device = self.ask(client, scope).await;
        self.signed_in("alice").await.approve(&device).await;
        self.poll(&device).await.ok()
    }

    /// Rows of a table, which may come with a `WHERE`.
    pub async fn count(&self, table: &str) -> i64 {
        self.number(&format!("SELECT COUNT(*) FROM {table}")).await
    }

    pub async fn number(&self, sql: &str) -> i64 {
        // The store takes only texts that live as long as the program.
        let sql: &'static str = Box::leak(sql.to_owned().into_boxed_str());
        self.running.app.store.row(sql, &[]).await.unwrap().unwrap().take().unwrap()
    }

    pub const fn database(&self) -> &Database {
        &self.database
    }

    /// Another server on the same database, with the same key and clock.
    pub async fn twin(&self, settings: &[(&str, &str)]) -> Self {
        let clock = self.running.app.clock.clone();
        let running = boot(self.folder.path(), &self.database, settings, clock).await;
        let (folder, database) = (tempfile::tempdir().unwrap(), self.database.clone());
        Self { running, http: self.http.clone(), folder, database }
    }

    /// Stops the server and starts another on the same folder, at the same moment.
    pub async fn restart(self) -> Self {
        let Self { running, http, folder, database } = self;
        let clock = running.app.clock.clone();
        running.shutdown().await;
        let running = boot(folder.path(), &database, &[], clock).await;
        Self { running, http, folder, database }
    }
}

async fn boot(folder: &Path, database: &Database, settings: &[(&str, &str)], clock: Clock) -> Running {
    let mut sources = Sources::default();
    let folder = folder.display().to_string();
    let basics =
        [("data_dir", folder.as_str()), ("server.listen", "127.0.0.1:0"), ("ops.listen", "127.0.0.1:0")];
    if let Database::Postgres(url) = database {
        sources.put("database.url", Setting::One(url.clone()), "test");
        sources.put("database.pool_size", Setting::One("4".to_owned()), "test");
    }
    for (key, value) in basics.iter().chain(settings) {
        if let Some(list) = value.strip_prefix("json:") {
            sources.put(key, Setting::list(list).unwrap(), "test");
            continue;
        }
        match value.strip_prefix("list:") {
            Some(items) => {
                sources.put(key, Setting::Many(items.split(',').map(str::to_owned).collect()), "test");
            }
            None => sources.put(key, Setting::One((*value).to_owned()), "test"),
        }
    }
    let config = Config::from_sources(&sources).unwrap();
    start(config, clock, Entropy::Os).await.unwrap()
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_field_names, reason = "these are the names on the wire")]
pub struct Device {
    pub client: String,
    pub device_code: String,
    pub user_code: String,
    pub json: Value,
}

/// A browser: one cookie, one page, forms that are filled in and sent with their hidden fields.
pub struct Browser<'a> {
    server: &'a Server,
    pub cookie: Option<String>,
    /// By what the server knows it again.
    pub known: Option<String>,
    /// In which language somebody reads.
    pub language: Option<String>,
    pub page: String,
    pub status: StatusCode,
    pub path: String,
}

impl Browser<'_> {
    pub const fn server(&self) -> &Server {
        self.server
    }

    pub async fn get(&mut self, path: &str) -> String {
        let request = self.server.http.get(self.server.url(path));
        path.clone_into(&mut self.path);
        self.follow(request).await
    }

    /// Where a link leads that is not to one of our pages.
    pub async fn leads_to(&mut self, path: &str) -> String {
        let response = self.send(self.server.http.get(self.server.url(path))).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{}", response.text().await.unwrap());
        response.headers()[LOCATION].to_str().unwrap().to_owned()
    }

    /// Sends the form that holds `field`, which leads to somebody else's page.
    pub async fn leave_by(&mut self, field: &str, filled: &[(&str, &str)]) -> String {
        let mut fields = self.form(field);
        fields.extend(filled.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let action = fields.remove("action of the form").unwrap();
        let request = self.server.http.post(self.server.url(&action)).form(&fields);
        let response = self.send(request.header(ORIGIN, self.server.url(""))).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{}", response.text().await.unwrap());
        response.headers()[LOCATION].to_str().unwrap().to_owned()
    }

    /// Sends the form that holds `field`.
    pub async fn submit(&mut self, field: &str, filled: &[(&str, &str)]) -> String {
        let mut fields = self.form(field);
        fields.extend(filled.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let action = fields.remove("action of the form").unwrap();
        self.post(&action, &fields).await
    }

    /// The hidden fields of the form that holds `field`.
    #[track_caller]
    pub fn form(&self, field: &str) -> BTreeMap<String, String> {
        let form = self.page.split("<form ").skip(1).find(|form| form.contains(&format!("name=\"{field}\"")));
        let form = form.unwrap_or_else(|| panic!("no form with {field} in {}", self.page));
        let hidden = form.split("<input ").skip(1).map(|tag| tag.split('>').next().unwrap());
        let mut fields: BTreeMap<String, String> = hidden
            .filter(|tag| tag.contains("type=\"hidden\""))
            .map(|tag| (attribute(tag, "name"), attribute(tag, "value")))
            .collect();
        fields.insert("action of the form".to_owned(), attribute(form, "action"));
        fields
    }

    pub async fn post(&mut self, path: &str, fields: &BTreeMap<String, String>) -> String {
        let origin = self.server.url("");
        path.clone_into(&mut self.path);
        let request = self.server.http.post(self.server.url(path)).form(fields).header(ORIGIN, origin);
        self.follow(request).await
    }

    pub async fn follow(&mut self, request: reqwest::RequestBuilder) -> String {
        let mut response = self.send(request).await;
        while response.status() == StatusCode::SEE_OTHER {
            let location = response.headers()[LOCATION].to_str().unwrap().to_owned();
            assert!(location.starts_with('/') && !location.starts_with("//"), "redirect to {location}");
            self.path.clone_from(&location);
            response = self.send(self.server.http.get(self.server.url(&location))).await;
        }
        self.status = response.status();
        self.page = response.text().await.unwrap();
        self.page.clone()
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Response {
        let request = match &self.cookie {
            Some(cookie) => {
                let more = self.known.iter().chain(&self.language);
                let known = more.map(|cookie| format!("; {cookie}"));
                request.header(COOKIE, known.fold(cookie.clone(), |all, known| all + &known))
            }
            None => request,
        };
        let response = request.send().await.unwrap();
        for set in response.headers().get_all(SET_COOKIE) {
            let pair = set.to_str().unwrap().split(';').next().unwrap().to_owned();
            let place = match pair.split('=').next() {
                Some("countersign-known") => &mut self.known,
                Some("countersign-language") => &mut self.language,
                _ => &mut self.cookie,
            };
            *place = Some(pair);
        }
        response
    }

    /// Enters a code; afterwards the page is the confirm page, if the code was right.
    pub async fn enter(&mut self, code: &str) -> String {
        self.get("/device").await;
        self.submit("user_code", &[("user_code", code)]).await
    }

    #[track_caller]
    pub fn expect(&self, status: u16, words: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.page);
        assert!(self.page.contains(words), "no `{words}` in {}", self.page);
    }

    pub async fn approve(&mut self, device: &Device) {
        self.enter(&device.user_code).await;
        self.expect(200, "Connect this device?");
        self.submit("decision", &[("decision", "approve"), ("own_device", "yes")]).await;
        self.expect(200, "Device connected");
    }

    pub async fn deny(&mut self, device: &Device) {
        self.enter(&device.user_code).await;
        self.submit("decision", &[("decision", "deny")]).await;
        self.expect(200, "Request denied");
    }
}

fn attribute(tag: &str, name: &str) -> String {
    let (_, rest) = tag.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("no {name} in {tag}"));
    rest.split('"').next().unwrap().replace("&#38;", "&")
}

pub fn only(grant: GrantType) -> ClientSettings {
    ClientSettings { grants: Some(vec![grant]), ..ClientSettings::default() }
}
