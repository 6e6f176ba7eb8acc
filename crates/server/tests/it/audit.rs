//! The audit trail: who, what, and whether anybody touched it.

use countersign_server::flow::accounts::UserAct;
use countersign_server::flow::audit::{self, Filter};

use crate::support::{Server, server};

/// A trail with some rows, sealed.
async fn with_rows() -> Server {
    let server = server().await;
    server.login("tv", "openid").await;
    server.pass(60);
    server.login("tv", "openid profile").await;
    audit::seal(&server.running.app).await.unwrap();
    server
}

async fn broken(server: &Server) -> Option<String> {
    audit::verify(&server.running.app).await.unwrap().broken
}

#[tokio::test]
async fn a_trail_that_nobody_touched_stands() {
    let server = with_rows().await;
    let app = &server.running.app;
    let verdict = audit::verify(app).await.unwrap();
    assert_eq!((verdict.broken, verdict.unsealed), (None, 0));
    assert!(verdict.rows >= 8, "{}", verdict.rows);
    // Sealing again changes nothing; what comes later is sealed later.
    assert_eq!(audit::seal(app).await.unwrap(), 0);
    server.login("tv", "openid").await;
    let more = audit::seal(app).await.unwrap();
    let after = audit::verify(app).await.unwrap();
    assert_eq!((after.broken, after.rows), (None, verdict.rows + more));
    let server = server.restart().await;
    assert_eq!(broken(&server).await, None);
}

#[tokio::test]
async fn what_is_removed_or_changed_is_missed() {
    for (change, said) in [
        ("DELETE FROM audit WHERE seq = 3", "row 3 is missing"),
        ("DELETE FROM audit WHERE seq <= 2", "row 1 is missing"),
        ("DELETE FROM audit WHERE seq >= 5", "are missing"),
        ("UPDATE audit SET address = '203.0.113.9' WHERE seq = 4", "row 4"),
        ("UPDATE audit SET detail = 'nothing to see here' WHERE seq = 4", "row 4"),
        ("UPDATE audit SET actor = 'client x' WHERE seq = 2", "row 2"),
        ("UPDATE audit SET at = at + 1 WHERE seq = 4", "row 4"),
        (
            "UPDATE audit SET account_id = NULL WHERE seq = (SELECT MIN(seq) FROM audit WHERE account_id IS NOT NULL)",
            "was changed",
        ),
        ("UPDATE audit SET action = 'client.removed' WHERE seq = 5", "row 5"),
        (
            "UPDATE audit SET seq = -seq WHERE seq IN (3, 4); UPDATE audit SET seq = 7 + seq WHERE seq < 0",
            "row",
        ),
        ("UPDATE audit SET seq = NULL, hash = NULL WHERE seq = 4", "row 4 is missing"),
        ("DELETE FROM audit; DELETE FROM installation WHERE key = 'audit_last'", "NONE"),
    ] {
        let server = with_rows().await;
        server.database().run(change).await;
        match broken(&server).await {
            Some(found) => assert!(found.contains(said), "{change}: {found}"),
            // Nothing at all is what a new server has: only what was written down elsewhere tells.
            None => assert_eq!(said, "NONE", "{change}"),
        }
    }
}

/// Whoever writes a mark of their own needs the server's key for it.
#[tokio::test]
async fn marks_cannot_be_forged() {
    let server = with_rows().await;
    let forge = "UPDATE installation SET value = (SELECT value FROM installation AS other WHERE other.key = 'audit_last') WHERE key = 'audit_first'";
    server.database().run("INSERT INTO installation (key, value) SELECT 'audit_first', value FROM installation WHERE key = 'audit_last'").await;
    server.database().run(forge).await;
    assert!(broken(&server).await.unwrap().contains("audit_first"));
}

/// Nothing is sealed on top of a forged end, not even by a server that has just started.
#[tokio::test]
async fn a_forged_end_is_not_gone_on_from() {
    let server = with_rows().await;
    // An end that was real once, of the other kind.
    let half = std::time::Duration::from_secs(30);
    assert!(audit::sweep(&server.running.app, server.now() - half, 100).await.unwrap() > 0);
    let forge = "UPDATE audit SET seq = NULL, hash = NULL, address = '203.0.113.9'; \
                 UPDATE installation SET value = (SELECT other.value FROM installation AS other \
                 WHERE other.key = 'audit_first') WHERE key = 'audit_last'";
    server.database().run(forge).await;
    let server = server.restart().await;
    let app = &server.running.app;
    let refused = audit::seal(app).await.unwrap_err().to_string();
    assert!(refused.contains("audit_last was not written with this server's key"), "{refused}");
    assert!(broken(&server).await.is_some());
    server.database().run("DELETE FROM installation WHERE key = 'audit_last'").await;
    assert!(audit::seal(app).await.unwrap_err().to_string().contains("nothing says where they end"));
}

/// Retention forgets nothing before its time, whatever somebody wrote into the rows, and everything else
/// goes on being forgotten.
#[tokio::test]
async fn what_was_made_to_look_old_is_not_forgotten() {
    let server = with_rows().await;
    let app = &server.running.app;
    server.database().run("UPDATE audit SET at = 0 WHERE seq <= 3").await;
    let rows = server.count("audit").await;
    server.pass(40 * 86_400);
    let sessions = server.count("browser_session").await;
    let refused = countersign_server::sweep::once(app, server.now()).await.unwrap_err().to_string();
    assert!(refused.contains("row 1 ("), "{refused}");
    assert!(server.count("audit").await >= rows);
    assert!(server.count("browser_session").await < sessions);
    assert!(broken(&server).await.unwrap().contains("row 1 ("));
}

#[tokio::test]
async fn of_several_who_seal_at_once_the_trail_comes_out_whole() {
    let server = with_rows().await;
    let twin = server.twin(&[]).await;
    for _ in 0..3 {
        server.login("tv", "openid").await;
        let (one, other) = (&server.running.app, &twin.running.app);
        let (a, b, c) = tokio::join!(audit::seal(one), audit::seal(other), audit::seal(one));
        let _sealed = (a.unwrap(), b.unwrap(), c.unwrap());
    }
    audit::seal(&server.running.app).await.unwrap();
    let verdict = audit::verify(&server.running.app).await.unwrap();
    assert_eq!((verdict.broken, verdict.unsealed), (None, 0));
}

/// Whoever takes the seals away behind a running server's back has nothing sealed anew.
#[tokio::test]
async fn a_server_does_not_seal_what_was_taken_back() {
    let server = with_rows().await;
    let app = &server.running.app;
    let before = server.database();
    before
        .run("UPDATE audit SET seq = NULL, hash = NULL; DELETE FROM installation WHERE key LIKE 'audit%'")
        .await;
    assert!(audit::seal(app).await.is_err());
    assert_eq!(server.count("audit WHERE seq IS NOT NULL").await, 0);
}

#[tokio::test]
async fn what_is_sealed_or_forgotten_meanwhile_is_no_break() {
    let server = Server::with(&[("retention.audit", "1s")]).await;
    let app = &server.running.app;
    for _ in 0..6 {
        server.login("tv", "openid").await;
        server.pass(2);
        let work = async {
            audit::seal(app).await.unwrap();
            audit::sweep(app, server.now() - std::time::Duration::from_secs(1), 3).await.unwrap();
        };
        let (verdict, ()) = tokio::join!(audit::verify(app), work);
        assert_eq!(verdict.unwrap().broken, None);
    }
}

#[tokio::test]
async fn what_is_old_is_forgotten_from_the_beginning() {
    let server = Server::with(&[("retention.audit", "1d")]).await;
    let app = &server.running.app;
    server.login("tv", "openid").await;
    server.pass(86_000);
    server.login("tv", "openid").await;
    server.pass(1000);
    let before = server.count("audit").await;
    countersign_server::sweep::once(app, server.now()).await.unwrap();
    let after = server.count("audit").await;
    assert!(after < before && after > 0, "{before} {after}");
    let verdict = audit::verify(app).await.unwrap();
    assert_eq!(verdict.broken, None);
    server.database().run("DELETE FROM audit WHERE seq = (SELECT MIN(seq) FROM audit)").await;
    assert!(broken(&server).await.is_some_and(|said| said.contains("is missing")));
}

#[tokio::test]
async fn it_says_who_what_on_whose_behalf_from_where_and_why() {
    let server = server().await;
    let app = &server.running.app;
    server.login("tv", "openid").await;
    server.office().act_on_user("alice", UserAct::Disable, None).await.unwrap().unwrap();
    server.office().remove_client("tv", None).await.unwrap().unwrap();
    let all = audit::list(app, &Filter::default(), None, 100).await.unwrap();
    let actions: Vec<&str> = all.iter().map(|entry| entry.stored.action.as_str()).collect();
    for action in [
        "sign_in.succeeded",
        "grant.opened",
        "grant.approved",
        "grant.redeemed",
        "user.disabled",
        "client.removed",
    ] {
        assert!(actions.contains(&action), "{action} is not in {actions:?}");
    }
    let one = |action: &str| all.iter().find(|entry| entry.stored.action == action).unwrap();
    let one = |action: &str| serde_json::to_value(one(action).view()).unwrap();
    let approved = one("grant.approved");
    assert_eq!((approved["username"].as_str(), approved["client_id"].as_str()), (Some("alice"), Some("tv")));
    assert_eq!(
        (approved["address"].as_str(), approved["outcome"].as_str()),
        (Some("127.0.0.1"), Some("success"))
    );
    assert!(approved["actor"].as_str().unwrap().starts_with("user "));
    assert_eq!(one("user.disabled")["actor"], "command line");
    // Filters, and pages that neither repeat nor leave out.
    let filter = Filter { action: Some("grant".to_owned()), ..Filter::default() };
    let grants = audit::list(app, &filter, None, 100).await.unwrap();
    assert!(grants.len() >= 3 && grants.iter().all(|entry| entry.stored.action.starts_with("grant.")));
    let filter = Filter { client: Some("tv".parse().unwrap()), ..Filter::default() };
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = audit::list(app, &filter, before, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.stored.id);
        seen.extend(page.iter().map(|entry| entry.stored.id));
    }
    assert_eq!(seen.len(), audit::list(app, &filter, None, 100).await.unwrap().len());
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]));
    let filter =
        Filter { since: Some(server.now() + std::time::Duration::from_secs(1)), ..Filter::default() };
    assert!(audit::list(app, &filter, None, 10).await.unwrap().is_empty());
}
