//! Where addresses are: country and network operator (AS), from files in the format of `MaxMind`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use maxminddb::{MaxMindDbError, Reader};
use serde::Deserialize;

/// The files, in memory. A newer one is read at the next start.
#[derive(Default)]
pub struct Places(Vec<Reader<Vec<u8>>>);

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Places").field(&self.0.len()).finish()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Country {
    /// ISO 3166-1, two letters.
    pub code: String,
    /// By language, as the file has them.
    names: BTreeMap<String, String>,
}

impl Country {
    /// Its name in this language, else in English, else its code.
    pub fn name(&self, language: &str) -> &str {
        // The files say `pt-BR` and `zh-CN`.
        let spoken = self.names.iter().find(|(tag, _)| tag.split('-').next() == Some(language));
        spoken.map(|(_, name)| name).or_else(|| self.names.get("en")).unwrap_or(&self.code)
    }
}

/// What is known of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub country: Option<Country>,
    /// The number of the network operator's autonomous system.
    pub asn: Option<u32>,
}

#[derive(Deserialize)]
struct Record {
    country: Option<Named>,
    autonomous_system_number: Option<u32>,
}

#[derive(Deserialize)]
struct Named {
    iso_code: Option<String>,
    #[serde(default)]
    names: BTreeMap<String, String>,
}

impl Places {
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn open(files: &[PathBuf]) -> Result<Self, String> {
        let open = |file: &PathBuf| Self::read(file).map_err(|error| format!("{}: {error}", file.display()));
        files.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    fn read(file: &Path) -> Result<Reader<Vec<u8>>, MaxMindDbError> {
        let reader = Reader::open_readfile(file)?;
        // Whatever is wrong with it shows now, and not when somebody asks.
        reader.verify()?;
        Ok(reader)
    }

    /// Nothing is known of what is no address.
    pub fn of(&self, address: &str) -> Place {
        let Ok(address) = address.parse::<IpAddr>() else { return Place::default() };
        let mut place = Place::default();
        for file in &self.0 {
            let found = file.lookup(address.to_canonical()).and_then(|found| found.decode::<Record>());
            let record = match found {
                Ok(Some(record)) => record,
                Ok(None) => continue,
                Err(error) => {
                    tracing::warn!(%error, "an address cannot be looked up");
                    continue;
                }
            };
            let country = record
                .country
                .and_then(|named| named.iso_code.map(|code| Country { code, names: named.names }));
            place.country = place.country.or(country);
            place.asn = place.asn.or(record.autonomous_system_number);
        }
        place
    }
}
