//! A fleet that comes back after an outage. Seeded, so that everybody sees the same storm.
//!
//! A million devices wait for approval and poll every five seconds. Their network goes away and comes
//! back for all of them within the same second; the server serves so many a second and refuses the
//! rest at once. Three kinds of device: one that keeps its interval, one that doubles it when it is
//! refused, one that also jitters, as `crates/client` does.

const DEVICES: u32 = 1_000_000;
const INTERVAL: u32 = 50;
const LONGEST: u32 = 600;
const END: u32 = 6000;
/// Tenths of a second within which all of them are back.
const BACK_WITHIN: u32 = 10;
/// So long without a refusal is calm: every device has polled again.
const CALM: u32 = 2 * INTERVAL;
/// Polls that are served in a tenth of a second.
const CAPACITY: u32 = 25_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Stubborn,
    BacksOff,
    BacksOffWithJitter,
}

struct Random(u64);

impl Random {
    /// `xorshift64*`.
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        u32::try_from(high % u64::from(limit.max(1))).unwrap_or(0)
    }
}

struct Storm {
    /// Arrivals in the worst tenth of a second.
    peak: u32,
    refused: u64,
    /// Tenths of a second until nobody was refused any more.
    calm_after: Option<u32>,
    /// Tenths until every device was served once.
    all_after: Option<u32>,
}

/// `size` devices, and a server as large as that many need.
fn simulate(kind: Kind, size: u32, seed: u64) -> Storm {
    let capacity_each = CAPACITY / (DEVICES / size);
    let mut random = Random(seed);
    let mut due: Vec<Vec<u32>> = vec![Vec::new(); usize::try_from(END + LONGEST * 2).unwrap_or(0)];
    let mut waits = vec![INTERVAL; size as usize];
    let mut served = vec![false; size as usize];
    for device in 0..size {
        if let Some(slot) = due.get_mut(random.below(BACK_WITHIN) as usize) {
            slot.push(device);
        }
    }
    let mut storm = Storm { peak: 0, refused: 0, calm_after: None, all_after: None };
    let (mut left, mut calm) = (size, 0);
    for now in 0..END {
        let Some(arrived) = due.get_mut(now as usize).map(std::mem::take) else { break };
        let (mut capacity, mut refused) = (capacity_each, 0);
        storm.peak = storm.peak.max(u32::try_from(arrived.len()).unwrap_or(u32::MAX));
        for device in arrived {
            let (Some(wait), Some(done)) = (waits.get_mut(device as usize), served.get_mut(device as usize))
            else {
                continue;
            };
            if capacity > 0 {
                capacity -= 1;
                *wait = INTERVAL;
                if !*done {
                    *done = true;
                    left -= 1;
                }
            } else {
                refused += 1;
                *wait = match kind {
                    Kind::Stubborn => INTERVAL,
                    Kind::BacksOff | Kind::BacksOffWithJitter => (*wait * 2).min(LONGEST),
                };
            }
            let jitter = if kind == Kind::BacksOffWithJitter && *wait > INTERVAL {
                random.below(*wait / 2)
            } else {
                0
            };
            if let Some(slot) = due.get_mut((now + *wait - jitter) as usize) {
                slot.push(device);
            }
        }
        storm.refused += refused;
        calm = if refused == 0 { calm + 1 } else { 0 };
        if calm == CALM && storm.calm_after.is_none() {
            storm.calm_after = Some(now + 1 - CALM);
        }
        if left == 0 && storm.all_after.is_none() {
            storm.all_after = Some(now);
        }
    }
    storm
}

pub fn run() {
    let seconds = |tenths: Option<u32>| {
        tenths.map_or_else(|| "never".to_owned(), |tenths| format!("{}.{} s", tenths / 10, tenths % 10))
    };
    println!(
        "{DEVICES} devices poll every {} s; the server serves {} a second.\n",
        INTERVAL / 10,
        CAPACITY * 10
    );
    println!(
        "| device | worst tenth of a second | polls refused | everybody served after | nobody refused after |"
    );
    println!("|---|--:|--:|--:|--:|");
    for (name, kind) in [
        ("keeps its interval", Kind::Stubborn),
        ("backs off", Kind::BacksOff),
        ("backs off with jitter", Kind::BacksOffWithJitter),
    ] {
        let storm = simulate(kind, DEVICES, 8628);
        println!(
            "| {name} | {} | {} | {} | {} |",
            storm.peak,
            storm.refused,
            seconds(storm.all_after),
            seconds(storm.calm_after)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_ends_the_storm_and_stubbornness_does_not() {
        let (stubborn, jittered) =
            (simulate(Kind::Stubborn, 10_000, 1), simulate(Kind::BacksOffWithJitter, 10_000, 1));
        assert!(stubborn.calm_after.is_none_or(|after| Some(after) > jittered.calm_after));
        assert!(jittered.refused < stubborn.refused && jittered.calm_after.is_some());
    }
}
