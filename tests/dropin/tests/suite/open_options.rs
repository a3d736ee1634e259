//! `OpenOptions`, and the two short forms `File::open` and `File::create`.

use std::io::{ErrorKind, SeekFrom};

use async_fs::{File, OpenOptions};
use futures_lite::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use super::{kind, nul, run};

#[test]
fn open_reads_and_does_not_create() {
    run(|dir| async move {
        let path = dir.join("file");
        assert_eq!(kind(File::open(&path).await), ErrorKind::NotFound);
        assert!(!path.exists());
        std::fs::write(&path, "text")?;
        let mut text = String::new();
        File::open(&path).await?.read_to_string(&mut text).await?;
        assert_eq!(text, "text");
        Ok(())
    });
}

#[test]
fn create_makes_or_empties_a_file_for_writing() {
    run(|dir| async move {
        let path = dir.join("file");
        for text in ["first", "2nd"] {
            let mut file = File::create(&path).await?;
            assert_eq!(std::fs::metadata(&path)?.len(), 0);
            file.write_all(text.as_bytes()).await?;
            file.flush().await?;
            assert_eq!(std::fs::read_to_string(&path)?, text);
        }
        Ok(())
    });
}

#[test]
fn opening_reports_the_kinds_of_error_that_std_does() {
    run(|dir| async move {
        std::fs::write(dir.join("file"), "")?;
        let paths = [
            dir.join("no/file"),
            dir.join("file/below"),
            nul(&dir),
            super::too_long(&dir),
            "".into(),
        ];
        for path in paths {
            let opened = kind(File::open(&path).await);
            assert_eq!(opened, kind(std::fs::File::open(&path)), "{path:?}");
            let created = kind(File::create(&path).await);
            assert_eq!(created, kind(std::fs::File::create(&path)), "{path:?}");
        }
        let created = kind(File::create(&dir).await);
        assert_eq!(created, kind(std::fs::File::create(&dir)));
        Ok(())
    });
}

#[test]
fn options_without_any_access_are_invalid_input() {
    run(|dir| async move {
        let path = dir.join("file");
        std::fs::write(&path, "text")?;
        for options in [OpenOptions::new(), OpenOptions::default()] {
            assert_eq!(kind(options.open(&path).await), ErrorKind::InvalidInput);
        }
        Ok(())
    });
}

#[test]
fn options_that_contradict_each_other_are_invalid_input_and_change_nothing() {
    run(|dir| async move {
        let (path, missing) = (dir.join("file"), dir.join("missing"));
        std::fs::write(&path, "text")?;

        let mut truncate_without_write = OpenOptions::new();
        truncate_without_write.read(true).truncate(true);
        let mut create_without_write = OpenOptions::new();
        create_without_write.read(true).create(true);
        let mut create_new_without_write = OpenOptions::new();
        create_new_without_write.read(true).create_new(true);
        let mut truncate_and_append = OpenOptions::new();
        truncate_and_append.append(true).truncate(true);
        let mut truncate_and_append_and_write = OpenOptions::new();
        truncate_and_append_and_write
            .write(true)
            .append(true)
            .truncate(true);

        for options in [
            truncate_without_write,
            create_without_write,
            create_new_without_write,
            truncate_and_append,
            truncate_and_append_and_write,
        ] {
            for path in [&path, &missing] {
                let result = options.open(path).await;
                assert_eq!(kind(result), ErrorKind::InvalidInput, "{options:?}");
            }
        }
        assert_eq!(std::fs::read(&path)?, b"text");
        assert!(!missing.exists());
        Ok(())
    });
}

/// Every combination of the six switches, on a file that exists and on one that does not, beside std.
#[test]
fn every_combination_of_options_does_what_it_does_in_std() {
    run(|dir| async move {
        for bits in 0..1 << 6 {
            for exists in [false, true] {
                let on = |bit: u32| bits & (1 << bit) != 0;
                let (path, std_path) = (dir.join("ours"), dir.join("std"));
                for path in [&path, &std_path] {
                    let _ = std::fs::remove_file(path);
                    if exists {
                        std::fs::write(path, "text")?;
                    }
                }
                let result = OpenOptions::new()
                    .read(on(0))
                    .write(on(1))
                    .append(on(2))
                    .truncate(on(3))
                    .create(on(4))
                    .create_new(on(5))
                    .open(&path)
                    .await;
                let expected = std::fs::OpenOptions::new()
                    .read(on(0))
                    .write(on(1))
                    .append(on(2))
                    .truncate(on(3))
                    .create(on(4))
                    .create_new(on(5))
                    .open(&std_path);
                let case = format!("{bits:06b} on a file that exists: {exists}");
                assert_eq!(
                    result.as_ref().map(drop).map_err(|err| err.kind()),
                    expected.as_ref().map(drop).map_err(|err| err.kind()),
                    "{case}"
                );
                if let Ok(mut file) = result {
                    let mut write = async || {
                        file.write_all(b"+").await?;
                        file.flush().await
                    };
                    let written = write().await;
                    let expected = std::io::Write::write_all(&mut expected?, b"+");
                    assert_eq!(written.is_ok(), expected.is_ok(), "{case}");
                }
                assert_eq!(
                    std::fs::read(&path).ok(),
                    std::fs::read(&std_path).ok(),
                    "{case}"
                );
            }
        }
        Ok(())
    });
}

#[test]
fn write_without_truncate_overwrites_in_place() {
    run(|dir| async move {
        let path = dir.join("file");
        std::fs::write(&path, "0123456789")?;
        let mut file = OpenOptions::new().write(true).open(&path).await?;
        file.write_all(b"abc").await?;
        file.flush().await?;
        assert_eq!(std::fs::read(&path)?, b"abc3456789");
        Ok(())
    });
}

#[test]
fn create_keeps_what_exists_and_create_new_refuses_it() {
    run(|dir| async move {
        let path = dir.join("file");
        let create = async || {
            OpenOptions::new()
                .write(true)
                .create(true)
                .open(&path)
                .await
        };
        create().await?;
        std::fs::write(&path, "text")?;
        create().await?;
        assert_eq!(std::fs::read(&path)?, b"text");

        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        assert_eq!(kind(options.open(&path).await), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path)?, b"text");
        // Whatever stands beside `create_new`, an existing file is refused untouched.
        options.create(true).truncate(true);
        assert_eq!(kind(options.open(&path).await), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path)?, b"text");
        options.open(dir.join("new")).await?;
        assert!(dir.join("new").exists());
        Ok(())
    });
}

#[test]
fn truncate_empties_the_file() {
    run(|dir| async move {
        let path = dir.join("file");
        std::fs::write(&path, "text")?;
        let file = OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(&path)
            .await?;
        assert_eq!(file.metadata().await?.len(), 0);
        Ok(())
    });
}

#[test]
fn append_writes_at_the_end_wherever_the_position_is() {
    run(|dir| async move {
        let path = dir.join("file");
        std::fs::write(&path, "one ")?;
        let mut file = OpenOptions::new().append(true).open(&path).await?;
        file.write_all(b"two ").await?;
        file.seek(SeekFrom::Start(0)).await?;
        file.write_all(b"three ").await?;
        file.flush().await?;
        // Also behind what another handle has written meanwhile.
        std::fs::write(&path, "other ")?;
        file.write_all(b"four").await?;
        file.flush().await?;
        assert_eq!(std::fs::read(&path)?, b"other four");
        Ok(())
    });
}

#[test]
fn append_creates_when_told_to() {
    run(|dir| async move {
        let path = dir.join("file");
        let mut options = OpenOptions::new();
        options.append(true);
        assert_eq!(kind(options.open(&path).await), ErrorKind::NotFound);
        options.create(true);
        for text in ["a", "b", "c"] {
            let mut file = options.open(&path).await?;
            file.write_all(text.as_bytes()).await?;
            file.flush().await?;
        }
        assert_eq!(std::fs::read(&path)?, b"abc");
        Ok(())
    });
}

#[test]
fn append_and_read_starts_at_the_beginning_and_is_at_the_end_after_a_write() {
    run(|dir| async move {
        let path = dir.join("file");
        std::fs::write(&path, "0123456789")?;
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(&path)
            .await?;
        let mut four = [0; 4];
        file.read_exact(&mut four).await?;
        assert_eq!(&four, b"0123");
        file.write_all(b"ab").await?;
        file.flush().await?;
        assert_eq!(std::fs::read(&path)?, b"0123456789ab");
        assert_eq!(file.seek(SeekFrom::Current(0)).await?, 12);
        assert_eq!(file.read(&mut four).await?, 0);
        file.seek(SeekFrom::Start(8)).await?;
        file.read_exact(&mut four).await?;
        assert_eq!(&four, b"89ab");
        Ok(())
    });
}

#[test]
fn a_switch_can_be_taken_back() {
    run(|dir| async move {
        let path = dir.join("file");
        std::fs::write(&path, "text")?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).append(true).truncate(true);
        options.create(true).create_new(true);
        options.write(false).append(false).truncate(false);
        options.create(false).create_new(false);
        let mut text = String::new();
        options.open(&path).await?.read_to_string(&mut text).await?;
        assert_eq!(text, "text");
        options.read(false);
        assert_eq!(kind(options.open(&path).await), ErrorKind::InvalidInput);
        Ok(())
    });
}

#[test]
fn a_clone_is_changed_alone() {
    run(|dir| async move {
        let path = dir.join("file");
        let mut options = OpenOptions::new();
        options.write(true);
        let mut clone = options.clone();
        clone.create(true);
        assert_eq!(kind(options.open(&path).await), ErrorKind::NotFound);
        clone.open(&path).await?;
        options.open(&path).await?;
        Ok(())
    });
}

#[test]
fn options_can_be_changed_while_their_future_waits() {
    run(|dir| async move {
        let mut options = OpenOptions::new();
        let open = options.write(true).create(true).open(dir.join("a"));
        options.create(false);
        open.await?;
        let result = options.open(dir.join("b")).await;
        assert_eq!(kind(result), ErrorKind::NotFound);
        Ok(())
    });
}

#[test]
fn a_future_of_open_moves_to_another_task() {
    run(|dir| async move {
        let open = OpenOptions::new()
            .write(true)
            .create(true)
            .open(dir.join("file"));
        let mut file = smol::spawn(open).await?;
        file.write_all(b"text").await?;
        file.flush().await?;
        assert_eq!(std::fs::read(dir.join("file"))?, b"text");
        Ok(())
    });
}
