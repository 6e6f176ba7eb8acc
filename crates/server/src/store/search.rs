//! What of the inventory an administrator looks for, in every table alike.

use countersign_core::id::DeviceId;
use countersign_core::time::Timestamp;

use super::Value;

/// The pattern of `LIKE … ESCAPE '!'` for what holds these words as they stand.
pub fn within(words: &str) -> String {
    let mut pattern = String::from("%");
    for symbol in words.chars() {
        if matches!(symbol, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(symbol);
    }
    pattern.push('%');
    pattern
}

/// Everything that fits all of these, the newest first.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// A user's name.
    pub user: Option<String>,
    pub client: Option<String>,
    /// Where it asked from.
    pub address: Option<String>,
    /// Stands somewhere in what it is called.
    pub words: Option<String>,
    /// Good at this moment.
    pub active_at: Option<Timestamp>,
    /// The last one that was seen.
    pub before: Option<DeviceId>,
}

impl Search {
    /// The arguments of a `PAGE` statement, in their order.
    pub fn args(&self, limit: u32) -> [Value; 7] {
        [
            self.before.into(),
            self.user.as_deref().into(),
            self.client.as_deref().into(),
            self.address.as_deref().into(),
            self.words.as_deref().map(within).into(),
            self.active_at.into(),
            limit.into(),
        ]
    }
}
