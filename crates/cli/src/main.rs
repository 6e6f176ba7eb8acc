//! `countersign`: the command line. It parses, calls the server or client crate, and prints.

mod admin;
mod args;
mod audit;
mod config;
mod demo;
mod desk;
mod device;
mod failure;
mod maintenance;
mod manual;
mod output;
mod serve;
mod show;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Arguments, Command};
use failure::Outcome;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&error.into()),
    };
    let outcome = runtime.block_on(run(arguments));
    // A read from the terminal that nobody answers must not hold the process.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}

async fn run(arguments: Arguments) -> Outcome {
    let global = arguments.global;
    match arguments.command {
        Command::Demo(options) => Box::pin(demo::run(options)).await,
        Command::Serve(options) => Box::pin(serve::run(&global, options)).await,
        Command::Login(options) => device::login(options).await,
        Command::Pair(options) => device::pair(options).await,
        Command::Whoami(options) => device::whoami(options).await,
        Command::Token(options) => device::token(options).await,
        Command::Logout(options) => device::logout(options).await,
        Command::User(command) => admin::user(&global, command).await,
        Command::Client(command) => admin::client(&global, command).await,
        Command::Device(command) => admin::device(&global, command).await,
        Command::Audit(command) => Box::pin(audit::run(&global, command)).await,
        Command::Key(command) => admin::key(&global, command).await,
        Command::Import(command) => maintenance::import(&global, command).await,
        Command::Export(command) => maintenance::export(&global, command).await,
        Command::Config(command) => config::run(&global, &command),
        Command::Migrate => admin::migrate(&global).await,
        Command::Backup(options) => maintenance::backup(&global, options).await,
        Command::Restore(options) => maintenance::restore(&global, options).await,
        Command::Doctor(options) => Box::pin(maintenance::doctor(&global, options)).await,
        Command::Ready => Box::pin(maintenance::ready(&global)).await,
        Command::Openapi { sockets } => manual::openapi(sockets),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man => manual::man(),
        Command::Reference => manual::reference(),
    }
}
