//! What the kernel tells of a running process.

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// Ticks of the kernel's clock in a second, as /proc counts them on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// Returns the processor time a process has taken so far, in steps of 10 ms.
///
/// # Errors
/// When it has ended.
pub(crate) fn cpu(process: u32) -> anyhow::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the program, in parentheses, may hold anything.
    let (_, fields) = text.rsplit_once(')').context("a stat line has a name")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    // Fields 14 and 15 of proc(5); the first after the name is the third.
    let (user, system) = (fields.get(11), fields.get(12));
    let (user, system) = user.zip(system).context("a stat line has 15 fields")?;
    let ticks = user.parse::<u64>()? + system.parse::<u64>()?;
    Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

/// Returns the memory a process holds now, in KiB.
///
/// # Errors
/// When it has ended.
pub(crate) fn memory_kib(process: u32) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.context("the kernel tells the memory")?.trim().parse()?)
}
