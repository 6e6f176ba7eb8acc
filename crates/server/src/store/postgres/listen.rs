//! Hears what other nodes tell, over a connection of its own.
//!
//! Notifications and the answers to our own questions come over the same connection in order, so
//! an answer shows that everything which was told before was heard. After a lost connection nothing
//! that is remembered is certain.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::AsyncMessage;
use tokio_util::sync::CancellationToken;

use super::connect::Options;
use crate::store::feed::{self, Event, Feed};
use crate::store::{Result, StoreError};

/// How often it is asked whether the connection is still good.
const BEAT: Duration = Duration::from_millis(250);
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(200);

/// Listens until it is told to stop.
pub async fn run(options: Options, feed: Arc<Feed>, stop: CancellationToken) {
    let listening = async {
        let mut complained = false;
        loop {
            if let Err(error) = listen(&options, &feed, &mut complained).await
                && !complained
            {
                tracing::warn!(%error, "cannot hear other nodes; what is remembered is not used meanwhile");
                complained = true;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = listening => {}
    }
}

/// Ends only with an error.
async fn listen(options: &Options, feed: &Arc<Feed>, complained: &mut bool) -> Result<()> {
    let lost = |error: tokio_postgres::Error| StoreError::Unavailable(error.to_string());
    let (config, tls) = (options.with_settings(""), options.tls()?);
    let late = |_| StoreError::Unavailable("no answer in time".to_owned());
    let connecting = tokio::time::timeout(options.connect_timeout + PATIENCE, config.connect(tls));
    let (client, mut connection) = connecting.await.map_err(late)?.map_err(super::error::failed)?;
    let heard = feed.clone();
    let hearing = async move {
        loop {
            match std::future::poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(AsyncMessage::Notification(told))) => {
                    let Ok(event) = told.payload().parse::<Event>();
                    heard.tell(&event);
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return lost(error),
                None => return StoreError::Unavailable("the connection was closed".to_owned()),
            }
        }
    };
    let asking = async {
        let joining = async {
            let channel: String = client.query_one(CHANNEL, &[]).await?.get(0);
            client.batch_execute(&format!("LISTEN \"{channel}\"")).await
        };
        tokio::time::timeout(PATIENCE, joining).await.map_err(late)?.map_err(lost)?;
        // What was told before is told no more.
        feed.tell(&Event::Missed);
        if std::mem::take(complained) {
            tracing::info!("hears other nodes again");
        }
        loop {
            let asked_at = feed::now();
            match tokio::time::timeout(PATIENCE, client.batch_execute("SELECT 1")).await {
                Ok(answer) => answer.map_err(lost)?,
                Err(_) => return Err(StoreError::Unavailable("no answer in time".to_owned())),
            }
            feed.heard_all_before(asked_at);
            tokio::time::sleep(BEAT).await;
        }
    };
    tokio::select! {
        error = hearing => Err(error),
        ended = asking => ended,
    }
}

/// Channels belong to a database; ours to a schema.
const CHANNEL: &str = "SELECT 'countersign.' || current_schema()";
