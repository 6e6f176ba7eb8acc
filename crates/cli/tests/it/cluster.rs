//! Three nodes on one database: people and devices cross nodes on every step, while nodes are killed
//! and the database is cut off.

use std::net::TcpListener as Probe;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::fleet::{Balancer, Browser, CROWD, Caller, Device, SETTINGS, insist, live};
use crate::process::{Server, add_user_at, failure, json, run, schema, stdout};

const NODES: usize = 3;

/// Stands between the nodes and the database, and can go away.
struct Proxy {
    port: u16,
    open: watch::Sender<bool>,
}

impl Proxy {
    async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (open, seen) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut inner, _)) = listener.accept().await {
                let (mut seen, target) = (seen.clone(), target.clone());
                tokio::spawn(async move {
                    if !*seen.borrow() {
                        return;
                    }
                    let mut outer = TcpStream::connect(target).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut inner, &mut outer) => {}
                        _ = seen.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        Self { port, open }
    }
}

struct Cluster<'a> {
    folder: &'a Path,
    settings: Vec<String>,
    nodes: Vec<Server>,
    ports: Vec<u16>,
    balancer: Arc<Balancer>,
}

impl<'a> Cluster<'a> {
    fn start(folder: &'a Path, database: &str, more: &[&str]) -> Self {
        let free: Vec<Probe> = (0..NODES).map(|_| Probe::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<u16> = free.iter().map(|probe| probe.local_addr().unwrap().port()).collect();
        drop(free);
        let settings = [
            "database.url=".to_owned() + database,
            "server.public_url=http://localhost:8628".to_owned(),
            "device.interval=1s".to_owned(),
            "database.connect_timeout=2s".to_owned(),
        ];
        let settings = settings.into_iter().flat_map(|setting| ["--set".to_owned(), setting]);
        let settings: Vec<String> = settings.chain(more.iter().map(|word| (*word).to_owned())).collect();
        let mut cluster = Self { folder, settings, nodes: Vec::new(), ports, balancer: Arc::default() };
        cluster.nodes = (0..NODES).map(|at| cluster.node(at)).collect();
        cluster.balance(None);
        cluster
    }

    fn node(&self, at: usize) -> Server {
        let listen = format!("server.listen=127.0.0.1:{}", self.ports[at]);
        let mut settings: Vec<&str> = self.settings.iter().map(String::as_str).collect();
        settings.extend(SETTINGS);
        settings.extend(["--set", &listen]);
        Server::start_on(self.folder, &settings)
    }

    fn url(&self, at: usize) -> String {
        format!("http://127.0.0.1:{}", self.ports[at])
    }

    /// Like a balancer, it stops sending to a node that is down once that was noticed.
    fn balance(&self, down: Option<usize>) {
        self.balancer.set((0..NODES).filter(|at| Some(*at) != down).map(|at| self.url(at)).collect());
    }

    /// `kill -9`, noticed a little later, and a new start.
    async fn kill(&mut self, at: usize) {
        let answered = self.balancer.answers();
        self.nodes.remove(at).kill();
        self.balancer.until(answered + 20).await;
        self.balance(Some(at));
        let node = tokio::task::block_in_place(|| self.node(at));
        self.nodes.insert(at, node);
        self.balance(None);
    }

    async fn ready(&self, expected: u16) {
        for node in &self.nodes {
            let wait = async {
                loop {
                    let answer = reqwest::get(format!("{}/readyz", node.ops)).await.unwrap();
                    if answer.status().as_u16() == expected {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(30), wait).await.expect("/readyz tells the truth");
        }
    }

    fn command(&self, args: &[&str]) -> std::process::Output {
        let settings: Vec<&str> = self.settings.iter().map(String::as_str).collect();
        run(self.folder, &[&["--data-dir", "data"], settings.as_slice(), args].concat())
    }

    /// Until every node answers so, a second at most after `since`.
    async fn everywhere(&self, what: &str, fits: impl AsyncFn(&str) -> bool) {
        let within = tokio::time::timeout(Duration::from_secs(1), async {
            for at in 0..NODES {
                while !fits(&self.url(at)).await {
                    tokio::task::yield_now().await;
                }
            }
        });
        assert!(within.await.is_ok(), "{what}: not on every node within a second");
    }
}

fn target(url: &str) -> String {
    url.split('@').nth(1).unwrap().split('/').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run it with scripts/with-postgres"]
async fn logins_cross_nodes_while_nodes_die_and_the_database_goes_away() {
    let folder = tempfile::tempdir().unwrap();
    let url = schema().await;
    let proxy = Proxy::start(target(&url)).await;
    let proxied = url.replace(&target(&url), &format!("127.0.0.1:{}", proxy.port));
    add_user_at(folder.path(), &["--set", &format!("database.url={url}")], "alice");
    let mut cluster = Cluster::start(folder.path(), &proxied, &CROWD);
    let balancer = cluster.balancer.clone();
    let caller = Caller::new(&balancer);
    let person = Browser::sign_in(&caller, "alice").await;

    let (working, turn) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let mut devices = JoinSet::new();
    for _ in 0..6 {
        let (person, working, turn) = (person.clone(), working.clone(), turn.clone());
        devices.spawn(async move {
            let mut lived = Vec::new();
            while working.load(Ordering::SeqCst) {
                lived.extend(live(&person, turn.fetch_add(1, Ordering::SeqCst)).await);
            }
            lived
        });
    }
    let more = async |count: usize| balancer.until(balancer.answers() + count).await;
    more(100).await;
    for at in [0, 1, 2, 1] {
        cluster.kill(at).await;
        more(100).await;
    }
    for _ in 0..3 {
        // Connections break and can be made again at once: nobody need notice.
        balancer.outage.store(true, Ordering::SeqCst);
        proxy.open.send(false).unwrap();
        proxy.open.send(true).unwrap();
        cluster.ready(200).await;
        balancer.outage.store(false, Ordering::SeqCst);
        more(60).await;
    }
    balancer.outage.store(true, Ordering::SeqCst);
    proxy.open.send(false).unwrap();
    cluster.ready(503).await;
    proxy.open.send(true).unwrap();
    cluster.ready(200).await;
    balancer.outage.store(false, Ordering::SeqCst);
    more(100).await;

    working.store(false, Ordering::SeqCst);
    let mut all: Vec<Device> = devices.join_all().await.into_iter().flatten().collect();
    assert_eq!(*balancer.faults.lock().unwrap(), Vec::<String>::new(), "no 5xx but in an outage");
    for device in &mut all {
        device.check(&caller).await;
    }
    let answers = balancer.answers();
    println!("{NODES} nodes: 4 killed, the database cut 4 times, {answers} answers, {} devices", all.len());
    assert!(all.len() > 50, "{} devices", all.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run it with scripts/with-postgres"]
async fn what_one_node_does_every_node_knows_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let url = schema().await;
    add_user_at(folder.path(), &["--set", &format!("database.url={url}")], "alice");
    let cluster = Cluster::start(folder.path(), &url, &[]);
    let caller = Caller::new(&cluster.balancer);
    let person = Browser::sign_in(&caller, "alice").await;
    let http = reqwest::Client::new();
    let post = async |base: &str, path: &str, form: &[(&str, &str)]| -> Value {
        http.post(format!("{base}{path}")).form(form).send().await.unwrap().json().await.unwrap()
    };
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    let ask = async |client: &str| {
        let form = [("client_id", client), ("scope", "openid")];
        post(&cluster.url(0), "/oauth2/v1/device_authorization", &form).await
    };
    let poll = async |base: &str, client: &str, asked: &Value| {
        let code = asked["device_code"].as_str().unwrap();
        let form = [("grant_type", grant), ("client_id", client), ("device_code", code)];
        post(base, "/oauth2/v1/token", &form).await
    };

    // A decision reaches the device wherever it polls, also where it was found pending before.
    let asked = ask("countersign-cli").await;
    for at in 0..NODES {
        assert_eq!(poll(&cluster.url(at), "countersign-cli", &asked).await["error"], "authorization_pending");
    }
    let denied = insist(|| person.decide(asked["user_code"].as_str().unwrap(), "deny")).await;
    assert!(denied.text.contains("Request denied"), "{}", denied.text);
    let is_denied =
        async |base: &str| poll(base, "countersign-cli", &asked).await["error"] == "access_denied";
    cluster.everywhere("a decision", is_denied).await;

    // A client that is removed is known nowhere.
    stdout(&cluster.command(&["client", "add", "--id", "brief", "--name", "Brief"]));
    let asked = ask("brief").await;
    for at in 0..NODES {
        assert_eq!(poll(&cluster.url(at), "brief", &asked).await["error"], "authorization_pending");
    }
    stdout(&cluster.command(&["client", "remove", "brief"]));
    let is_gone = async |base: &str| poll(base, "brief", &asked).await["error"] == "invalid_client";
    cluster.everywhere("removing a client", is_gone).await;

    // Keys that are rotated sign everywhere.
    let login = async || {
        let asked = ask("countersign-cli").await;
        insist(|| person.decide(asked["user_code"].as_str().unwrap(), "approve")).await;
        poll(&cluster.url(1), "countersign-cli", &asked).await
    };
    let tokens = login().await;
    let keys = json(&cluster.command(&["key", "rotate", "--json"]));
    let newest = keys.as_array().unwrap().iter().find(|key| key["alg"] == "ES256" && key["stage"] == "next");
    let newest = newest.unwrap()["id"].as_str().unwrap().to_owned();
    let publishes = async |base: &str| {
        let keys = http.get(format!("{base}/oauth2/v1/jwks")).send().await.unwrap().text().await.unwrap();
        keys.contains(&newest)
    };
    cluster.everywhere("rotating keys", publishes).await;

    // A person who is locked out is out everywhere.
    let access = tokens["access_token"].as_str().unwrap();
    let is_live = async |base: &str| {
        let request = http.get(format!("{base}/oauth2/v1/userinfo")).bearer_auth(access);
        request.send().await.unwrap().status().is_success()
    };
    cluster.everywhere("a login", is_live).await;
    stdout(&cluster.command(&["user", "disable", "alice"]));
    cluster.everywhere("disabling a user", async |base| !is_live(base).await).await;
    stdout(&cluster.command(&["user", "enable", "alice"]));

    // Wrong codes count together, whichever node they are sent to.
    let person = Browser::sign_in(&caller, "alice").await;
    for _ in 0..10 {
        assert_eq!(insist(|| person.decide("WRNG-2222", "deny")).await.status.as_u16(), 400);
    }
    for _ in 0..NODES {
        assert_eq!(insist(|| person.decide("WRNG-2222", "deny")).await.status.as_u16(), 429);
    }

    // Each grant expires once, whoever sweeps.
    let settings: Vec<&str> = cluster.settings.iter().map(String::as_str).collect();
    let other_key = [settings.as_slice(), &["serve", "--listen", "127.0.0.1:0"]].concat();
    let (code, error) =
        failure(&run(folder.path(), &[&["--data-dir", "elsewhere"], other_key.as_slice()].concat()));
    assert!(
        code == Some(1) && error.contains("secret.key") && error.contains("COUNTERSIGN_SECRET_KEY"),
        "{error}"
    );
    std::fs::create_dir_all(folder.path().join("elsewhere")).unwrap();
    let key = folder.path().join("elsewhere/secret.key");
    std::fs::write(&key, [7; 32]).unwrap();
    assert!(Command::new("chmod").arg("600").arg(&key).status().unwrap().success());
    let (code, error) =
        failure(&run(folder.path(), &[&["--data-dir", "elsewhere"], other_key.as_slice()].concat()));
    assert!(code == Some(1) && error.contains("another key"), "{error}");
}
