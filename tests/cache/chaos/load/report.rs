//! What a run of the chaos test has seen.

use super::*;

/// What a run has done and found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) reads: u64,
    pub(crate) hits: u64,
    /// Acknowledged writes; `deferred` counts those whose tags were left to the relay.
    pub(crate) acknowledged: u64,
    pub(crate) deferred: u64,
    /// Reads older than a deferred write, within the time that the relay has for the repair.
    pub(crate) old_after_deferred: u64,
    /// Requests that a killed server did not answer.
    pub(crate) unanswered: u64,
    /// Requests that were refused while a fault excused refusals.
    pub(crate) refused: u64,
    /// The longest recovery time of a server after each kind of fault.
    pub(crate) back_after: BTreeMap<&'static str, Duration>,
    /// Ids of the acknowledged orders.
    pub(crate) orders: Vec<Uuid>,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) violations: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hits = 100.0 * self.hits as f64 / self.reads.max(1) as f64;
        writeln!(
            f,
            "seed {}: {} checked reads ({hits:.0} % hits), {} acknowledged writes ({} deferred, {} \
             older reads after those), {} requests without an answer, {} refused, {} violations",
            self.seed,
            self.reads,
            self.acknowledged,
            self.deferred,
            self.old_after_deferred,
            self.unanswered,
            self.refused,
            self.violations.len(),
        )?;
        for (fault, count) in &self.faults {
            let back = self.back_after.get(fault).copied().unwrap_or_default();
            writeln!(
                f,
                "  {count:4} × {fault}; back after {:.1} s at the most",
                back.as_secs_f64()
            )?;
        }
        for violation in self.violations.iter().take(20) {
            writeln!(f, "  violation: {violation}")?;
        }
        Ok(())
    }
}
