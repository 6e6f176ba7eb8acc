//! A node that pairs: `cargo run --features pairing --example pair -- https://login.example.com`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a command")]

use std::path::PathBuf;

use countersign_client::Error;
use countersign_client::pairing::{Device, Pairing};
use countersign_client::storage::{Kept, KeptDevice, Storage};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let server = std::env::args().nth(1).unwrap_or_else(|| "http://localhost:8628".to_owned());
    let device = Device {
        // A real node draws a UUID once, and keeps it.
        id: "6f1c0d9e-58c1-4d8e-9b1a-2f00d2a4c001".to_owned(),
        name: "example".to_owned(),
        kind: "desktop".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let mut pairing = Pairing::ask(&server, device.clone()).await?;
    eprintln!("Open {} and enter {}", pairing.verification_uri(), pairing.code());
    let paired = pairing.wait().await?;
    println!("Paired. It may: {}", paired.scopes.join(", "));
    Storage::new(PathBuf::from("example-credentials.json"), false).save(&Kept::Device(KeptDevice {
        server,
        device_token: paired.device_token,
        device_id: device.id,
        name: device.name,
    }))?;
    Ok(())
}
