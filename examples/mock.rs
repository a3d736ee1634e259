//! Testing code that reads and writes files, without any: with one in memory, and with a mock.
//!
//! ```sh
//! cargo run --example mock
//! ```

use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};

use smol::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncSeek, AsyncSeekExt as _, AsyncWrite,
    AsyncWriteExt as _,
};

/// The code to be tested: raises the number in the first line of a file, and says what it was.
///
/// It asks for no more than it needs, so a `File` will do, and so will what stands in for one.
async fn count(file: &mut (impl AsyncBufRead + AsyncWrite + AsyncSeek + Unpin)) -> io::Result<u64> {
    let mut line = String::new();
    file.read_line(&mut line).await?;
    let number = line.trim_end().parse::<u64>();
    let number = number.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
    file.seek(SeekFrom::Start(0)).await?;
    file.write_all(format!("{}\n", number + 1).as_bytes())
        .await?;
    file.flush().await?;
    Ok(number)
}

/// What the file has in it is of interest: one in memory.
async fn with_memory() -> io::Result<()> {
    let mut file = aiofiles::memory("41\nmore\n");
    assert_eq!(count(&mut file).await?, 41);
    assert_eq!(file.into_inner().await.into_inner(), b"42\nmore\n");

    let mut file = aiofiles::memory("no number");
    let error = count(&mut file).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    Ok(())
}

mockall::mock! {
    File {}

    impl Read for File {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize>;
    }

    impl Write for File {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize>;
        fn flush(&mut self) -> io::Result<()>;
    }

    impl Seek for File {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64>;
    }
}

/// What is done to the file is of interest, or what comes of an error: a mock of any object of `std::io`.
async fn with_mock() {
    let mut mock = MockFile::new();
    mock.expect_read().times(1).returning(|buf| {
        buf[..2].copy_from_slice(b"7\n");
        Ok(2)
    });
    mock.expect_seek()
        .times(1)
        .withf(|to| *to == SeekFrom::Start(0))
        .returning(|_| Ok(0));
    mock.expect_write()
        .times(1)
        .withf(|bytes| bytes == b"8\n")
        .returning(|_| Err(ErrorKind::StorageFull.into()));
    mock.expect_flush().never();

    let mut file = aiofiles::wrap(mock);
    let error = count(&mut file).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
}

fn main() -> io::Result<()> {
    smol::block_on(async {
        with_memory().await?;
        println!("in memory: as expected");
        with_mock().await;
        println!("with a mock: as expected");
        Ok(())
    })
}
