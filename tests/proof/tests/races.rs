//! Races for names: somebody puts links in the place of directories and files as fast as he can, while they are removed,
//! created, replaced, walked and copied. Nothing outside is ever touched.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    reason = "the one who exchanges names is a thread of its own"
)]

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use aiofiles::tempfile::Builder;
use aiofiles::testing::{Call, Faults};
use aiofiles_proof::support::*;
use futures_lite::future::block_on;
use futures_lite::{AsyncWriteExt as _, StreamExt as _};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// How often names are exchanged in each test; a million with a scale of 500.
fn swaps() -> usize {
    iterations(2000)
}

/// How many pairs of a directory and a link are in one tree.
const PAIRS: usize = 6;

/// How many files are in each directory.
const FILES: usize = 8;

// ---------------------------------------------------------------------------------------------------------------------
// What must not be touched

/// A directory that nobody is to change, though links lead there.
struct Outside {
    dir: tempfile::TempDir,
    before: Vec<Seen>,
}

/// All that can be seen of a file or directory, but for the time of the last access.
#[derive(Debug, PartialEq)]
struct Seen {
    path: PathBuf,
    node: (u64, u64),
    mode: u32,
    links: u64,
    changed: (i64, i64),
    content: Vec<u8>,
}

impl Outside {
    /// Its files and directories have the names that are used inside.
    fn new() -> Outside {
        let dir = temp_dir();
        plant_files(dir.path());
        for n in 0..PAIRS {
            let sub = dir.path().join(format!("directory-{n}"));
            fs::create_dir(&sub).unwrap();
            plant_files(&sub);
        }
        // Modes that nobody asks for.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o751)).unwrap();
        fs::set_permissions(dir.path().join("0"), Permissions::from_mode(0o641)).unwrap();
        let mut outside = Outside {
            dir,
            before: Vec::new(),
        };
        outside.before = outside.look();
        outside
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A file in it.
    fn file(&self) -> PathBuf {
        self.path().join("0")
    }

    fn look(&self) -> Vec<Seen> {
        let mut seen = Vec::new();
        let mut stack = vec![self.path().to_owned()];
        while let Some(path) = stack.pop() {
            let metadata = fs::symlink_metadata(&path).unwrap();
            let mut content = Vec::new();
            if metadata.is_dir() {
                stack.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            } else {
                content = fs::read(&path).unwrap();
            }
            seen.push(Seen {
                path,
                node: (metadata.dev(), metadata.ino()),
                mode: metadata.mode(),
                links: metadata.nlink(),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
                content,
            });
        }
        seen.sort_by(|a, b| a.path.cmp(&b.path));
        seen
    }

    #[track_caller]
    fn assert_untouched(&self) {
        let now = self.look();
        for (now, before) in now.iter().zip(&self.before) {
            assert_eq!(now, before, "something outside was touched");
        }
        assert_eq!(
            now.len(),
            self.before.len(),
            "something outside came or went"
        );
    }
}

fn plant_files(dir: &Path) {
    for n in 0..FILES {
        fs::write(dir.join(n.to_string()), format!("text {n}")).unwrap();
    }
}

/// Makes `dir` a tree of directories, each with a link beside it that leads outside.
fn plant(dir: &Path, outside: &Outside) {
    for n in 0..PAIRS {
        let sub = dir.join(format!("directory-{n}"));
        fs::create_dir(&sub).unwrap();
        plant_files(&sub);
        let deeper = sub.join("directory-0");
        fs::create_dir(&deeper).unwrap();
        plant_files(&deeper);
        symlink(outside.path(), dir.join(format!("link-{n}"))).unwrap();
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The attack

/// A thread that exchanges names until it is dropped.
struct Attack {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    swaps: AtomicUsize,
    /// Names are being exchanged.
    busy: AtomicBool,
    /// The directory under attack.
    target: Mutex<Option<PathBuf>>,
}

impl Attack {
    /// Calls `exchange` with the directory under attack and a number that counts up; it says whether it exchanged anything.
    fn start(mut exchange: impl FnMut(&Path, usize) -> bool + Send + 'static) -> Attack {
        let shared = Arc::<Shared>::default();
        let own = shared.clone();
        let thread = thread::spawn(move || {
            let mut turn = 0;
            while !own.stop.load(Ordering::Relaxed) {
                let target = {
                    let place = own.target.lock().unwrap_or_else(PoisonError::into_inner);
                    own.busy.store(place.is_some(), Ordering::SeqCst);
                    place.clone()
                };
                let Some(target) = target else {
                    thread::yield_now();
                    continue;
                };
                for _ in 0..PAIRS {
                    turn += 1;
                    if exchange(&target, turn) {
                        own.swaps.fetch_add(1, Ordering::Relaxed);
                    }
                }
                own.busy.store(false, Ordering::SeqCst);
            }
        });
        Attack {
            shared,
            thread: Some(thread),
        }
    }

    /// Exchanges the directories of a planted tree with the links beside them.
    fn on_trees() -> Attack {
        Attack::start(|tree, turn| {
            let n = turn % PAIRS;
            exchange(
                &tree.join(format!("directory-{n}")),
                &tree.join(format!("link-{n}")),
            )
        })
    }

    /// Puts a link in the place of whatever new thing appears in the directory under a name with this beginning, and puts
    /// it back, and so on.
    fn on_new_names(prefix: &'static str, outside: &Outside) -> Attack {
        let (dir, file) = (outside.path().to_owned(), outside.file());
        let mut last = (PathBuf::new(), PathBuf::new());
        Attack::start(move |parent, turn| {
            if exchange(&last.0, &last.1) {
                return true;
            }
            let Ok(entries) = fs::read_dir(parent) else {
                return false;
            };
            let mut exchanged = false;
            for entry in entries.flatten() {
                let name = entry.file_name();
                let Ok(kind) = entry.file_type() else {
                    continue;
                };
                if kind.is_symlink() || !name.as_encoded_bytes().starts_with(prefix.as_bytes()) {
                    continue;
                }
                let link = parent.join(format!("taken-{turn}"));
                if symlink(if kind.is_dir() { &dir } else { &file }, &link).is_ok() {
                    exchanged |= exchange(&link, &entry.path());
                    last = (link, entry.path());
                }
            }
            exchanged
        })
    }

    fn swaps(&self) -> usize {
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            panic!("the attack has ended");
        }
        self.shared.swaps.load(Ordering::Relaxed)
    }

    /// Attacks this directory from now on, or none: then nothing is exchanged any more.
    fn aim(&self, target: Option<&Path>) {
        {
            let mut place = self
                .shared
                .target
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *place = target.map(Path::to_owned);
        }
        while target.is_none() && self.shared.busy.load(Ordering::SeqCst) {
            thread::yield_now();
        }
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn exchange(one: &Path, other: &Path) -> bool {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_ok()
}

/// Repeats the round until names were exchanged often enough, and says how often that was.
fn under_attack(
    what: &str,
    attack: Attack,
    outside: &Outside,
    mut round: impl FnMut(&Attack, usize) -> io::Result<()>,
) {
    let (mut rounds, mut failed) = (0, 0);
    while attack.swaps() < swaps() || rounds < 40 + swaps() / 1000 {
        failed += usize::from(round(&attack, rounds).is_err());
        rounds += 1;
        outside.assert_untouched();
    }
    attack.aim(None);
    let swaps = attack.swaps();
    drop(attack);
    outside.assert_untouched();
    figure(&format!(
        "{what}: {swaps} exchanges of names, {rounds} rounds of which {failed} met one, 0 things touched outside"
    ));
}

/// Puts what is left out of reach, and removes it.
fn clear_away(path: &Path, trash: &Path) {
    if fs::rename(path, trash).is_ok() {
        match fs::symlink_metadata(trash).unwrap().is_dir() {
            true => fs::remove_dir_all(trash).unwrap(),
            false => fs::remove_file(trash).unwrap(),
        }
    }
}

#[test]
fn remove_dir_all_touches_nothing_outside() {
    within_limit("remove_dir_all", || {
        let (outside, dir) = (Outside::new(), temp_dir());
        let (tree, trash) = (dir.path().join("tree"), dir.path().join("trash"));
        under_attack(
            "remove_dir_all",
            Attack::on_trees(),
            &outside,
            |attack, _| {
                fs::create_dir(&tree).unwrap();
                plant(&tree, &outside);
                attack.aim(Some(&tree));
                let removed = block_on(aiofiles::remove_dir_all(&tree));
                attack.aim(None);
                clear_away(&tree, &trash);
                removed
            },
        );
    });
}

#[test]
fn the_end_of_temporary_directories_touches_nothing_outside() {
    within_limit("temporary directories", || {
        let (outside, dir) = (Outside::new(), temp_dir());
        let trash = dir.path().join("trash");
        under_attack(
            "temporary directories",
            Attack::on_trees(),
            &outside,
            |attack, round| {
                block_on(async {
                    // Removal in one step fails in every other round, so that what goes is removed one by one.
                    let faults = Faults::install();
                    if round % 2 == 0 {
                        faults.fail(Call::RemoveDirAll, 0, usize::MAX, Errno::IO.raw_os_error());
                    }
                    let mut temporary = Builder::new()
                        .dir(dir.path())
                        .ignore_cleanup_errors(true)
                        .temporary_directory()
                        .await
                        .unwrap();
                    let path = temporary.path().to_owned();
                    plant(&path, &outside);
                    attack.aim(Some(&path));
                    let removed = match round % 4 {
                        0 | 1 => temporary.close().await,
                        _ => {
                            drop(temporary);
                            aiofiles::settle().await;
                            Ok(())
                        }
                    };
                    attack.aim(None);
                    clear_away(&path, &trash);
                    removed
                })
            },
        );
    });
}

/// Whoever may change a directory may take new names from those who create something there. What that costs them must not
/// be somebody else's file.
#[test]
fn new_temporary_names_that_are_taken_away_touch_nothing_outside() {
    within_limit("temporary names", || {
        let (outside, dir) = (Outside::new(), temp_dir());
        let attack = Attack::on_new_names("new-", &outside);
        under_attack("temporary names", attack, &outside, |attack, round| {
            let parent = dir.path().join(format!("parent-{round}"));
            fs::create_dir(&parent).unwrap();
            attack.aim(Some(&parent));
            let result = block_on(async {
                let mut builder = Builder::new();
                builder.prefix("new-").dir(&parent);
                if round % 2 == 0 {
                    // Which has to be granted, because the umask takes something away.
                    builder.permissions(Permissions::from_mode(0o722));
                }
                if round % 3 == 0 {
                    let mut temporary = builder.temporary_directory().await?;
                    return temporary.close().await;
                }
                let mut file = builder.named_temporary_file().await?;
                file.write_all(b"what is written").await?;
                file.flush().await?;
                if let Ok(mut again) = file.reopen().await {
                    again.write_all(b"more").await?;
                    again.flush().await?;
                }
                match round % 4 {
                    0 => drop(file),
                    1 => file.remove().await?,
                    2 => drop(file.persist(parent.join("kept")).await?),
                    _ => drop(file.persist_noclobber(parent.join("kept")).await?),
                }
                Ok(())
            });
            block_on(aiofiles::settle());
            attack.aim(None);
            fs::remove_dir_all(&parent).map_or_else(|_| fs::remove_dir_all(&parent), Ok)?;
            result
        });
    });
}

#[test]
fn write_atomic_touches_nothing_outside() {
    within_limit("write_atomic", || {
        let (outside, dir) = (Outside::new(), temp_dir());
        let attack = Attack::on_new_names(".", &outside);
        under_attack("write_atomic", attack, &outside, |attack, round| {
            let parent = dir.path().join(format!("parent-{round}"));
            fs::create_dir(&parent).unwrap();
            let path = parent.join("file");
            if round % 2 == 0 {
                // The new file gets the mode of this one.
                fs::write(&path, "old").unwrap();
                fs::set_permissions(&path, Permissions::from_mode(0o622)).unwrap();
            }
            attack.aim(Some(&parent));
            let written = block_on(aiofiles::write_atomic(&path, numbered(2000)));
            attack.aim(None);
            fs::remove_dir_all(&parent).map_or_else(|_| fs::remove_dir_all(&parent), Ok)?;
            written
        });
    });
}

/// A walk may leave the tree then, as its documentation says, but it only looks; and a copy only reads.
#[test]
fn walks_and_copies_touch_nothing_outside() {
    within_limit("walk and copy", || {
        let (outside, dir) = (Outside::new(), temp_dir());
        let (tree, copies) = (dir.path().join("tree"), dir.path().join("copies"));
        fs::create_dir(&tree).unwrap();
        fs::create_dir(&copies).unwrap();
        plant(&tree, &outside);
        under_attack(
            "walk and copy",
            Attack::on_trees(),
            &outside,
            |attack, _| {
                attack.aim(Some(&tree));
                block_on(async {
                    let mut failed = Ok(());
                    let mut walk = aiofiles::walk(&tree);
                    let mut count = 0;
                    while let Some(entry) = walk.next().await {
                        let copied = match entry {
                            Ok(entry) if entry.file_type().is_file() => {
                                count += 1;
                                let to = copies.join(count.to_string());
                                aiofiles::copy(entry.path(), to).await.map(drop)
                            }
                            other => other.map(drop),
                        };
                        failed = failed.and(copied);
                    }
                    assert!(count > 0, "there are files that nobody exchanges");
                    failed
                })
            },
        );
    });
}
