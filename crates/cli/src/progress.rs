//! How far long work has come: a moving bar on a terminal, now and then a plain line elsewhere, nothing with `-q`.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// The shortest time between two plain lines.
const PLAIN_INTERVAL: Duration = Duration::from_secs(2);

/// One piece of long work.
pub(crate) struct Progress {
    title: String,
    form: Form,
}

enum Form {
    Silent,
    Bar(ProgressBar),
    Lines { last: Instant },
}

impl Progress {
    pub(crate) fn start(title: &str, quiet: bool, terminal: bool) -> Self {
        let form = match (quiet, terminal) {
            (true, _) => Form::Silent,
            (false, true) => {
                let bar = ProgressBar::new_spinner().with_style(style("{spinner} {msg}"));
                bar.set_message(title.to_owned());
                bar.enable_steady_tick(Duration::from_millis(120));
                Form::Bar(bar)
            }
            (false, false) => Form::Lines {
                last: Instant::now(),
            },
        };
        Self {
            title: title.to_owned(),
            form,
        }
    }

    /// Says how much is done, of how much where that is known; `detail` is shown behind it.
    pub(crate) fn update(&mut self, done: u64, total: Option<u64>, detail: &str) {
        match &mut self.form {
            Form::Silent => {}
            Form::Bar(bar) => {
                if let Some(total) = total.filter(|total| *total > 0) {
                    if bar.length() != Some(total) {
                        bar.set_length(total);
                        bar.set_style(style("{spinner} {msg} [{bar:30}] {pos}/{len}"));
                    }
                    bar.set_position(done.min(total));
                }
                bar.set_message(format!("{}  {detail}", self.title));
            }
            Form::Lines { last } => {
                if last.elapsed() >= PLAIN_INTERVAL {
                    *last = Instant::now();
                    let of = total.map_or_else(String::new, |total| format!(" of {total}"));
                    eprintln!("{}: {done}{of}  {detail}", self.title);
                }
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Form::Bar(bar) = &self.form {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
