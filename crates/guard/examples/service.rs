//! An API behind Countersign: `cargo run -p countersign-guard --example service -- ISSUER CLIENT SECRET`.
//! It prints where it listens; `/` is for everybody, `/deploy` for those with the scope `deploy`.

#![expect(clippy::print_stdout, reason = "it is a command")]

use axum::routing::get;
use axum::{Extension, Router};
use countersign_guard::{Guard, Identity};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut words = std::env::args().skip(1);
    let issuer = words.next().unwrap_or_else(|| "http://localhost:8628".to_owned());
    let guard = Guard::new(&issuer, &issuer)
        .introspecting_as(words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let deploy = get(async |Extension(who): Extension<Identity>| {
        format!("{} deploys with {:?}\n", who.username.unwrap_or(who.subject), who.credential)
    });
    let app = Router::new()
        .route("/deploy", deploy.layer(guard.layer(["deploy"])))
        .route("/", get(async || "Try /deploy.\n"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await
}
