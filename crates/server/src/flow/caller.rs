//! Who calls an API of ours: somebody who is signed in, in one of several ways, or an API key.

use countersign_core::account::{Account, Session, SignIn, Username};
use countersign_core::audit::Action;
use countersign_core::id::{AccountId, DeviceId};
use countersign_core::key::{self, Key};
use countersign_core::node::Node;
use countersign_core::scope::{ADMIN, DEVICES};
use countersign_core::secret::{Digest, Plain};
use countersign_core::time::Timestamp;
use tracing::instrument;

use crate::app::{Answer, App};
use crate::dpop;
use crate::flow::access::{self, Access, Bearer};
use crate::flow::{api_keys, login, nodes};
use crate::issuers::{Unverified, Vouched};
use crate::store::accounts::Known;
use crate::store::{Committed, Stmt, accounts, audit, families};
use crate::telemetry::trace::TRACE;

#[derive(Debug)]
pub struct Caller {
    pub account: Account,
    pub proof: Proof,
}

/// What somebody showed.
#[derive(Debug)]
pub enum Proof {
    /// A cookie of ours, and a form token.
    Session(Session),
    /// An access token of ours.
    Token(Box<Access>),
    /// A token of an issuer that we were told to trust.
    Vouched {
        issuer: String,
        subject: String,
        sign_in: SignIn,
    },
    Key(Box<Key>),
    /// A paired node's token.
    Node(Box<Node>),
}

/// Why nobody was recognised.
#[derive(Debug)]
pub enum Stranger {
    /// The credential is not good, or not any more.
    Invalid,
    /// The issuer that must vouch for it cannot be asked now.
    Unreachable,
}

impl Caller {
    /// Whether this is a person who may approve and make things, rather than a program of theirs.
    pub fn is_signed_in(&self) -> bool {
        match &self.proof {
            Proof::Session(_) | Proof::Vouched { .. } => true,
            Proof::Token(access) => access.scopes.contains(DEVICES),
            Proof::Key(_) | Proof::Node(_) => false,
        }
    }

    /// Whether they may make a key that administers: an administrator, who is here themselves or speaks by
    /// what may administer already. No program gets more than it has.
    pub fn may_hand_on_admin(&self) -> bool {
        self.account.admin
            && match &self.proof {
                Proof::Session(_) => true,
                Proof::Token(access) => access.scopes.contains(ADMIN),
                Proof::Vouched { .. } | Proof::Key(_) | Proof::Node(_) => false,
            }
    }

    /// How they signed in.
    pub fn sign_in(&self) -> SignIn {
        match &self.proof {
            Proof::Session(session) => session.sign_in.clone(),
            Proof::Token(access) => access.sign_in.clone(),
            Proof::Vouched { sign_in, .. } => sign_in.clone(),
            Proof::Key(key) => SignIn { at: key.created_at, amr: Vec::new() },
            Proof::Node(node) => SignIn { at: node.paired_at, amr: Vec::new() },
        }
    }

    /// The login of a device's that speaks here in its person's name.
    pub fn login(&self) -> Option<DeviceId> {
        match &self.proof {
            Proof::Token(access) => Some(access.family),
            Proof::Session(_) | Proof::Vouched { .. } | Proof::Key(_) | Proof::Node(_) => None,
        }
    }

    /// Statements that conflict if what they showed is not good any more when the rest is committed.
    pub fn guards(&self, now: Timestamp) -> Vec<Stmt> {
        match &self.proof {
            Proof::Session(session) => vec![accounts::session_holds(&session.digest, now)],
            Proof::Token(access) => vec![families::used(access.family, now)],
            Proof::Vouched { .. } | Proof::Key(_) | Proof::Node(_) => Vec::new(),
        }
    }

    /// Whether somebody who is called so elsewhere is this caller.
    pub fn is_called(&self, name: &str) -> bool {
        let elsewhere = matches!(&self.proof, Proof::Vouched { subject, .. } if subject == name);
        elsewhere || name.parse() == Ok(self.account.id)
    }

    /// The inventory's line for what they showed.
    pub fn device(&self) -> Option<DeviceId> {
        match &self.proof {
            Proof::Token(access) => Some(access.family),
            Proof::Key(key) => Some(key.id),
            Proof::Node(node) => Some(node.id),
            Proof::Session(_) | Proof::Vouched { .. } => None,
        }
    }
}

/// Who is signed in with this cookie.
#[instrument(target = TRACE, name = "caller.by_cookie", skip_all)]
pub async fn by_cookie(app: &App, cookie: &str, now: Timestamp) -> Answer<Option<Caller>> {
    let found = login::session(app, cookie, now).await?;
    Ok(found.map(|(session, account)| Caller { account, proof: Proof::Session(session) }))
}

/// Whether what somebody showed a while ago still is what it was.
pub async fn is_still_good(app: &App, caller: &Caller, now: Timestamp) -> Answer<bool> {
    match &caller.proof {
        Proof::Token(access) => Ok(now < access.expires_at && access::is_live(app, access, now).await?),
        Proof::Session(_) | Proof::Vouched { .. } | Proof::Key(_) | Proof::Node(_) => {
            Ok(caller.account.is_enabled())
        }
    }
}

/// A credential as it came with a request.
#[derive(Debug)]
pub struct Presented<'a> {
    pub token: &'a Plain,
    /// The device whose imported token it may be.
    pub device: Option<nodes::Named>,
    /// The key that was shown along with it.
    pub key: Option<&'a dpop::Key>,
}

/// Whose token or key this is.
#[instrument(target = TRACE, name = "caller.by_bearer", skip_all)]
pub async fn by_bearer(
    app: &App,
    presented: Presented<'_>,
    now: Timestamp,
) -> Answer<Result<Caller, Stranger>> {
    let Presented { token, device, key } = presented;
    let text = token.reveal();
    if key::recognise(text) {
        let found = api_keys::authenticate(app, text, now).await?;
        let caller = found.map(|(key, account)| Caller { account, proof: Proof::Key(Box::new(key)) });
        return Ok(caller.ok_or(Stranger::Invalid));
    }
    if let Some(listed) = nodes::authenticate(app, text, device, now).await? {
        // A node of nobody's has no user that could be shown.
        let owner = match listed.node.owner {
            Some(owner) => accounts::by_id(&app.store, owner).await?,
            None => None,
        };
        let node = Proof::Node(Box::new(listed.node));
        return Ok(owner.map(|account| Caller { account, proof: node }).ok_or(Stranger::Invalid));
    }
    if let Some(issuer) = app.issuers.of(text) {
        return match issuer.verify(text, now).await {
            Ok(vouched) => {
                let account = vouched_for(app, &vouched, now).await?.filter(Account::is_enabled);
                let Vouched { issuer, subject, sign_in, .. } = vouched;
                let caller = account
                    .map(|account| Caller { account, proof: Proof::Vouched { issuer, subject, sign_in } });
                Ok(caller.ok_or(Stranger::Invalid))
            }
            Err(Unverified::Bad(why)) => {
                tracing::debug!(why, "a token of a trusted issuer was refused");
                Ok(Err(Stranger::Invalid))
            }
            Err(Unverified::Unreachable(why)) => {
                tracing::warn!(why, "a trusted issuer cannot be asked for its keys");
                Ok(Err(Stranger::Unreachable))
            }
        };
    }
    let found = access::bearer(app, text, now).await?.filter(|found| found.is_for(app));
    if let Some(found) = &found
        && !dpop::holds(app, found.jkt(), key).await?
    {
        return Ok(Err(Stranger::Invalid));
    }
    Ok(match found {
        Some(Bearer::Person(access)) => {
            Ok(Caller { account: access.owner.clone(), proof: Proof::Token(access) })
        }
        // A client is nobody.
        Some(Bearer::Client(..)) | None => Err(Stranger::Invalid),
    })
}

/// The account of somebody whom an issuer vouches for: made on first sight, and kept up to date. Nothing
/// but issuer and subject leads to an account, least of all an e-mail address.
pub async fn vouched_for(app: &App, vouched: &Vouched, now: Timestamp) -> Answer<Option<Account>> {
    for attempt in 0..4 {
        let found = accounts::of_subject(&app.store, &vouched.issuer, &vouched.subject).await?;
        let Some(Known { account, said_at, made }) = found else {
            make(app, vouched, attempt > 0, now).await?;
            continue;
        };
        let differs = |said: Option<&String>, known: Option<&String>| said.is_some() && said != known;
        let news = differs(vouched.email.as_ref(), account.email.as_ref())
            || differs(vouched.name.as_ref(), account.full_name.as_ref());
        // Only what was said later counts, and each thing once: an address may stay somebody else's. Of an
        // account that was there before, others say what it is called.
        if !made || !news || vouched.said_at <= said_at || !account.is_enabled() {
            return Ok(Some(account));
        }
        let batch = vec![
            accounts::heard(&vouched.issuer, &vouched.subject, said_at, vouched.said_at),
            accounts::update_claims(account.id, vouched.email.as_deref(), vouched.name.as_deref()),
        ];
        let _updated: Committed = app.store.commit(batch).await?;
    }
    Ok(accounts::of_subject(&app.store, &vouched.issuer, &vouched.subject).await?.map(|known| known.account))
}

/// A conflict: somebody else was faster, or the name is taken; then the next one is `unlikely` to be.
async fn make(app: &App, vouched: &Vouched, unlikely: bool, now: Timestamp) -> Answer<()> {
    let account = Account {
        id: AccountId::new(now, app.entropy.id()?),
        name: local_name(vouched, unlikely),
        email: vouched.email.clone(),
        full_name: vouched.name.clone(),
        tier: "none".to_owned(),
        admin: false,
        created_at: now,
        disabled_at: None,
        revision: 1,
    };
    let mut event = app.event(now, Action::UserAdded)?;
    event.account = Some(account.id);
    event.detail = Some(format!("by {}", vouched.issuer));
    let batch = vec![
        accounts::insert_of_issuer(&account),
        accounts::identify(&vouched.issuer, &vouched.subject, account.id, vouched.said_at, now),
        audit::insert(event),
    ];
    let _made: Committed = app.store.commit(batch).await?;
    Ok(())
}

/// What they are called elsewhere, where the configuration says so, else `subject@host`, which no name that an administrator chooses is likely to be; or with the subject's
/// digest, where that is taken or does not fit.
fn local_name(vouched: &Vouched, unlikely: bool) -> Username {
    let host = url::Url::parse(&vouched.issuer).ok();
    let host = host.as_ref().and_then(url::Url::host_str).unwrap_or("elsewhere");
    if let Some(name) = vouched.username.clone().filter(|_| !unlikely) {
        return name;
    }
    let readable = format!("{}@{host}", vouched.subject).parse::<Username>().ok();
    readable.filter(|_| !unlikely).unwrap_or_else(|| {
        let digest = Digest::of(&format!("{} {}", vouched.issuer, vouched.subject));
        Username::of_digest(&digest)
    })
}
