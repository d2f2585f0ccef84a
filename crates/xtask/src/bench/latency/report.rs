//! The tables, as Markdown.

use std::fmt::Write;
use std::time::Duration;

use super::idle::Idle;
use super::way::Sample;

/// Returns the tables with what they were measured on. The last way is stock's own.
pub(super) fn markdown(machine: &str, ways: &[(&str, Vec<Sample>)], idle: &Idle) -> String {
    let commits = ways.first().map_or(0, |(_, samples)| samples.len());
    let mut text = format!(
        "Machine: {machine}. {commits} commits of each way, in turns; ratio = EdgeSync / stock's autosync, of the whole time at p50.\n\n\
         | stock commit | in the other file after, p50 | p99 | with the commit itself, p50 | p99 | ratio |\n\
         |---|--:|--:|--:|--:|--:|\n"
    );
    let whole = |samples: &[Sample]| percentile(samples, |sample| sample.whole, 50);
    let stock = ways
        .last()
        .map_or(Duration::ZERO, |(_, samples)| whole(samples));
    for (title, samples) in ways {
        let ratio = whole(samples).as_secs_f64() / stock.as_secs_f64().max(f64::MIN_POSITIVE);
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {title} | {} | {} | {} | {} | **{ratio:.2}** |",
            millis(percentile(samples, |sample| sample.way, 50)),
            millis(percentile(samples, |sample| sample.way, 99)),
            millis(whole(samples)),
            millis(percentile(samples, |sample| sample.whole, 99)),
        );
    }
    let _ = write!(
        text,
        "\nTwo joined agents with a repository of {} artifacts, over {} s in which nothing happens:\n\n\
         | agent | CPU | memory |\n|---|--:|--:|\n",
        idle.artifacts, idle.seconds
    );
    for agent in &idle.agents {
        let (cpu, mib) = (agent.cpu * 100.0, agent.memory_kib / 1_024.0);
        let _ = writeln!(text, "| {} | {cpu:.2} % | {mib:.1} MiB |", agent.title);
    }
    text
}

fn percentile(samples: &[Sample], of: fn(&Sample) -> Duration, hundredths: usize) -> Duration {
    let mut times: Vec<Duration> = samples.iter().map(of).collect();
    times.sort();
    let at = (times.len() * hundredths / 100).min(times.len().saturating_sub(1));
    times.get(at).copied().unwrap_or_default()
}

fn millis(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::super::idle::Agent;
    use super::*;

    #[test]
    fn the_tables_hold_percentiles_and_the_ratio_to_stock() {
        let samples = |way, whole| {
            let of = |scale: u32| Sample {
                way: Duration::from_millis(way) * scale,
                whole: Duration::from_millis(whole) * scale,
            };
            (1..=100).map(of).collect::<Vec<_>>()
        };
        let ways = [("ours", samples(1, 2)), ("stock's", samples(2, 4))];
        let agents = vec![Agent {
            title: "leaf",
            cpu: 0.0015,
            memory_kib: 2_048.0,
        }];
        let idle = Idle {
            artifacts: 7,
            seconds: 60,
            agents,
        };
        let text = markdown("m", &ways, &idle);
        assert!(
            text.contains("| ours | 51 ms | 100 ms | 102 ms | 200 ms | **0.50** |\n"),
            "{text}"
        );
        assert!(text.ends_with("| leaf | 0.15 % | 2.0 MiB |\n"), "{text}");
    }
}
