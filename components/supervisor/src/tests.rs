use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::watch;
use tokio::time::Instant;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(5);

fn exact() -> Backoff {
    Backoff { jitter: 0.0, ..Backoff::new(SECOND, 4 * SECOND) }
}

/// Fails `times` times in its own way, then waits for the end.
fn failing(times: u32, how: fn() -> Result<(), io::Error>) -> (Supervisor, watch::Receiver<Vec<u64>>) {
    let (births, seen) = watch::channel(Vec::new());
    let births = Arc::new(births);
    let begin = Instant::now();
    let mut supervisor = Supervisor::new(exact());
    supervisor.module("m", move |stop| {
        births.send_modify(|at: &mut Vec<u64>| at.push(begin.elapsed().as_secs()));
        let lives = births.borrow().len();
        async move {
            if lives <= times as usize {
                return how();
            }
            stop.cancelled().await;
            Ok(())
        }
    });
    (supervisor, seen)
}

async fn check_restarts(how: fn() -> Result<(), io::Error>, said: &str) {
    let (supervisor, mut seen) = failing(4, how);
    let health = supervisor.health();
    let stop = CancellationToken::new();
    let (ended, ()) = tokio::join!(supervisor.run(stop.clone(), GRACE), async {
        let births = seen.wait_for(|births| births.len() == 5).await.expect("module lives").clone();
        assert_eq!(births, [0, 1, 3, 7, 11]);
        tokio::task::yield_now().await;
        assert!(health.is_healthy());
        let module = health.snapshot().remove("m").expect("known");
        assert_eq!((module.restarts, module.last_error.as_deref()), (4, Some(said)));
        stop.cancel();
    });
    ended.expect("stops in time");
    assert_eq!(health.snapshot()["m"].state, State::Stopped);
}

#[tokio::test(start_paused = true)]
async fn failures_are_restarted_with_growing_pauses() {
    check_restarts(|| Err(io::Error::other("no disk")), "no disk").await;
}

#[tokio::test(start_paused = true)]
async fn panics_are_one_more_reason_to_restart() {
    check_restarts(|| panic!("bug {}", 7), "panicked: bug 7").await;
}

#[tokio::test(start_paused = true)]
async fn long_life_makes_the_next_pause_short_again() {
    let lives = Arc::new(AtomicU32::new(0));
    let begin = Instant::now();
    let mut supervisor = Supervisor::new(exact());
    let count = Arc::clone(&lives);
    supervisor.module("m", move |_| {
        let life = count.fetch_add(1, Ordering::Relaxed);
        async move {
            match life {
                0 | 1 => Err(io::Error::other("early")),
                2 => {
                    tokio::time::sleep(10 * SECOND).await;
                    Err(io::Error::other("late"))
                }
                _ => Ok(()),
            }
        }
    });
    supervisor.run(CancellationToken::new(), GRACE).await.expect("finishes");
    assert_eq!(begin.elapsed(), (1 + 2 + 10 + 1) * SECOND);
}

#[tokio::test(start_paused = true)]
async fn finished_modules_stay_finished_and_end_the_run() {
    let mut supervisor = Supervisor::new(exact());
    supervisor.module("once", |_| async { Ok::<_, BoxError>(()) });
    let health = supervisor.health();
    assert!(!health.is_healthy());
    supervisor.run(CancellationToken::new(), GRACE).await.expect("ends");
    let expected = ModuleHealth { state: State::Finished, restarts: 0, last_error: None };
    assert_eq!(health.snapshot(), BTreeMap::from([("once", expected)]));
}

#[tokio::test(start_paused = true)]
async fn deaf_module_is_aborted_after_the_grace_period_and_named() {
    let mut supervisor = Supervisor::new(exact());
    supervisor.module("deaf", |_| std::future::pending::<Result<(), BoxError>>());
    supervisor.module("polite", |stop: CancellationToken| async move {
        stop.cancelled().await;
        Ok::<_, BoxError>(())
    });
    let stop = CancellationToken::new();
    let begin = Instant::now();
    let (ended, ()) = tokio::join!(supervisor.run(stop.clone(), GRACE), async {
        tokio::task::yield_now().await;
        stop.cancel();
    });
    assert_eq!(ended.expect_err("one is overdue").overdue, ["deaf"]);
    assert_eq!(begin.elapsed(), GRACE);
}

#[tokio::test(start_paused = true)]
async fn failing_module_does_not_wait_out_its_pause_when_everything_stops() {
    let (supervisor, mut seen) = failing(u32::MAX, || Err(io::Error::other("no")));
    let stop = CancellationToken::new();
    let begin = Instant::now();
    let (ended, ()) = tokio::join!(supervisor.run(stop.clone(), GRACE), async {
        seen.wait_for(|births| births.len() == 3).await.expect("module lives");
        stop.cancel();
    });
    ended.expect("stops in time");
    assert_eq!(begin.elapsed(), 3 * SECOND);
}
