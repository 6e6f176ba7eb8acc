//! Accounts and the browsers that are signed in to them.

use countersign_core::account::{Account, Session, SignIn, Username};
use countersign_core::grant::Origin;
use countersign_core::id::AccountId;
use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;

use super::grants::{amr_list, amr_text};
use super::search::within;
use super::{Result, Row, Stmt, Store, Value, statements};

/// What [`read`] takes from a row.
macro_rules! account_columns {
    () => {
        "account.id, account.name, account.email, account.full_name, account.tier, account.admin_at, \
         account.created_at, account.disabled_at, account.revision"
    };
}
pub(super) use account_columns;

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", account_columns!(), $rest)
    };
}

statements! {
    BY_ID = select!(" FROM account WHERE id = ?1");
    BY_NAME = select!(", account.password FROM account WHERE name = ?1");
    LIST = select!(" FROM account ORDER BY name");
    PAGE = select!(" FROM account WHERE (CAST(?1 AS TEXT) IS NULL OR name > ?1) \
           AND (CAST(?2 AS TEXT) IS NULL OR lower(name) LIKE lower(?2) ESCAPE '!' OR lower(COALESCE(email, '')) LIKE lower(?2) ESCAPE '!' \
           OR lower(COALESCE(full_name, '')) LIKE lower(?2) ESCAPE '!') ORDER BY name LIMIT ?3");
    INSERT = "INSERT INTO account (id, name, email, full_name, tier, admin_at, created_at, password) \
              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    UPDATE = "UPDATE account SET email = ?2, full_name = ?3, tier = ?4, admin_at = CASE WHEN CAST(?5 AS BIGINT) IS NULL THEN NULL ELSE COALESCE(admin_at, CAST(?5 AS BIGINT)) END, \
              revision = revision + 1 WHERE id = ?1 AND revision = ?6";
    SET_PASSWORD = "UPDATE account SET password = ?2, revision = revision + 1 WHERE id = ?1";
    DISABLE = "UPDATE account SET disabled_at = ?2, revision = revision + 1 WHERE id = ?1 AND disabled_at IS NULL";
    ENABLE = "UPDATE account SET disabled_at = NULL, revision = revision + 1 WHERE id = ?1 AND disabled_at IS NOT NULL";
    REMOVE = "DELETE FROM account WHERE id = ?1";
    UPDATE_CLAIMS = "UPDATE account SET revision = revision + 1, full_name = COALESCE(?3, full_name), email = CASE WHEN CAST(?2 AS TEXT) IS NULL THEN email \
                     WHEN EXISTS (SELECT 1 FROM account AS other WHERE lower(other.email) = lower(CAST(?2 AS TEXT)) AND other.id <> ?1) \
                     THEN NULL ELSE CAST(?2 AS TEXT) END WHERE id = ?1";
    INSERT_OF_ISSUER = "INSERT INTO account (id, name, full_name, tier, created_at, email) SELECT ?1, ?2, ?3, 'none', ?4, \
                        CASE WHEN EXISTS (SELECT 1 FROM account WHERE lower(account.email) = lower(CAST(?5 AS TEXT))) THEN NULL ELSE CAST(?5 AS TEXT) END";
    OF_SUBJECT = select!(", identity.said_at, identity.created_at FROM identity JOIN account ON account.id = identity.account_id \
                 WHERE identity.issuer = ?1 AND identity.subject = ?2");
    IDENTIFY = "INSERT INTO identity (issuer, subject, account_id, said_at, created_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    JOIN = "INSERT INTO identity (issuer, subject, account_id, said_at, created_at) SELECT ?1, ?2, ?3, ?4, ?5 \
            WHERE NOT EXISTS (SELECT 1 FROM identity WHERE identity.account_id = ?3 AND identity.issuer = ?1)";
    KEEPS_A_WAY = "UPDATE account SET tier = tier WHERE id = ?1 AND ((CAST(?2 AS BIGINT) = 1 AND password IS NOT NULL) \
                   OR (CAST(?3 AS BIGINT) = 1 AND EXISTS (SELECT 1 FROM passkey WHERE passkey.account_id = ?1)) \
                   OR EXISTS (SELECT 1 FROM identity WHERE identity.account_id = ?1 AND CAST(?4 AS TEXT) LIKE '% ' || identity.issuer || ' %'))";
    HEARD = "UPDATE identity SET said_at = ?4 WHERE issuer = ?1 AND subject = ?2 AND said_at = ?3";
    ISSUERS_OF = "SELECT issuer FROM identity WHERE account_id = ?1 ORDER BY issuer";
    FORGET_IDENTITY = "DELETE FROM identity WHERE account_id = ?1 AND issuer = ?2";
    FORGET_IDENTITIES = "DELETE FROM identity WHERE account_id = ?1";
    SESSION = select!(", browser_session.sign_in_at, browser_session.amr, browser_session.expires_at \
              FROM browser_session JOIN account ON account.id = browser_session.account_id \
              WHERE browser_session.digest = ?1 AND browser_session.expires_at > ?2 AND browser_session.awaits IS NULL AND account.disabled_at IS NULL");
    HALF_SESSION = select!(", browser_session.sign_in_at, browser_session.amr, browser_session.expires_at \
              FROM browser_session JOIN account ON account.id = browser_session.account_id \
              WHERE browser_session.digest = ?1 AND browser_session.expires_at > ?2 AND browser_session.awaits = 'second' AND account.disabled_at IS NULL");
    START_SESSION = "INSERT INTO browser_session (digest, account_id, sign_in_at, amr, address, user_agent, created_at, expires_at) \
                     SELECT ?1, account.id, ?3, ?4, ?5, ?6, ?3, ?7 FROM account WHERE account.id = ?2 AND account.disabled_at IS NULL AND account.password = ?8 \
                     AND NOT EXISTS (SELECT 1 FROM totp WHERE totp.account_id = ?2 AND totp.confirmed_at IS NOT NULL) \
                     AND NOT EXISTS (SELECT 1 FROM passkey WHERE passkey.account_id = ?2) /* FOR SHARE */";
    START_VERIFIED = "INSERT INTO browser_session (digest, account_id, sign_in_at, amr, address, user_agent, created_at, expires_at) \
                      SELECT ?1, account.id, ?3, ?4, ?5, ?6, ?3, ?7 FROM account WHERE account.id = ?2 AND account.disabled_at IS NULL /* FOR SHARE */";
    START_VOUCHED = "INSERT INTO browser_session (digest, account_id, sign_in_at, amr, address, user_agent, created_at, expires_at, awaits) \
                     SELECT ?1, account.id, ?3, ?4, ?5, ?6, ?9, ?7, CAST(?8 AS TEXT) FROM account WHERE account.id = ?2 AND account.disabled_at IS NULL \
                     AND (CAST(?10 AS BIGINT) = 1 OR (NOT EXISTS (SELECT 1 FROM totp WHERE totp.account_id = ?2 AND totp.confirmed_at IS NOT NULL) \
                     AND NOT EXISTS (SELECT 1 FROM passkey WHERE passkey.account_id = ?2))) /* FOR SHARE */";
    START_HALF = "INSERT INTO browser_session (digest, account_id, sign_in_at, amr, address, user_agent, created_at, expires_at, awaits) \
                  SELECT ?1, account.id, ?3, ?4, ?5, ?6, ?3, ?7, 'second' FROM account WHERE account.id = ?2 AND account.disabled_at IS NULL AND account.password = ?8 /* FOR SHARE */";
    COMPLETE_SESSION = "UPDATE browser_session SET digest = ?2, sign_in_at = ?3, amr = ?4, expires_at = ?5, awaits = NULL \
                        WHERE digest = ?1 AND awaits = 'second' AND expires_at > ?3";
    STRENGTHEN = "UPDATE browser_session SET digest = ?2, amr = ?3 WHERE digest = ?1";
    END_OTHER_SESSIONS = "DELETE FROM browser_session WHERE account_id = ?1 AND digest <> ?2";
    SESSION_HOLDS = "UPDATE browser_session SET expires_at = expires_at WHERE digest = ?1 AND expires_at > ?2";
    HOLD = "UPDATE account SET tier = tier WHERE id = ?1 AND disabled_at IS NULL";
    UNCHANGED = "UPDATE account SET tier = tier WHERE id = ?1 AND revision = ?2";
    SESSIONS_OF = "SELECT digest, sign_in_at, address, user_agent FROM browser_session \
                   WHERE account_id = ?1 AND expires_at > ?2 AND awaits IS NULL ORDER BY sign_in_at DESC LIMIT 50";
    END_OWN_SESSION = "DELETE FROM browser_session WHERE digest = ?1 AND account_id = ?2";
    END_SESSION = "DELETE FROM browser_session WHERE digest = ?1";
    END_SESSIONS = "DELETE FROM browser_session WHERE account_id = ?1";
    SWEEP_SESSIONS = "DELETE FROM browser_session WHERE digest IN \
                      (SELECT digest FROM browser_session WHERE expires_at <= ?1 LIMIT ?2)";
}

pub(super) fn read(row: &mut Row) -> Result<Account> {
    Ok(Account {
        id: row.take()?,
        name: row.take()?,
        email: row.take()?,
        full_name: row.take()?,
        tier: row.take()?,
        admin: row.take::<Option<Timestamp>>()?.is_some(),
        created_at: row.take()?,
        disabled_at: row.take()?,
        revision: row.take()?,
    })
}

/// Those after this name.
pub async fn page(
    store: &Store,
    after: Option<&str>,
    words: Option<&str>,
    limit: u32,
) -> Result<Vec<Account>> {
    let args = [after.into(), words.map(within).into(), limit.into()];
    store.rows(PAGE, &args).await?.into_iter().map(|mut row| read(&mut row)).collect()
}

/// Conflicts if it changed since it was read.
pub fn update(account: &Account, now: Timestamp) -> Stmt {
    let args = vec![
        account.id.into(),
        account.email.as_deref().into(),
        account.full_name.as_deref().into(),
        account.tier.as_str().into(),
        account.admin.then_some(now).into(),
        account.revision.into(),
    ];
    Stmt::one(UPDATE, args)
}

pub async fn by_id(store: &Store, id: AccountId) -> Result<Option<Account>> {
    store.row(BY_ID, &[id.into()]).await?.map(|mut row| read(&mut row)).transpose()
}

/// The account and its password's PHC hash.
pub async fn by_name(store: &Store, name: &Username) -> Result<Option<(Account, Option<String>)>> {
    match store.row(BY_NAME, &[name.into()]).await? {
        Some(mut row) => Ok(Some((read(&mut row)?, row.take()?))),
        None => Ok(None),
    }
}

pub async fn list(store: &Store) -> Result<Vec<Account>> {
    store.rows(LIST, &[]).await?.into_iter().map(|mut row| read(&mut row)).collect()
}

/// Conflicts if the name is taken.
pub fn insert(account: &Account, password: &str) -> Stmt {
    Stmt::one(
        INSERT,
        vec![
            account.id.into(),
            (&account.name).into(),
            account.email.as_deref().into(),
            account.full_name.as_deref().into(),
            (&account.tier).into(),
            account.admin.then_some(account.created_at).into(),
            account.created_at.into(),
            password.into(),
        ],
    )
}

/// An account that an issuer vouches for, without a password. An e-mail address that somebody else has
/// stays theirs. Conflicts if the name is taken.
pub fn insert_of_issuer(account: &Account) -> Stmt {
    Stmt::one(
        INSERT_OF_ISSUER,
        vec![
            account.id.into(),
            (&account.name).into(),
            account.full_name.as_deref().into(),
            account.created_at.into(),
            account.email.as_deref().into(),
        ],
    )
}

/// Who somebody is elsewhere. Conflicts if that is known of anybody.
pub fn identify(issuer: &str, subject: &str, account: AccountId, said_at: Timestamp, now: Timestamp) -> Stmt {
    let args = vec![issuer.into(), subject.into(), account.into(), said_at.into(), now.into()];
    Stmt::one(IDENTIFY, args)
}

/// Somebody who is known by an issuer.
#[derive(Debug)]
pub struct Known {
    pub account: Account,
    /// When the newest token that was listened to was issued.
    pub said_at: Timestamp,
    /// The account was made for them, rather than joined to them later.
    pub made: bool,
}

pub async fn of_subject(store: &Store, issuer: &str, subject: &str) -> Result<Option<Known>> {
    let Some(mut row) = store.row(OF_SUBJECT, &[issuer.into(), subject.into()]).await? else {
        return Ok(None);
    };
    let (account, said_at): (_, Timestamp) = (read(&mut row)?, row.take()?);
    let joined_at: Timestamp = row.take()?;
    Ok(Some(Known { made: joined_at == account.created_at, account, said_at }))
}

/// The same for somebody who has an account. Conflicts also if this issuer vouches for them already.
pub fn join(issuer: &str, subject: &str, account: AccountId, said_at: Timestamp, now: Timestamp) -> Stmt {
    let args = vec![issuer.into(), subject.into(), account.into(), said_at.into(), now.into()];
    Stmt::one(JOIN, args)
}

/// After something was taken away that they signed in with: a conflict if nothing is left.
pub fn keeps_a_way(account: AccountId, ways: &Ways) -> Stmt {
    let issuers = format!(" {} ", ways.issuers.join(" "));
    let args = vec![
        account.into(),
        i64::from(ways.passwords).into(),
        i64::from(ways.passkeys).into(),
        issuers.into(),
    ];
    Stmt::one(KEEPS_A_WAY, args)
}

/// With what people sign in here.
#[derive(Debug)]
pub struct Ways {
    pub passwords: bool,
    pub passkeys: bool,
    pub issuers: Vec<String>,
}

/// A conflict if somebody else listened meanwhile.
pub fn heard(issuer: &str, subject: &str, before: Timestamp, said_at: Timestamp) -> Stmt {
    Stmt::one(HEARD, vec![issuer.into(), subject.into(), before.into(), said_at.into()])
}

/// What an issuer says by now. An e-mail address that somebody else has stays theirs.
pub fn update_claims(id: AccountId, email: Option<&str>, full_name: Option<&str>) -> Stmt {
    Stmt::one(UPDATE_CLAIMS, vec![id.into(), email.into(), full_name.into()])
}

/// The issuers that vouch for this person.
pub async fn issuers_of(store: &Store, account: AccountId) -> Result<Vec<String>> {
    store.rows(ISSUERS_OF, &[account.into()]).await?.into_iter().map(|mut row| row.take()).collect()
}

/// A conflict unless this issuer vouches for them.
pub fn forget_identity(account: AccountId, issuer: &str) -> Stmt {
    Stmt::one(FORGET_IDENTITY, vec![account.into(), issuer.into()])
}

pub fn forget_identities(account: AccountId) -> Stmt {
    Stmt::any(FORGET_IDENTITIES, vec![account.into()])
}

pub fn set_password(id: AccountId, hash: &str) -> Stmt {
    Stmt::one(SET_PASSWORD, vec![id.into(), hash.into()])
}

pub fn disable(id: AccountId, now: Timestamp) -> Stmt {
    Stmt::one(DISABLE, vec![id.into(), now.into()])
}

pub fn enable(id: AccountId) -> Stmt {
    Stmt::one(ENABLE, vec![id.into()])
}

pub fn remove(id: AccountId) -> Stmt {
    Stmt::one(REMOVE, vec![id.into()])
}

/// The live session of an enabled account, with the account.
pub async fn session(store: &Store, digest: &Digest, now: Timestamp) -> Result<Option<(Session, Account)>> {
    session_of(store, SESSION, digest, now).await
}

/// The session of somebody who has yet to show a second factor: good for that and nothing else.
pub async fn half_session(
    store: &Store,
    digest: &Digest,
    now: Timestamp,
) -> Result<Option<(Session, Account)>> {
    session_of(store, HALF_SESSION, digest, now).await
}

async fn session_of(
    store: &Store,
    sql: &'static str,
    digest: &Digest,
    now: Timestamp,
) -> Result<Option<(Session, Account)>> {
    let Some(mut row) = store.row(sql, &[digest.into(), now.into()]).await? else { return Ok(None) };
    let account = read(&mut row)?;
    let at = row.take()?;
    let amr: String = row.take()?;
    let expires_at = row.take()?;
    let sign_in = SignIn { at, amr: amr_list(&amr) };
    let session = Session { digest: *digest, account: account.id, sign_in, expires_at };
    Ok(Some((session, account)))
}

/// What stands in the row of every new session.
fn session_row(session: &Session, from: &Origin) -> Vec<Value> {
    vec![
        session.digest.into(),
        session.account.into(),
        session.sign_in.at.into(),
        amr_text(&session.sign_in.amr).into(),
        (&from.address).into(),
        from.user_agent.as_deref().into(),
        session.expires_at.into(),
    ]
}

/// Conflicts if the account was disabled or removed meanwhile, its password is not the one any more
/// whose hash was checked, or a whole session would do without a second factor that there is.
pub fn start_session(session: &Session, half: bool, checked: &str, from: &Origin) -> Stmt {
    let mut args = session_row(session, from);
    args.push(checked.into());
    Stmt::one(if half { START_HALF } else { START_SESSION }, args)
}

/// Starts the session of somebody who was recognised without a password. Conflicts if the account was
/// disabled or removed meanwhile.
pub fn start_verified(session: &Session, from: &Origin) -> Stmt {
    Stmt::one(START_VERIFIED, session_row(session, from))
}

/// Starts the session of somebody whom an issuer vouches for, `half` if a factor of ours is wanted too.
/// Conflicts if the account was disabled or removed meanwhile, or a whole session would do without a
/// factor that there is.
pub fn start_vouched(session: &Session, half: bool, from: &Origin, now: Timestamp) -> Stmt {
    let enough = half || session.sign_in.is_multi_factor();
    let mut args = session_row(session, from);
    args.extend([half.then_some("second").into(), now.into(), i64::from(enough).into()]);
    Stmt::one(START_VOUCHED, args)
}

/// Makes a half session whole, under another cookie. Conflicts unless it still waits for that.
pub fn complete_session(half: &Digest, whole: &Session) -> Stmt {
    let amr = amr_text(&whole.sign_in.amr);
    let args =
        vec![half.into(), whole.digest.into(), whole.sign_in.at.into(), amr.into(), whole.expires_at.into()];
    Stmt::one(COMPLETE_SESSION, args)
}

/// Its sign-in showed more since. It goes on under another cookie, so that a copy of the old one is
/// worth nothing.
pub fn strengthen(old: &Digest, new: &Digest, sign_in: &SignIn) -> Stmt {
    Stmt::one(STRENGTHEN, vec![old.into(), new.into(), amr_text(&sign_in.amr).into()])
}

pub fn end_other_sessions(account: AccountId, kept: &Digest) -> Stmt {
    Stmt::any(END_OTHER_SESSIONS, vec![account.into(), kept.into()])
}

/// Conflicts unless the session is still good.
pub fn session_holds(digest: &Digest, now: Timestamp) -> Stmt {
    Stmt::one(SESSION_HOLDS, vec![digest.into(), now.into()])
}

/// Makes batches about this person wait for each other; a conflict if it is disabled or gone.
pub fn hold(id: AccountId) -> Stmt {
    Stmt::one(HOLD, vec![id.into()])
}

/// A conflict if somebody changed it since.
pub fn unchanged(id: AccountId, revision: u32) -> Stmt {
    Stmt::one(UNCHANGED, vec![id.into(), i64::from(revision).into()])
}

pub fn end_session(digest: &Digest) -> Stmt {
    Stmt::any(END_SESSION, vec![digest.into()])
}

/// A browser that somebody is signed in with.
#[derive(Debug)]
pub struct ListedSession {
    pub digest: Digest,
    pub signed_in_at: Timestamp,
    pub from: Origin,
}

pub async fn sessions_of(store: &Store, account: AccountId, now: Timestamp) -> Result<Vec<ListedSession>> {
    let read = |mut row: Row| {
        Ok(ListedSession {
            digest: row.take()?,
            signed_in_at: row.take()?,
            from: Origin { address: row.take()?, user_agent: row.take()? },
        })
    };
    store.rows(SESSIONS_OF, &[account.into(), now.into()]).await?.into_iter().map(read).collect()
}

/// A conflict unless it is this person's.
pub fn end_own_session(digest: &Digest, account: AccountId) -> Stmt {
    Stmt::one(END_OWN_SESSION, vec![digest.into(), account.into()])
}

pub fn end_sessions(account: AccountId) -> Stmt {
    Stmt::any(END_SESSIONS, vec![account.into()])
}

pub fn sweep_sessions(before: Timestamp, limit: u32) -> Stmt {
    Stmt::any(SWEEP_SESSIONS, vec![before.into(), limit.into()])
}
