//! What the targets share: a server in this very process.

use countersign_server::config::{Config, Sources, Value as Setting};
use countersign_server::serve::{Running, start};
use countersign_server::world::{Clock, Entropy};
use tokio::runtime::Runtime;

pub struct Server {
    pub runtime: Runtime,
    pub running: Running,
    _folder: tempfile::TempDir,
}

/// Starts a server on a new database, with these settings; a value that begins with `[` is a list.
pub fn server(settings: &[(&str, &str)], clock: Clock, entropy: Entropy) -> Server {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let basics = [
        ("data_dir", data.as_str()),
        ("server.listen", "127.0.0.1:0"),
        ("ops.listen", "127.0.0.1:0"),
        ("rate_limit.enabled", "false"),
        ("log.level", "error"),
    ];
    let mut sources = Sources::default();
    for (key, value) in basics.iter().chain(settings) {
        let list = if value.starts_with('[') { Setting::list(value) } else { None };
        sources.put(key, list.unwrap_or_else(|| Setting::One((*value).to_owned())), "fuzz");
    }
    let config = Config::from_sources(&sources).unwrap();
    let running = runtime.block_on(start(config, clock, entropy)).unwrap();
    Server { runtime, running, _folder: folder }
}
