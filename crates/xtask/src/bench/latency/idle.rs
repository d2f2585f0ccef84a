//! What two joined agents cost while nothing happens.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::super::history::History;
use super::super::process;
use super::super::programs::{Programs, USER};
use super::way::Way;

/// The agents give back memory of a repository that nobody used for a minute.
const REST: Duration = Duration::from_secs(75);

/// What one idle agent costs.
pub(super) struct Agent {
    pub(super) title: &'static str,
    /// The share of one processor.
    pub(super) cpu: f64,
    pub(super) memory_kib: f64,
}

/// What both cost, and with which repository.
pub(super) struct Idle {
    pub(super) artifacts: u64,
    pub(super) seconds: u64,
    pub(super) agents: Vec<Agent>,
}

/// Joins two agents with a made-up history, has one commit arrive, and measures once they rest.
///
/// # Errors
/// When a program fails.
pub(super) fn measure(
    check_ins: u64,
    seconds: u64,
    programs: &Programs,
    folder: &Path,
) -> anyhow::Result<Idle> {
    let folder = folder.join("idle");
    fs::create_dir(&folder)?;
    let files = ["source", "target"].map(|name| folder.join(name).join("project.fossil"));
    for name in ["source", "target"] {
        fs::create_dir(folder.join(name))?;
    }
    eprintln!("making {check_ins} check-ins; stock imports them");
    let stream = folder.join("stream");
    let mut out = BufWriter::new(File::create(&stream)?);
    History::new().write(check_ins, &mut out)?;
    out.flush()?;
    let words = ["import", "--git", "--quiet", "--admin-user", USER].map(Path::new);
    programs.fossil(words.iter().chain([&files[0].as_path(), &stream.as_path()]))?;
    fs::remove_file(&stream)?;
    fs::copy(&files[0], &files[1])?;
    let mut way = Way::between("idle", programs, &folder, &files)?;
    way.commit(programs)?;
    eprintln!("waiting until the agents rest, then {seconds} s");
    thread::sleep(REST);
    let processes = way.processes();
    let cpu = || -> anyhow::Result<Vec<Duration>> {
        processes.iter().map(|id| process::cpu(*id)).collect()
    };
    let before = cpu()?;
    thread::sleep(Duration::from_secs(seconds));
    let after = cpu()?;
    let mut agents = Vec::new();
    for (at, title) in ["leaf", "hub"].into_iter().enumerate() {
        agents.push(Agent {
            title,
            cpu: (after[at] - before[at]).as_secs_f64()
                / Duration::from_secs(seconds).as_secs_f64(),
            memory_kib: process::memory_kib(processes[at])?,
        });
    }
    let artifacts = programs.count(&files[1], "blob")?;
    Ok(Idle {
        artifacts,
        seconds,
        agents,
    })
}
