//! Which nodes are connected to which server. Only servers that share a database write it.

use countersign_core::id::{DeviceId, ServerId};
use countersign_core::time::Timestamp;

use super::{Result, Stmt, Store, statements};

statements! {
    BEAT = "INSERT INTO presence (server, beat_at, devices) VALUES (?1, ?2, ?3) \
            ON CONFLICT (server) DO UPDATE SET beat_at = excluded.beat_at, devices = excluded.devices";
    OTHERS = "SELECT devices FROM presence WHERE server <> ?1 AND beat_at > ?2";
    GONE = "DELETE FROM presence WHERE beat_at <= ?1";
    LEAVE = "DELETE FROM presence WHERE server = ?1";
}

const BYTES: usize = 16;

/// This server is there, and these are connected to it.
pub fn beat(server: ServerId, devices: &[DeviceId], now: Timestamp) -> Stmt {
    let devices: Vec<u8> = devices.iter().flat_map(|device| *device.as_bytes()).collect();
    Stmt::any(BEAT, vec![server.into(), now.into(), devices.into()])
}

/// Forgets servers that were not there since.
pub fn forget(since: Timestamp) -> Stmt {
    Stmt::any(GONE, vec![since.into()])
}

pub fn leave(server: ServerId) -> Stmt {
    Stmt::any(LEAVE, vec![server.into()])
}

/// What is connected to the other servers that were there since.
pub async fn others(store: &Store, server: ServerId, since: Timestamp) -> Result<Vec<DeviceId>> {
    let mut devices = Vec::new();
    for mut row in store.rows(OTHERS, &[server.into(), since.into()]).await? {
        let bytes: Vec<u8> = row.take()?;
        devices.extend(bytes.as_chunks::<BYTES>().0.iter().map(|id| DeviceId::from_bytes(*id)));
    }
    Ok(devices)
}
