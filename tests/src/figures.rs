//! Shared by benchmarks: medians, CPU time of processes, and the page with the results.

use std::{fs, path::Path};

/// The median of the values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The value that `of_hundred` per cent of the values do not exceed.
pub fn percentile(mut values: Vec<f64>, of_hundred: usize) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let rank = (values.len() * of_hundred).div_ceil(100).max(1);
    values[rank - 1]
}

/// Peak resident memory of a process so far, in MiB.
pub fn peak_memory(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kib: f64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    kib / 1024.0
}

/// CPU seconds that the processes have used so far, including their children.
pub fn cpu_seconds(pids: &[u32]) -> f64 {
    let ticks: u64 = pids.iter().filter_map(|pid| ticks(*pid)).sum();
    // Linux reports times in units of 10 ms on every platform that this runs on.
    ticks as f64 / 100.0
}

fn ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain spaces and parentheses; utime and stime are the 12th and 13th fields after
    // it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// The process itself and its children.
pub fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let child = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1));
        if let Some(child) = child
            && parent == Some(&pid.to_string())
        {
            family.push(child);
        }
    }
    family
}

/// Writes the text into its section of `docs/benchmarks.md`, between the two comments that name it.
pub fn write_section(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
    let page = fs::read_to_string(&path).unwrap();
    let (begin, end) = (
        format!("<!-- {name} -->\n"),
        format!("<!-- end of {name} -->"),
    );
    let (before, rest) = page.split_once(&begin).expect("the section begins");
    let (_, after) = rest.split_once(&end).expect("the section ends");
    fs::write(&path, format!("{before}{begin}{text}\n{end}{after}")).unwrap();
}
