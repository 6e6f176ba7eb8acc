//! The words of the pages: Fluent texts in `locales/`, chosen by `Accept-Language`.

use std::borrow::Cow;
use std::collections::HashMap;

use axum::http::{HeaderMap, header};
use fluent_templates::fluent_bundle::FluentValue;
use fluent_templates::{LanguageIdentifier, Loader as _, langid};

fluent_templates::static_loader! {
    static LOCALES = {
        locales: "./locales",
        fallback_language: "en",
        // Marks around every name confuse screen readers and tests more than they help.
        customise: |bundle| bundle.set_use_isolating(false),
    };
}

/// What languages are called by those who speak them.
pub const LANGUAGES: [(&str, &str); 8] = [
    ("en", "English"),
    ("de", "Deutsch"),
    ("fr", "Français"),
    ("es", "Español"),
    ("pt", "Português"),
    ("ja", "日本語"),
    ("zh-Hans", "简体中文"),
    ("ar", "العربية"),
];

#[derive(Clone, Debug)]
pub struct Lang(LanguageIdentifier);

impl Lang {
    /// One that we speak, by its code.
    pub fn named(code: &str) -> Option<Self> {
        LOCALES.locales().find(|known| known.to_string() == code).map(|known| Self(known.clone()))
    }

    /// Those that we speak: code, what it is called there, and whether it is this one.
    pub fn all(&self) -> Vec<(&'static str, &'static str, bool)> {
        let spoken = LANGUAGES.iter().filter(|(code, _)| Self::named(code).is_some());
        spoken.map(|(code, name)| (*code, *name, self.code() == *code)).collect()
    }

    /// The first language of the header that we speak; English otherwise.
    pub fn negotiate(headers: &HeaderMap) -> Self {
        let asked =
            headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut wanted: Vec<(f32, LanguageIdentifier)> = asked
            .split(',')
            .take(16)
            .filter_map(|item| {
                let (tag, quality) = item.split_once(";q=").unwrap_or((item, "1"));
                Some((quality.trim().parse().ok()?, tag.trim().parse().ok()?))
            })
            .collect();
        wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
        let known: Vec<&LanguageIdentifier> = LOCALES.locales().collect();
        wanted
            .iter()
            .find_map(|(_, wanted)| known.iter().find(|known| known.language == wanted.language))
            .map_or_else(|| Self(langid!("en")), |found| Self((*found).clone()))
    }

    pub fn code(&self) -> String {
        self.0.to_string()
    }

    /// Its language alone, such as `pt`.
    pub fn language(&self) -> &str {
        self.0.language.as_str()
    }

    pub fn direction(&self) -> &'static str {
        match self.0.language.as_str() {
            "ar" | "fa" | "he" | "ur" => "rtl",
            _ => "ltr",
        }
    }

    pub fn text(&self, key: &str) -> String {
        LOCALES.lookup(&self.0, key)
    }

    pub fn text_with(&self, key: &str, args: &[(&'static str, FluentValue<'_>)]) -> String {
        let args: HashMap<Cow<'static, str>, FluentValue<'_>> =
            args.iter().map(|(name, value)| (Cow::Borrowed(*name), value.clone())).collect();
        LOCALES.lookup_with_args(&self.0, key, &args)
    }

    /// A count in words, such as `age-seconds`.
    pub fn count(&self, key: &str, n: u64) -> String {
        self.text_with(key, &[("n", FluentValue::from(n))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key that a template or a page names has a text, and no text is there for nothing.
    #[test]
    fn keys_and_texts_match() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut sources = String::new();
        for folder in ["templates", "src/pages", "src/notices"] {
            // What lies deeper is for administrators, in one language.
            let files = std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
            for file in files.filter(|file| file.is_file()) {
                sources.push_str(&std::fs::read_to_string(file).unwrap());
            }
        }
        let english = std::fs::read_to_string(root.join("locales/en/main.ftl")).unwrap();
        let keys: Vec<&str> = english
            .lines()
            .filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()))
            .filter_map(|line| line.split_once(" = ").map(|(key, _)| key))
            .collect();
        assert!(keys.len() > 60);
        for key in &keys {
            assert!(sources.contains(&format!("\"{key}\"")), "nobody says {key}");
        }
        for call in ["page.t(\"", "page.t1(\"", "page.t2(\"", "lang.text(\"", "lang.count(\""] {
            for rest in sources.split(call).skip(1) {
                let key = rest.split('"').next().unwrap();
                assert!(keys.contains(&key), "{key} has no text");
            }
        }
    }

    const VARIABLES: [&str; 16] = [
        "address", "client", "day", "device", "here", "hint", "id", "n", "name", "program", "provider",
        "scope", "server", "there", "when", "why",
    ];

    /// Texts by key, with the variables that stand in each.
    fn messages(code: &str) -> std::collections::BTreeMap<String, std::collections::BTreeSet<String>> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("locales/{code}/main.ftl"));
        let mut messages = std::collections::BTreeMap::new();
        let mut key = String::new();
        for line in std::fs::read_to_string(path).unwrap().lines() {
            if line.starts_with(|first: char| first.is_ascii_lowercase()) {
                line.split_once(" =").unwrap().0.clone_into(&mut key);
                assert!(!messages.contains_key(&key), "{code}: {key} stands there twice");
            }
            let variables = line.split("{ $").skip(1).map(|rest| rest.split(' ').next().unwrap().to_owned());
            if !key.is_empty() {
                messages.entry(key.clone()).or_insert_with(std::collections::BTreeSet::new).extend(variables);
            }
        }
        messages
    }

    /// No message is missing in any language, none says less than the English one, none is English.
    #[test]
    fn every_language_says_everything() {
        let english = messages("en");
        let spoken: Vec<String> = LOCALES.locales().map(ToString::to_string).collect();
        for (code, _) in LANGUAGES {
            assert!(spoken.iter().any(|known| known == code), "{code} is not spoken");
            let own = messages(code);
            assert_eq!(own.keys().collect::<Vec<_>>().len(), english.len(), "{code}");
            let lang = Lang::named(code).unwrap();
            let same = english.iter().filter(|(key, variables)| {
                assert_eq!(own.get(*key), Some(*variables), "{code}: {key}");
                let args: Vec<(&'static str, FluentValue<'_>)> =
                    VARIABLES.map(|name| (name, FluentValue::from(7))).into();
                // It can be read: the parser leaves out what it does not understand.
                let said = lang.text_with(key, &args);
                assert!(!said.contains("Unknown localization") && !said.is_empty(), "{code}: {key}: {said}");
                said == Lang(langid!("en")).text_with(key, &args)
            });
            let same = same.count();
            assert!(code == "en" || same < 12, "{code}: {same} messages are English");
        }
        assert_eq!(spoken.len(), LANGUAGES.len(), "{spoken:?}");
    }

    #[test]
    fn languages_are_chosen_by_the_browser() {
        let chosen = |accepted: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, accepted.parse().unwrap());
            let lang = Lang::negotiate(&headers);
            (lang.code(), lang.direction())
        };
        for (accepted, code, direction) in [
            ("de-CH, en;q=0.5", "de", "ltr"),
            ("pt-BR", "pt", "ltr"),
            ("zh-CN,zh;q=0.9", "zh-Hans", "ltr"),
            ("ar-EG", "ar", "rtl"),
            ("en;q=0.2, ja;q=0.9", "ja", "ltr"),
            ("nl, fr;q=0.1", "fr", "ltr"),
        ] {
            assert_eq!(chosen(accepted), (code.to_owned(), direction), "{accepted}");
        }
    }

    #[test]
    fn unknown_languages_get_english() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, "tlh, en-GB;q=0.5".parse().unwrap());
        let lang = Lang::negotiate(&headers);
        assert_eq!((lang.code().as_str(), lang.direction()), ("en", "ltr"));
        assert_eq!(lang.count("age-seconds", 1), "1 second ago");
        assert_eq!(lang.count("age-seconds", 12), "12 seconds ago");
    }
}
