//! Random trees, and deep ones, against plain recursion over std.

use super::*;

/// How a walk is to go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub follow: bool,
    pub min: usize,
    pub max: Option<usize>,
}

impl Options {
    pub fn walk(self, root: &Path) -> Walk {
        walk(root)
            .follow_links(self.follow)
            .min_depth(self.min)
            .max_depth(self.max.unwrap_or(usize::MAX))
    }
}

/// What is told of one path: its depth, its inode and length, and whether it is a link. `None` for a link that leads to a
/// directory around it.
pub type Told = Option<(usize, u64, u64, bool)>;

/// The same walk, as plain recursion over std.
fn reference(
    path: &Path,
    options: Options,
    above: &mut Vec<(u64, u64)>,
    told: &mut BTreeMap<PathBuf, Told>,
) {
    let depth = above.len();
    let own = fs::symlink_metadata(path).expect("it is there");
    let target = fs::metadata(path).ok().filter(|_| own.is_symlink());
    let metadata = match &target {
        Some(target) if options.follow => target,
        _ => &own,
    };
    // Only the root is followed without being told so.
    let enter =
        metadata.is_dir() || depth == 0 && target.as_ref().is_some_and(fs::Metadata::is_dir);
    let enter = enter && options.max.is_none_or(|max| depth < max);
    let id = (metadata.dev(), metadata.ino());
    if enter && own.is_symlink() && above.contains(&id) {
        assert!(told.insert(path.to_owned(), None).is_none());
        return;
    }
    if depth >= options.min {
        let one = Some((depth, metadata.ino(), metadata.len(), own.is_symlink()));
        assert!(told.insert(path.to_owned(), one).is_none());
    }
    if enter {
        above.push(id);
        for entry in fs::read_dir(path).expect("a directory") {
            reference(&entry.expect("an entry").path(), options, above, told);
        }
        above.pop();
    }
}

pub fn told_by_std(root: &Path, options: Options) -> BTreeMap<PathBuf, Told> {
    let mut told = BTreeMap::new();
    reference(root, options, &mut Vec::new(), &mut told);
    told
}

/// What the walk tells, each path once, and every directory before its content, with nothing between.
pub async fn told_by(mut walk: Walk, root: &Path, options: Options) -> BTreeMap<PathBuf, Told> {
    let mut told = BTreeMap::new();
    let mut above: Vec<PathBuf> = Vec::new();
    while let Some(entry) = walk.next().await {
        let (path, one) = match entry {
            Ok(entry) => {
                let metadata = entry.metadata();
                assert_eq!(entry.file_type(), metadata.file_type());
                assert_eq!(
                    entry.file_name(),
                    entry.path().file_name().unwrap_or_default()
                );
                let one = (
                    entry.depth(),
                    metadata.ino(),
                    metadata.len(),
                    entry.path_is_symlink(),
                );
                (entry.into_path(), Some(one))
            }
            Err(error) => {
                assert!(error.to_string().contains("leads back to"), "{error}");
                let path = aiofiles::PathError::of(&error).unwrap().path();
                (path.to_owned(), None)
            }
        };
        let depth = path.strip_prefix(root).unwrap().components().count();
        assert!(one.is_none_or(|one| one.0 == depth), "{path:?}");
        assert!(options.max.is_none_or(|max| depth <= max), "{path:?}");
        if options.min == 0 {
            // Leave the directories that are done: what comes is in the one that is left.
            while above.last().is_some_and(|last| !path.starts_with(last)) {
                above.pop();
            }
            assert_eq!(
                above.len(),
                depth,
                "{path:?} comes in the middle of {above:?}"
            );
            above.push(path.clone());
        }
        assert!(
            told.insert(path.clone(), one).is_none(),
            "{path:?} comes twice"
        );
    }
    assert!(walk.next().await.is_none());
    told
}

/// A tree that the generator decides: a few hundred paths with files, links, FIFOs and odd names.
fn plant(rng: &mut fastrand::Rng) -> TempDir {
    let root = temp_dir();
    let mut dirs = vec![root.path().to_owned()];
    let mut all = dirs.clone();
    // Links that lead sideways can make a tree of exponential size when they are followed.
    let mut links = 0;
    for n in 0..rng.usize(1..600) {
        let mut name = format!("{n}-").into_bytes();
        name.extend((0..rng.usize(..4)).map(|_| match rng.u8(1..) {
            b'/' => b'.',
            byte => byte,
        }));
        // Deeper and deeper, until it goes on somewhere else: deeper than a walk keeps directories open.
        let parent = match rng.u8(..32) {
            0 => dirs.get(rng.usize(..dirs.len())),
            _ => dirs.last(),
        };
        let path = parent.expect("the root").join(OsString::from_vec(name));
        match rng.u8(..10) {
            0..5 => {
                fs::create_dir(&path).expect("a directory");
                dirs.push(path.clone());
            }
            5..8 => fs::write(&path, vec![b'x'; rng.usize(..100)]).expect("a file"),
            8 => mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).expect("a FIFO"),
            _ if links == 10 => continue,
            _ => {
                links += 1;
                let target = match rng.u8(..8) {
                    0 => PathBuf::from("nowhere"),
                    // Of the root it would lead out of the tree.
                    1 if path.parent() != Some(root.path()) => PathBuf::from(".."),
                    _ => all[rng.usize(..all.len())].clone(),
                };
                symlink(target, &path).expect("a link");
            }
        }
        all.push(path);
    }
    root
}

#[test]
fn a_walk_tells_what_plain_recursion_tells() {
    let seed = Seed::new();
    let mut rng = seed.rng();
    for round in 0..iterations(4) {
        let tree = plant(&mut rng);
        let limits = (rng.usize(..5), rng.usize(..12));
        for follow in [false, true] {
            // So many links one after the other are enough.
            let most = follow.then_some(6);
            for (min, max) in [
                (0, most),
                (limits.0, most),
                (0, Some(most.map_or(limits.1, |most| most.min(limits.1)))),
            ] {
                let options = Options { follow, min, max };
                let expected = Arc::new(told_by_std(tree.path(), options));
                let kinds = match round {
                    0 => &Kind::ALL[..],
                    _ => &[Kind::BlockOn],
                };
                on_runtimes(kinds, |_| {
                    let (root, expected) = (tree.path().to_owned(), expected.clone());
                    async move {
                        let told = told_by(options.walk(&root), &root, options).await;
                        for (path, one) in &*expected {
                            assert_eq!(told.get(path), Some(one), "{path:?} with {options:?}");
                        }
                        assert_eq!(told.len(), expected.len(), "with {options:?}");
                    }
                });
            }
        }
    }
}
