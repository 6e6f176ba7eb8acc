//! What a device shows while it waits: code, link, QR code, a spinner with the time left.

use std::io::{BufRead as _, IsTerminal as _};
use std::time::Duration;

use countersign_client::pairing::{Paired, Pairing};
use countersign_client::{Door, Error, Login, Plain};
use countersign_core::code::Pin;
use indicatif::{ProgressBar, ProgressStyle};
use qrcode::render::unicode;
use qrcode::{EcLevel, QrCode};

use crate::failure::{Outcome, failure};
use crate::output::note;

/// Prints where to go and what to type, on standard error: standard output is for results.
pub fn invitation(uri: &str, code: &str, link: Option<&str>) -> Outcome {
    note("")?;
    if let Some(picture) = link.and_then(qr) {
        note(picture)?;
        note("")?;
    }
    note(format!("  Open      {uri}"))?;
    note(format!("  and enter {code}"))?;
    note("")?;
    note("  Approve only if you started this yourself, and the page shows the same code.")?;
    note("")
}

fn qr(link: &str) -> Option<String> {
    // Without a terminal nobody can point a camera at it.
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let code = QrCode::with_error_correction_level(link, EcLevel::L).ok()?;
    Some(
        code.render::<unicode::Dense1x2>()
            .dark_color(unicode::Dense1x2::Light)
            .light_color(unicode::Dense1x2::Dark)
            .quiet_zone(true)
            .build(),
    )
}

/// Waits for the decision, with a spinner where there is a terminal.
pub async fn wait<D: Door>(login: &mut Login<D>) -> Outcome<D::Got> {
    loop {
        let spinner = spinner();
        let outcome = poll(login, &spinner).await;
        spinner.finish_and_clear();
        match outcome {
            Err(Error::PinWanted { wrong }) => login.type_pin(pin(wrong).await?),
            outcome => return Ok(outcome?),
        }
    }
}

async fn poll<D: Door>(login: &mut Login<D>, spinner: &ProgressBar) -> Result<D::Got, Error> {
    loop {
        let mut rest = login.interval();
        while !rest.is_zero() {
            let left = login.time_left();
            spinner.set_message(format!("Waiting for approval, {} left", clock(left)));
            if left.is_zero() {
                return Err(Error::Expired);
            }
            let step = rest.min(Duration::from_secs(1));
            tokio::time::sleep(step).await;
            rest -= step;
        }
        if let Some(got) = login.poll().await? {
            return Ok(got);
        }
    }
}

/// Waits for the decision about a pairing.
pub async fn wait_paired(pairing: &mut Pairing) -> Outcome<Paired> {
    loop {
        let spinner = spinner();
        spinner.set_message(format!("Waiting for approval, {} left", clock(pairing.time_left())));
        let outcome = pairing.wait().await;
        spinner.finish_and_clear();
        match outcome {
            Err(Error::PinWanted { wrong }) => pairing.type_pin(pin(wrong).await?),
            outcome => return Ok(outcome?),
        }
    }
}

/// Has the PIN typed that the browser shows after Approve.
async fn pin(wrong: bool) -> Outcome<Plain> {
    if wrong {
        note("  That is not the PIN. After three wrong ones the request is denied.")?;
    }
    loop {
        note("  Approved. Type the two digits that the browser shows:")?;
        let read = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map(|bytes| (bytes, line))
        });
        let (bytes, line) = read.await??;
        let typed = line.trim();
        if typed.parse::<Pin>().is_ok() {
            return Ok(Plain::new(typed.to_owned()));
        }
        if bytes == 0 {
            return Err(failure(
                "the PIN that the browser shows must be typed here, and nobody can",
                "run the command in a terminal",
            ));
        }
    }
}

fn spinner() -> ProgressBar {
    let spinner = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

fn clock(left: Duration) -> String {
    let seconds = left.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
