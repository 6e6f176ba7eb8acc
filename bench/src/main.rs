//! Measures Countersign as ratios to a floor: the same HTTP stack, answering with constants.
//!
//! `scripts/bench` starts this with the right processors and a throw-away PostgreSQL.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a command")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

mod client;
mod floor;
mod load;
mod process;
mod scenarios;
mod sockets;
mod storm;
mod table;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "countersign-bench")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves two routes with constants, and prints where
    Floor,
    /// Runs every scenario on the floor, `SQLite` and `PostgreSQL`, interleaved, and prints a table
    Run(scenarios::Options),
    /// Opens idle sockets, and times how decisions reach waiting nodes
    Sockets(sockets::Options),
    /// Simulates a fleet that comes back after an outage
    Storm,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments.command {
        Command::Floor => runtime.block_on(floor::serve()),
        Command::Run(options) => runtime.block_on(scenarios::run(options)),
        Command::Sockets(options) => runtime.block_on(sockets::run(options)),
        Command::Storm => {
            storm::run();
            Ok(())
        }
    }
}
