//! Snapshots of a group's states in a folder of this machine, so that a restart reads only what
//! came after them (`--state DIR`).
//!
//! In: the rows that each commit has added to the changelog, and the offset that it reached. Out:
//! the same rows, for a task that begins again. A snapshot is a beginning of its changelog. So it
//! is right whenever it was written: the changelog is read on from its offset. A snapshot that is
//! not certain to be such a beginning is ignored, and the whole changelog is read.
//!
//! ```text
//! DIR/GROUP-window-changelog/2.snapshot   a partition's rows; see [`file`]
//!                            2.lock       held by the process that adds to them
//! ```
//!
//! A task that begins writes all rows to a new file, replaces the old one with it, and appends the
//! rows of each commit. When these have become many more than the rows at the beginning, a thread
//! writes the file again from its own rows, while commits go on.

pub mod file;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, TryRecvError};

use tempfile::NamedTempFile;

use super::changelog;
use super::commit_metadata::Role;
use super::log::Log;
use super::plan::Described;
use crate::error::{Error, Result};
use crate::kafka::admin::Admin;
use crate::kafka::check_topic_name;
use crate::node::evaluate::now_ms;
use file::{Batch, Flaw, Loaded, Origin};

/// How much may be added to a snapshot, beside as much as it began with, before it is written again.
const SPARE: u64 = 64 << 20;

/// The setting for how long a topic keeps the record that a row was deleted.
const TOMBSTONES: &str = "delete.retention.ms";
/// Kafka's default, for brokers that do not report it.
const A_DAY_MS: i64 = 86_400_000;

/// The folder of a group's snapshots.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Creates the folder of a group in `dir`, if there is none yet.
    ///
    /// # Errors
    /// `usage` for a group that cannot have a state, `refused` where nothing can be written.
    pub fn open(dir: &Path, group: &str) -> Result<Self> {
        let name = changelog::name_of(group);
        check_topic_name(&name)?; // so that it is a good name for a folder, too
        let folder = dir.join(name);
        let made = std::fs::create_dir_all(&folder);
        let written = made.and_then(|()| tempfile::tempfile_in(&folder));
        written.map_err(|source| {
            Error::io(format!("write in `{}`", folder.display()), source)
                .hint("name a writable folder: `--state DIR`")
        })?;
        Ok(Folder(folder))
    }

    /// Removes the snapshots; no process may be using them.
    ///
    /// # Errors
    /// `refused` where they cannot be removed.
    pub fn clear(&self) -> Result<()> {
        let clear = || {
            for entry in std::fs::read_dir(&self.0)? {
                let path = entry?.path();
                if path
                    .extension()
                    .is_some_and(|extension| extension == "snapshot")
                {
                    std::fs::remove_file(path)?;
                }
            }
            Ok(())
        };
        clear().map_err(|source| {
            Error::io(
                format!("remove snapshots in `{}`", self.0.display()),
                source,
            )
        })
    }
}

/// The snapshots of a group, as one of its processes uses them.
#[derive(Debug)]
pub struct Snapshots {
    folder: PathBuf,
    origin: Origin,
    max_age_ms: i64,
    /// Those of the process's own partitions that no other one adds to.
    locks: BTreeMap<i32, File>,
}

impl Snapshots {
    /// Uses a folder for the state of a group that was built with a plan.
    ///
    /// # Errors
    /// `retry` when no broker answers, `refused` when it does not report how the changelog is kept.
    pub fn open(
        folder: Folder,
        group: &str,
        built_with: &Described,
        admin: &Admin,
    ) -> Result<Self> {
        let settings = admin.topic_settings(&changelog::name_of(group))?;
        let mut settings = settings.into_iter();
        let kept = settings.find(|setting| setting.name == TOMBSTONES);
        let kept = kept.and_then(|setting| setting.value?.parse().ok());
        Ok(Snapshots {
            folder: folder.0,
            origin: Origin {
                cluster: admin.cluster_id()?,
                group: group.to_owned(),
                plan: built_with.to_vec(),
                role: String::new(),
                partition: -1,
            },
            max_age_ms: max_age_ms(kept.unwrap_or(A_DAY_MS)),
            locks: BTreeMap::new(),
        })
    }

    /// Takes the snapshot of a partition for this process; `None` while another one has it.
    ///
    /// # Errors
    /// Where the file that says so cannot be written.
    pub(super) fn take(&mut self, partition: i32, role: Role) -> io::Result<Option<Home>> {
        let home = Home {
            folder: self.folder.clone(),
            origin: Origin {
                role: role.name().to_owned(),
                partition,
                ..self.origin.clone()
            },
            max_age_ms: self.max_age_ms,
        };
        if self.locks.contains_key(&partition) {
            return Ok(Some(home)); // the task has to begin again
        }
        let path = self.folder.join(format!("{partition}.lock"));
        let mut options = OpenOptions::new();
        let lock = options
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        self.locks.insert(partition, lock);
        home.clean()?;
        Ok(Some(home))
    }

    /// Leaves the snapshot of a partition to others.
    pub(super) fn release(&mut self, partition: i32) {
        self.locks.remove(&partition);
    }
}

/// Returns how old a snapshot may be where a topic forgets deleted rows after `kept_ms`: three
/// quarters of that, since it still has to be read. Below zero means forever.
fn max_age_ms(kept_ms: i64) -> i64 {
    match kept_ms {
        ..0 => i64::MAX,
        kept_ms => kept_ms - kept_ms / 4,
    }
}

/// Where the snapshot of a partition is.
#[derive(Debug, Clone)]
pub(super) struct Home {
    folder: PathBuf,
    origin: Origin,
    max_age_ms: i64,
}

impl Home {
    /// Returns the snapshot's file.
    pub fn path(&self) -> PathBuf {
        self.folder
            .join(format!("{}.snapshot", self.origin.partition))
    }

    /// Returns how the names of files begin that are to become the snapshot.
    fn prefix(&self) -> String {
        format!("{}.new-", self.origin.partition)
    }

    /// Removes the files of a process that was killed while it wrote.
    fn clean(&self) -> io::Result<()> {
        let prefix = self.prefix();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Reads the snapshot at `now`, in ms since 1970, UTC, for a changelog that holds `extent`.
    pub fn load(&self, extent: &Range<i64>, now: i64) -> Result<Loaded, Flaw> {
        let loaded = file::read(&self.path(), u64::MAX, &self.origin)?;
        if !(0..self.max_age_ms).contains(&(now - loaded.at)) {
            return Err(Flaw::Old);
        }
        if (extent.start..=extent.end).contains(&loaded.reaches) {
            Ok(loaded)
        } else {
            Err(Flaw::Elsewhere)
        }
    }

    /// Writes all rows of a log that reaches an offset to a file that can become the snapshot.
    /// From that offset on nothing was written before `at`.
    pub fn write(&self, log: &Log, reaches: i64, at: i64) -> io::Result<Draft> {
        let (folder, prefix) = (&self.folder, &self.prefix());
        let (file, length) = file::write(folder, prefix, &self.origin, log, (reaches, at))?;
        Ok(Draft {
            file,
            length,
            reaches,
        })
    }
}

/// A file that can become a partition's snapshot; removed when it is dropped.
#[derive(Debug)]
pub(super) struct Draft {
    file: NamedTempFile,
    length: u64,
    reaches: i64,
}

/// The snapshot of a task, to which each commit is added.
#[derive(Debug)]
pub(super) struct Snapshot {
    home: Home,
    file: File,
    /// How long it is, and how long it was when all rows were written.
    length: u64,
    began_with: u64,
    /// How much may be added beside as much again.
    spare: u64,
    /// The offset of the changelog that it reaches.
    reaches: i64,
    /// What was sent since the last commit.
    batch: Batch,
    /// When the first of it was about to be sent, in ms since 1970, UTC.
    at: i64,
    rewriting: Option<Rewriting>,
}

/// A snapshot that is being written again.
#[derive(Debug)]
struct Rewriting {
    answer: mpsc::Receiver<io::Result<Draft>>,
    /// How much of the old one is in it.
    until: u64,
}

impl Snapshot {
    /// Replaces the old file with a draft.
    pub fn begin(home: Home, draft: Draft) -> io::Result<Self> {
        let file = draft.file.persist(home.path());
        Ok(Snapshot {
            home,
            file: file.map_err(|error| error.error)?,
            length: draft.length,
            began_with: draft.length,
            spare: SPARE,
            reaches: draft.reaches,
            batch: Batch::default(),
            at: 0,
            rewriting: None,
        })
    }

    /// Returns its file.
    pub fn path(&self) -> PathBuf {
        self.home.path()
    }

    /// Notes a row that is about to be sent to the changelog.
    pub fn note(&mut self, key: &[u8], value: Option<&[u8]>) {
        if self.batch.is_empty() {
            self.at = now_ms();
        }
        self.batch.push(key, value);
    }

    /// Adds the rows that were noted, now that they are committed and the changelog reaches `end`,
    /// or further; `None` where it is not known how far.
    ///
    /// # Errors
    /// Where they cannot be written: what was added before is right, and nothing may be added after.
    pub fn commit(&mut self, end: Option<i64>) -> io::Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        // Too low does no harm: the restart then reads rows that the snapshot already has.
        self.reaches = self.reaches.max(end.unwrap_or(self.reaches));
        self.length += self.batch.write(&mut self.file, self.reaches, self.at)?;
        match &self.rewriting {
            Some(rewriting) => match rewriting.answer.try_recv() {
                Ok(draft) => self.replace(draft?, rewriting.until),
                Err(TryRecvError::Empty) => Ok(()),
                Err(TryRecvError::Disconnected) => {
                    Err(io::Error::other("it could not be written again"))
                }
            },
            None if self.length > self.began_with.saturating_mul(2) + self.spare => {
                self.rewriting = Some(self.rewrite());
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Begins to write the snapshot again, from its own rows.
    fn rewrite(&self) -> Rewriting {
        let (sender, answer) = mpsc::channel();
        let (home, until) = (self.home.clone(), self.length);
        std::thread::spawn(move || {
            let loaded = file::read(&home.path(), until, &home.origin);
            let draft = match loaded {
                Ok(Loaded {
                    log, reaches, at, ..
                }) => home.write(&log, reaches, at),
                Err(flaw) => Err(io::Error::other(format!("it {flaw}"))),
            };
            sender.send(draft).unwrap_or(()); // nobody may wait any more
        });
        Rewriting { answer, until }
    }

    /// Takes a draft of all rows that were there at length `until`.
    fn replace(&mut self, mut draft: Draft, until: u64) -> io::Result<()> {
        let added = file::copy_end(&self.home.path(), until, draft.file.as_file_mut())?;
        let began_with = draft.length;
        draft.length += added;
        draft.reaches = self.reaches;
        *self = Snapshot {
            began_with,
            spare: self.spare,
            ..Snapshot::begin(self.home.clone(), draft)?
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(folder: &Path) -> Home {
        Home {
            folder: folder.to_owned(),
            origin: Origin {
                cluster: String::new(),
                group: "g".to_owned(),
                plan: Vec::new(),
                role: Role::Window.name().to_owned(),
                partition: 0,
            },
            max_age_ms: max_age_ms(A_DAY_MS),
        }
    }

    fn begun(home: &Home) -> Snapshot {
        let draft = home.write(&Log::default(), 5, now_ms()).expect("a draft");
        Snapshot::begin(home.clone(), draft).expect("a snapshot")
    }

    fn rows(loaded: &Loaded) -> Vec<(&[u8], &[u8])> {
        let mut rows: Vec<_> = loaded.log.rows().collect();
        rows.sort_unstable();
        rows
    }

    #[test]
    fn only_what_was_committed_is_in_a_snapshot() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let home = home(folder.path());
        let mut snapshot = begun(&home);
        snapshot.note(b"a", Some(b"1"));
        snapshot.commit(Some(8)).expect("it is added");
        snapshot.note(b"b", Some(b"2"));
        drop(snapshot);
        let loaded = home.load(&(0..9), now_ms()).expect("it is right");
        assert_eq!(
            (rows(&loaded), loaded.reaches),
            (vec![(&b"a"[..], &b"1"[..])], 8)
        );
    }

    #[test]
    fn a_snapshot_that_may_have_missed_what_was_deleted_is_not_taken_up() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let home = home(folder.path());
        let mut snapshot = begun(&home);
        snapshot.note(b"a", Some(b"1"));
        snapshot.commit(Some(8)).expect("it is added");
        let now = now_ms();
        let flaw =
            |extent: Range<i64>, now| home.load(&extent, now).err().map(|flaw| flaw.to_string());
        assert_eq!(flaw(0..8, now), None);
        assert_eq!(flaw(0..8, now + A_DAY_MS / 2), None);
        let old = Some("is too old".to_owned());
        assert_eq!(flaw(0..8, now + A_DAY_MS), old);
        assert_eq!(flaw(0..8, now - A_DAY_MS), old, "the clock went back");
        let elsewhere = Some("does not fit the topic".to_owned());
        assert_eq!(flaw(0..7, now), elsewhere, "the topic was created again");
        assert_eq!(flaw(9..20, now), elsewhere, "records were deleted");
        assert_eq!(max_age_ms(-1), i64::MAX);
    }

    #[test]
    fn a_snapshot_that_has_grown_is_written_anew_while_commits_go_on() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let home = home(folder.path());
        let mut snapshot = begun(&home);
        snapshot.spare = 1_000;
        let (first, mut end) = (snapshot.began_with, 5);
        // The thread may take its time: until it is done, every commit is added to the old file.
        while snapshot.began_with == first {
            end += 1;
            snapshot.note(b"a", Some(&i64::to_le_bytes(end)));
            snapshot.commit(Some(end)).expect("it is added");
            assert!(end < 10_000_000, "it is never written again");
        }
        assert!(snapshot.rewriting.is_none());
        let length = std::fs::metadata(home.path()).expect("a file").len();
        assert_eq!(length, snapshot.length);
        let loaded = home.load(&(0..end), now_ms()).expect("it is right");
        assert_eq!(loaded.reaches, end);
        assert_eq!(rows(&loaded), vec![(&b"a"[..], &end.to_le_bytes()[..])]);
    }

    #[test]
    fn a_snapshot_is_added_to_by_one_process_at_a_time() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let snapshots = || Snapshots {
            folder: folder.path().to_owned(),
            origin: home(folder.path()).origin,
            max_age_ms: 1,
            locks: BTreeMap::new(),
        };
        let (mut one, mut other) = (snapshots(), snapshots());
        let take = |snapshots: &mut Snapshots| {
            let home = snapshots.take(0, Role::Window);
            home.expect("a lock").is_some()
        };
        assert!(take(&mut one));
        std::fs::write(folder.path().join("0.new-1"), "left").expect("a file");
        assert!(take(&mut one), "its task begins again");
        assert!(!take(&mut other));
        one.release(0);
        assert!(take(&mut other));
        let left = std::fs::exists(folder.path().join("0.new-1"));
        assert!(!left.expect("a folder"), "what a killed process has left");
    }
}
