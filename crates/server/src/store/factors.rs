//! Second factors.

use countersign_core::id::AccountId;
use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;

use super::{Result, Stmt, Store, statements};

statements! {
    TOTP = "SELECT sealed, session, created_at, confirmed_at, last_step FROM totp WHERE account_id = ?1";
    BEGIN_TOTP = "INSERT INTO totp (account_id, sealed, session, created_at, last_step) VALUES (?1, ?2, ?4, ?3, 0) \
                  ON CONFLICT (account_id) DO UPDATE SET sealed = excluded.sealed, session = excluded.session, created_at = excluded.created_at \
                  WHERE totp.confirmed_at IS NULL";
    CONFIRM_TOTP = "UPDATE totp SET confirmed_at = ?3, last_step = ?4 \
                    WHERE account_id = ?1 AND created_at = ?2 AND session = ?5 AND confirmed_at IS NULL";
    STEP = "UPDATE totp SET last_step = ?2 WHERE account_id = ?1 AND confirmed_at IS NOT NULL AND last_step < ?2";
    REMOVE_TOTP = "DELETE FROM totp WHERE account_id = ?1";
    INSERT_RECOVERY = "INSERT INTO recovery_code (account_id, mac) VALUES (?1, ?2)";
    USE_RECOVERY = "UPDATE recovery_code SET used_at = ?3 WHERE account_id = ?1 AND mac = ?2 AND used_at IS NULL";
    RECOVERY_LEFT = "SELECT COUNT(*) FROM recovery_code WHERE account_id = ?1 AND used_at IS NULL";
    REMOVE_RECOVERY = "DELETE FROM recovery_code WHERE account_id = ?1";
}

/// An authenticator app, or one that is being set up.
#[derive(Debug)]
pub struct Totp {
    pub sealed: Vec<u8>,
    pub session: Digest,
    pub created_at: Timestamp,
    pub confirmed_at: Option<Timestamp>,
    pub last_step: i64,
}

pub async fn totp(store: &Store, account: AccountId) -> Result<Option<Totp>> {
    let Some(mut row) = store.row(TOTP, &[account.into()]).await? else { return Ok(None) };
    Ok(Some(Totp {
        sealed: row.take()?,
        session: row.take()?,
        created_at: row.take()?,
        confirmed_at: row.take()?,
        last_step: row.take()?,
    }))
}

/// A conflict if there is a confirmed one.
pub fn begin_totp(account: AccountId, sealed: Vec<u8>, session: &Digest, now: Timestamp) -> Stmt {
    Stmt::one(BEGIN_TOTP, vec![account.into(), sealed.into(), now.into(), session.into()])
}

/// A conflict unless the one that was begun then, in that session, still waits.
pub fn confirm_totp(account: AccountId, begun: &Totp, step: i64, now: Timestamp) -> Stmt {
    let args =
        vec![account.into(), begun.created_at.into(), now.into(), step.into(), (&begun.session).into()];
    Stmt::one(CONFIRM_TOTP, args)
}

/// A conflict if this step, or a later one, was accepted before.
pub fn accept_step(account: AccountId, step: i64) -> Stmt {
    Stmt::one(STEP, vec![account.into(), step.into()])
}

pub fn remove_totp(account: AccountId) -> Stmt {
    Stmt::any(REMOVE_TOTP, vec![account.into()])
}

/// Takes the place of all that there were.
pub fn replace_recovery(account: AccountId, macs: &[Digest]) -> Vec<Stmt> {
    let insert = |mac: &Digest| Stmt::one(INSERT_RECOVERY, vec![account.into(), mac.into()]);
    [remove_recovery(account)].into_iter().chain(macs.iter().map(insert)).collect()
}

/// A conflict if there is no such code, or it was used before.
pub fn use_recovery(account: AccountId, mac: &Digest, now: Timestamp) -> Stmt {
    Stmt::one(USE_RECOVERY, vec![account.into(), mac.into(), now.into()])
}

pub async fn recovery_left(store: &Store, account: AccountId) -> Result<i64> {
    let row = store.row(RECOVERY_LEFT, &[account.into()]).await?;
    row.map_or(Ok(0), |mut row| row.take())
}

pub fn remove_recovery(account: AccountId) -> Stmt {
    Stmt::any(REMOVE_RECOVERY, vec![account.into()])
}
