//! A command line that logs in: `cargo run --example login -- https://login.example.com`. With a code
//! from the account page as a second argument, it takes that instead of showing one.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a command")]

use std::path::PathBuf;

use countersign_client::storage::{Kept, KeptKey, Storage};
use countersign_client::{Error, KeyRequest, Keys};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut words = std::env::args().skip(1);
    let keys = Keys::at(&words.next().unwrap_or_else(|| "http://localhost:8628".to_owned()))?;
    let got = match words.next() {
        Some(code) => keys.redeem(&code).await?,
        None => {
            let request = KeyRequest { name: Some("example".to_owned()), ..KeyRequest::default() };
            let mut login = keys.ask(&request).await?;
            eprintln!("Open {} and enter {}", login.verification_uri(), login.user_code());
            login.wait().await?
        }
    };
    let me = keys.me(&got.api_key).await?;
    println!("Logged in as {}.", me.user.username.unwrap_or(me.user.id));
    let storage = Storage::new(PathBuf::from("example-credentials.json"), false);
    let server = keys.server().to_owned();
    storage.save(&Kept::Key(KeptKey { server, api_key: got.api_key, id: got.key.id, name: got.key.name }))?;
    Ok(())
}
