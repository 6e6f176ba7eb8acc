//! A keep-alive HTTP/1.1 connection that costs little: requests are bytes, answers are found by
//! their `Content-Length`.

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// One answer.
pub struct Answer<'a> {
    pub status: u16,
    pub head: &'a str,
    pub body: &'a str,
}

impl Answer<'_> {
    /// A text field of a JSON answer, without reading the rest.
    pub fn field(&self, name: &str) -> anyhow::Result<&str> {
        let found =
            self.body.split_once(&format!("\"{name}\":\"")).and_then(|(_, rest)| rest.split_once('"'));
        found.map(|(value, _)| value).with_context(|| format!("no {name} in {}", self.body))
    }
}

/// A request with a form.
pub fn post(path: &str, form: &[(&str, &str)], more: &[(&str, &str)]) -> Vec<u8> {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs: Vec<String> =
        form.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    let body = pairs.join("&");
    let more = headers(more);
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n{more}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn headers(headers: &[(&str, &str)]) -> String {
    headers.iter().fold(String::new(), |text, (name, value)| format!("{text}{name}: {value}\r\n"))
}

pub fn get(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let more = headers(more);
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n").into_bytes()
}

impl Connection {
    pub async fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    pub async fn send(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let (head, length) = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = std::str::from_utf8(self.buffer.get(..at).unwrap_or_default())?;
                let length = head
                    .lines()
                    .filter_map(|line| line.split_once(':'))
                    .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                    .map_or(Ok(0), |(_, value)| value.trim().parse::<usize>())?;
                break (at + 4, length);
            }
        };
        while self.buffer.len() < head + length {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the answer broke off");
            }
        }
        let (head, body) = std::str::from_utf8(&self.buffer)?.split_at(head);
        let status = head.get(9..12).context("no status")?.parse()?;
        Ok(Answer { status, head, body })
    }
}
