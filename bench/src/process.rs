//! Servers as processes: started on a processor of their own, and what they use of it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// The processor of everything that is measured; the load has the others.
const PROCESSOR: &str = "0";

pub struct Server {
    child: Child,
    pub address: String,
    /// The database's own processes count, too.
    database: Option<u32>,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", PROCESSOR]).arg(program);
    command
}

pub fn floor() -> anyhow::Result<Server> {
    let mut child = pinned(&std::env::current_exe()?).arg("floor").stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
    Ok(Server { child, address: line.trim().to_owned(), database: None })
}

/// A countersign installation: a folder, and settings.
pub struct Installation {
    pub binary: PathBuf,
    pub folder: tempfile::TempDir,
    pub settings: Vec<String>,
    pub database: Option<u32>,
}

impl Installation {
    pub fn command(&self, args: &[&str], input: &str) -> anyhow::Result<String> {
        let mut child = Command::new(&self.binary)
            .current_dir(self.folder.path())
            .args(self.settings.iter().flat_map(|setting| ["--set", setting]))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        child.stdin.take().context("no input")?.write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("countersign {args:?} failed");
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Starts the server; the second answer is the time until its first answer.
    pub fn start(&self) -> anyhow::Result<(Server, Duration)> {
        let free = std::net::TcpListener::bind("127.0.0.1:0")?;
        let address = free.local_addr()?.to_string();
        drop(free);
        let began = Instant::now();
        let child = pinned(&self.binary)
            .current_dir(self.folder.path())
            .args(self.settings.iter().flat_map(|setting| ["--set", setting]))
            .args(["serve", "--ops-listen", "127.0.0.1:0", "--listen", &address])
            .spawn()?;
        let server = Server { child, address, database: self.database };
        while began.elapsed() < Duration::from_secs(30) {
            if answers(&server.address) {
                return Ok((server, began.elapsed()));
            }
        }
        bail!("the server did not start")
    }
}

fn answers(address: &str) -> bool {
    use std::io::Read as _;
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return false };
    let mut start = [0; 12];
    stream.write_all(b"GET /oauth2/v1/jwks HTTP/1.1\r\nHost: x\r\n\r\n").is_ok()
        && stream.read_exact(&mut start).is_ok()
        && start.ends_with(b"200")
}

/// Processor time in ticks of a process and of its children that have ended.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    after.split(' ').skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum()
}

fn children(parent: u32) -> Vec<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let children = std::fs::read_to_string(path).unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

impl Server {
    /// Microseconds of processor time that it has used so far, the database's included.
    pub fn cpu_micros(&self) -> u64 {
        let own = ticks(self.child.id());
        let database = self.database.map_or(0, |postmaster| {
            ticks(postmaster) + children(postmaster).into_iter().map(ticks).sum::<u64>()
        });
        // Linux counts in hundredths of a second.
        (own + database) * 10_000
    }

    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }
}
