//! Lists that are read page by page.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::admin::Page;

use super::office::Refused;

/// A list that is read page by page.
#[derive(Clone, Copy, Debug)]
pub enum List {
    Clients,
    Users,
    Devices,
}

impl List {
    /// Begins its cursors: the place in one list is none in another.
    const fn mark(self) -> char {
        match self {
            Self::Clients => 'c',
            Self::Users => 'u',
            Self::Devices => 'd',
        }
    }

    /// The place where a page goes on.
    pub fn after<T: FromStr>(self, cursor: Option<&str>) -> Result<Option<T>, Refused> {
        let place = |text: &str| {
            let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
            let place = text.strip_prefix(self.mark())?;
            if place.chars().any(char::is_control) { None } else { place.parse().ok() }
        };
        let odd =
            || Refused::Invalid("this cursor is none of this list's; begin again without one".to_owned());
        cursor.map(|text| place(text).ok_or_else(odd)).transpose()
    }

    /// A page of what was read with one more than fits.
    pub fn page<T, V>(
        self,
        mut all: Vec<T>,
        limit: u32,
        place: impl Fn(&T) -> String,
        view: impl Fn(T) -> V,
    ) -> Page<V> {
        let more = all.len() > limit as usize;
        all.truncate(limit as usize);
        let cursor = |last: &T| URL_SAFE_NO_PAD.encode(format!("{}{}", self.mark(), place(last)));
        let next = all.last().filter(|_| more).map(cursor);
        Page { items: all.into_iter().map(view).collect(), next }
    }
}
