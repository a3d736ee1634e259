//! Paths relative to an open directory.

use std::path::Path;

use aiofiles::OpenOptions;
use aiofiles::os::AccessMode;
use aiofiles::unix::Dir;

use crate::bench::{Bench, Case, all, nothing};
use crate::paths::sample;

impl Bench<'_> {
    fn dir(&mut self, case: Case, act: impl AsyncFn(&Dir)) {
        self.case(
            case,
            async |dir: &Path| {
                sample(dir);
                Dir::open(dir).await.unwrap()
            },
            async |dir: &mut Dir| act(dir).await,
            // It can be used afterwards.
            async |dir: Dir| {
                let mut names = dir.names().await.unwrap();
                names.sort();
                format!("{names:?}")
            },
        );
    }
}

pub fn cases(bench: &mut Bench<'_>) {
    bench.dir(nothing("Dir::open"), async |dir| {
        // The directory that it is open on, by its descriptor.
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(dir));
        drop(Dir::open(path).await.unwrap());
    });
    bench.dir(nothing("Dir::open_dir"), async |dir| {
        drop(dir.open_dir("full").await.unwrap());
    });
    bench.dir(nothing("Dir::open_file"), async |dir| {
        drop(dir.open_file("file").await.unwrap());
    });
    bench.dir(all("Dir::open_file_with"), async |dir| {
        let mut options = OpenOptions::new();
        options.write(true).create(true);
        drop(dir.open_file_with("new", &options).await.unwrap());
    });
    bench.dir(nothing("Dir::metadata"), async |dir| {
        dir.metadata("link").await.unwrap();
    });
    bench.dir(nothing("Dir::symlink_metadata"), async |dir| {
        dir.symlink_metadata("link").await.unwrap();
    });
    bench.dir(nothing("Dir::access"), async |dir| {
        assert!(dir.access("file", AccessMode::READ).await);
    });
    bench.dir(nothing("Dir::read_link"), async |dir| {
        dir.read_link("link").await.unwrap();
    });
    bench.dir(nothing("Dir::names"), async |dir| {
        dir.names().await.unwrap();
    });
    bench.dir(nothing("Dir::sync_all"), async |dir| {
        dir.sync_all().await.unwrap();
    });
    bench.dir(all("Dir::create_dir"), async |dir| {
        dir.create_dir("new").await.unwrap();
    });
    bench.dir(all("Dir::create_dir_with_mode"), async |dir| {
        dir.create_dir_with_mode("new", 0o700).await.unwrap();
    });
    bench.dir(all("Dir::remove_file"), async |dir| {
        dir.remove_file("file").await.unwrap();
    });
    bench.dir(all("Dir::remove_dir"), async |dir| {
        dir.remove_dir("empty").await.unwrap();
    });
    bench.dir(all("Dir::rename"), async |dir| {
        dir.rename("file", dir, "new").await.unwrap();
    });
    bench.dir(all("Dir::hard_link"), async |dir| {
        dir.hard_link("file", dir, "new").await.unwrap();
    });
    bench.dir(all("Dir::symlink"), async |dir| {
        dir.symlink("file", "new").await.unwrap();
    });
}
