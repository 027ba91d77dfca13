//! A process that outlives `k`, known by its number and when it began: numbers are reused, so that
//! a number alone may belong to an unrelated process.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// How often a process that was asked to end is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A process of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub id: u32,
    /// When it began, in the system's own words; useful only to be compared.
    began: String,
}

impl Process {
    /// Returns the process that has this number now; `None` where none runs.
    pub fn of(id: u32) -> Option<Self> {
        let began = match std::fs::read_to_string("/proc/sys/kernel/random/boot_id") {
            Ok(boot) => {
                let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
                format!("{} {}", began_by_stat(&stat)?, boot.trim())
            }
            Err(_) => began_by_ps(id)?,
        };
        Some(Process { id, began })
    }

    /// Returns whether it runs.
    pub fn runs(&self) -> bool {
        Process::of(self.id).as_ref() == Some(self)
    }

    /// Ends it, in order if it does so in time. Returns whether it had to be killed.
    pub fn end(&self, patience: Duration) -> bool {
        self.signal(Signal::TERM);
        let patience_ends = Instant::now() + patience;
        while self.runs() {
            if Instant::now() >= patience_ends {
                self.kill();
                return true;
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        false
    }

    /// Ends it at once and waits until it is gone.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
        while self.runs() {
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// An error means that it is gone already.
    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id).ok().and_then(Pid::from_raw);
        if let Some(id) = id.filter(|_| self.runs()) {
            kill_process(id, signal).unwrap_or(());
        }
    }
}

/// Returns when a process began, in ticks since the machine started, from the text of
/// `/proc/ID/stat`; `None` for one that has ended and was not waited for. The name, in brackets, may
/// hold anything; behind it the first field is the state and the twentieth the time.
fn began_by_stat(stat: &str) -> Option<&str> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let has_ended = matches!(fields.first(), Some(&"Z" | &"X"));
    fields.get(19).filter(|_| !has_ended).copied()
}

fn began_by_ps(id: u32) -> Option<String> {
    let ps = Command::new("ps")
        .args(["-o", "state=,lstart=", "-p", &id.to_string()])
        .env("LC_ALL", "C")
        .output();
    let said = String::from_utf8(ps.ok()?.stdout).ok()?;
    let (state, began) = said.trim().split_once(' ')?;
    (!state.starts_with('Z')).then(|| began.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_number_and_its_beginning() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("a process");
        let process = Process::of(child.id()).expect("it runs");
        let stranger = Process {
            began: "before".to_owned(),
            ..process.clone()
        };
        assert!(process.runs() && !stranger.runs());
        stranger.kill();
        assert!(process.runs(), "a stranger is left alone");
        assert!(!process.end(Duration::from_secs(60)));
        assert!(!process.runs());
        child.wait().expect("ended");
        assert_eq!(Process::of(child.id()), None);
    }

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let fields = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        let stat = format!("77 (a) b (c) {fields}");
        assert_eq!(began_by_stat(&stat), Some("4711"));
        assert_eq!(began_by_stat(&stat.replace(" S ", " Z ")), None);
    }
}
