//! Random faults under load: two servers, one PostgreSQL, one Redis. Each read is checked against the newest version
//! that was acknowledged before the read started. After each fault every server must recover quickly. At the end the
//! test searches the database for lost or torn writes and for missing partitions. `make chaos` runs it for a given
//! time; the printed seed reproduces the same faults.

mod faults;
mod ledger;
mod load;

use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use stockroom_tests::sabotage;

use self::{
    faults::Rig,
    load::{Load, Report},
};

const WRITERS: u64 = 8;
const READERS: u64 = 16;
/// Once the relay can reach PostgreSQL and Redis, it repairs entries of deferred writes within this time. The limit
/// is generous for debug builds, which may run beside other tests and only have to repair eventually.
const REPAIRED_WITHIN: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 3 });
/// A pause without faults, long enough for the relay and the readers to notice the recovery.
const PAUSE: Duration = Duration::from_secs(4);
/// Every server serves readers and writers again within this time after a fault. Generous for debug builds.
const BACK_WITHIN: Duration = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 5 });
/// How long the test holds row locks, if the run is long enough for it.
const LONG_HOLD: Duration = Duration::from_secs(40);
/// No fault lasts this long.
const LONGEST_FAULT: Duration = Duration::from_secs(600);
const SHORT_HOLD: Duration = Duration::from_secs(4);

/// The same in every run, so that a failure can be repeated; `make chaos` draws others.
const SEED: u64 = 20_261_126;

/// Duration, seed and, optionally, the breach of the protocol that must be detected.
struct Plan {
    seconds: u64,
    seed: u64,
    breach: Option<&'static str>,
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_under_chaos_are_never_older_than_acknowledged_writes() {
    let plan = Plan {
        seconds: number("STOCKROOM_CHAOS_SECONDS").unwrap_or(45),
        seed: number("STOCKROOM_CHAOS_SEED").unwrap_or(SEED),
        breach: None,
    };
    let report = run(&plan).await;
    assert!(report.violations.is_empty(), "{report}");
    assert!(
        report.reads > 0 && report.hits > 0 && report.acknowledged > 0,
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn chaos_detects_every_breach_of_the_protocol() {
    for &breach in sabotage::WAYS {
        let plan = Plan {
            seconds: 120,
            seed: 7,
            breach: Some(breach),
        };
        let report = run(&plan).await;
        let is_stale = |violation: &&String| violation.starts_with("stale");
        assert!(
            report
                .violations
                .iter()
                .any(|violation| is_stale(&violation)),
            "{breach}: {report}"
        );
    }
}

/// Runs until the time is over or, with a breach, until a violation is found.
async fn run(plan: &Plan) -> Report {
    let hold = match plan.seconds {
        300.. => LONG_HOLD,
        _ => SHORT_HOLD,
    };
    let mut rig = Rig::start(plan.breach, hold).await;
    let load = Load::start(&rig, plan.seed).await;
    let mut random = ChaCha8Rng::seed_from_u64(plan.seed);
    let deadline = Instant::now() + Duration::from_secs(plan.seconds);
    let is_over =
        |load: &Load| Instant::now() > deadline || plan.breach.is_some() && load.has_violations();
    let mut made = 0;
    while !is_over(&load) {
        tokio::time::sleep(Duration::from_millis(random.random_range(50..400))).await;
        let (fault, refuses) = rig.choose(&mut random);
        load.disturbed();
        if refuses {
            load.excuse_for(LONGEST_FAULT);
        }
        let fault = rig.make(fault, &mut random).await;
        if refuses {
            load.excuse_for(BACK_WITHIN);
        }
        if plan.breach.is_none() {
            load.wait_until_back(fault, BACK_WITHIN).await;
        }
        load.calm();
        load.count_fault(fault);
        made += 1;
        if made % 12 == 0 && plan.breach.is_none() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    let mut report = load.finish().await;
    if plan.breach.is_none() {
        // The audit goes first, because only the first few violations are printed.
        let audit = ledger::audit(&rig.pool, &report.orders).await;
        report.violations.splice(0..0, audit);
    }
    report.seed = plan.seed;
    stockroom_tests::say(&format!(
        "chaos {}: {report}",
        plan.breach.unwrap_or("as built")
    ));
    report
}
