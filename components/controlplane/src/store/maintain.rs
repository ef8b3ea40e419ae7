//! Upkeep while running: relaxed commits reach the disk within five seconds, old history goes, expired events go.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::params;
use tokio::{select, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    Durability, Key, Rk, Store, StoreError,
    read::newest,
    schema::{from_sql, to_sql},
    writer,
};

/// How often history is looked at.
const PERIOD: Duration = Duration::from_mins(1);
/// History is kept at least this long.
const RETENTION: Duration = Duration::from_mins(10);
/// History is kept at least this long even when [`MAX_ROWS`] is exceeded.
const MIN_RETENTION: Duration = Duration::from_mins(5);
/// Changes kept when they come faster than [`RETENTION`] allows for.
const MAX_ROWS: u64 = 100_000;
/// Revisions per compaction transaction, so that writers wait a few milliseconds at most.
const SLICE: u64 = 500;
/// Expired events removed per transaction.
const EXPIRED_BATCH: usize = 500;
/// Relaxed commits are synced this long after the first of them.
const SYNC_DELAY: Duration = Duration::from_secs(5);

/// Remembers which revision was current when, to turn an age into a revision.
#[derive(Default)]
pub struct Schedule {
    marks: Mutex<VecDeque<(Instant, u64)>>,
}

impl Schedule {
    /// Notes the current revision and answers up to where history may go.
    fn mark(&self, now: Instant, revision: u64) -> Option<u64> {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.push_back((now, revision));
        let mut target = None;
        while let Some((at, rev)) = marks.front().copied() {
            let age = now.duration_since(at);
            if age >= RETENTION || (age >= MIN_RETENTION && revision.saturating_sub(rev) > MAX_ROWS) {
                target = Some(rev);
                marks.pop_front();
            } else {
                break;
            }
        }
        target
    }
}

impl Store {
    /// Keeps the store healthy until `stop`; the owner runs exactly one of these. Does nothing while nothing is written.
    pub async fn maintain(&self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(PERIOD);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut latest = self.inner.hub.any_change();
        loop {
            select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {
                    if let Err(error) = self.upkeep_round(Timestamp::now()).await {
                        warn!(error = %error, "store upkeep failed");
                    }
                }
                changed = latest.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(SYNC_DELAY) => {}
                    }
                    latest.borrow_and_update();
                    if self.sync().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn upkeep_round(&self, now: Timestamp) -> Result<(), StoreError> {
        while self.expire(now).await? == EXPIRED_BATCH {}
        if let Some(target) = self.inner.maintenance.mark(Instant::now(), self.revision()) {
            self.compact(target).await?;
        }
        Ok(())
    }

    /// Removes expired objects; returns how many expiry marks were handled.
    pub(super) async fn expire(&self, now: Timestamp) -> Result<usize, StoreError> {
        let now = now.as_second();
        let due = self
            .read(move |db| {
                let mut statement = db.prepare_cached(
                    "SELECT ttl.at, ttl.rev, kv.rk, kv.ns, kv.name FROM ttl LEFT JOIN kv ON kv.rev=ttl.rev
                     WHERE ttl.at<=?1 ORDER BY ttl.at LIMIT ?2",
                )?;
                let limit = i64::try_from(EXPIRED_BATCH).unwrap_or(i64::MAX);
                let rows = statement.query_map([now, limit], |row| {
                    let rk: Option<u32> = row.get(2)?;
                    let key = rk.map(|rk| -> Result<Key, rusqlite::Error> {
                        Ok(Key { rk: Rk(rk), ns: row.get(3)?, name: row.get(4)? })
                    });
                    Ok((row.get::<_, i64>(0)?, from_sql(row.get(1)?), key.transpose()?))
                })?;
                Ok(rows.collect::<Result<Vec<_>, _>>()?)
            })
            .await?;
        let count = due.len();
        if count > 0 {
            self.write(Durability::Relaxed, move |tx| -> Result<(), StoreError> {
                for (at, rev, key) in due {
                    tx.drop_expiry(at, rev)?;
                    if let Some(key) = key
                        && tx.get(&key)?.is_some_and(|current| current.rev == rev)
                    {
                        tx.delete(&key)?;
                    }
                }
                Ok(())
            })
            .await?;
        }
        Ok(count)
    }

    /// Forgets history up to `target`: exact lists and watches from before it answer [`StoreError::Expired`].
    ///
    /// # Errors
    /// Database errors; what was compacted so far stays compacted.
    pub async fn compact(&self, target: u64) -> Result<(), StoreError> {
        let mut from = self.inner.compacted.load(Ordering::Acquire);
        let newest = self.read(newest).await?;
        let target = target.min(newest.saturating_sub(1));
        while from < target {
            // Numbering has gaps after unclean stops: jump to the next row that exists.
            let next = self.upkeep(move |db| next_row(db, from)).await?;
            let Some(next) = next.filter(|next| *next <= target) else { break };
            let through = (next + SLICE).min(target);
            // Readers must stop trusting the range before it starts to disappear.
            self.inner.compacted.store(through, Ordering::Release);
            self.upkeep(move |db| writer::compact_slice(db, from, through)).await?;
            from = through;
        }
        self.upkeep(|db| Ok(db.execute_batch("PRAGMA incremental_vacuum(64)")?)).await
    }
}

fn next_row(db: &rusqlite::Connection, after: u64) -> Result<Option<u64>, StoreError> {
    let rev: Option<i64> = db
        .prepare_cached("SELECT min(rev) FROM kv WHERE rev>?1")?
        .query_row(params![to_sql(after)], |row| row.get(0))?;
    Ok(rev.map(from_sql))
}
