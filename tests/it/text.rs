//! Text files: what Python's do, whatever pieces the bytes come in, and without its defects.

use std::io::{self, ErrorKind, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::str::FromStr as _;
use std::task::{Context, Poll};

use aiofiles::{
    Encoding, Errors, File, Newline, TextFile, TextOptions, TextPosition, open, open_text,
};
use fastrand::Rng;
use futures_lite::future::block_on;
use futures_lite::io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};

use crate::files::*;
use crate::support::*;

const ENCODINGS: [Encoding; 7] = [
    Encoding::UTF_8,
    Encoding::UTF_8_SIG,
    Encoding::ASCII,
    Encoding::LATIN_1,
    Encoding::UTF_16,
    Encoding::UTF_16LE,
    Encoding::UTF_16BE,
];

const NEWLINES: [Newline; 5] = [
    Newline::Universal,
    Newline::Keep,
    Newline::Lf,
    Newline::Cr,
    Newline::CrLf,
];

/// A file in memory that gives and takes its bytes in pieces of random length, and is not always ready.
#[derive(Debug, Default)]
struct Memory {
    bytes: Vec<u8>,
    at: usize,
    /// What `fill_buf` lends now.
    lent: usize,
    rng: Option<Rng>,
    /// The next write fails.
    fails: bool,
    flushes: usize,
    closed: bool,
}

impl Memory {
    fn new(bytes: impl Into<Vec<u8>>) -> Memory {
        Memory {
            bytes: bytes.into(),
            ..Memory::default()
        }
    }

    fn in_pieces(bytes: impl Into<Vec<u8>>, rng: &mut Rng) -> Memory {
        Memory {
            rng: Some(rng.fork()),
            ..Memory::new(bytes)
        }
    }

    /// A random part of what there is; `None` if it is not ready.
    fn part(&mut self, len: usize, cx: &mut Context<'_>) -> Option<usize> {
        let Some(rng) = &mut self.rng else {
            return Some(len);
        };
        if rng.u8(..4) == 0 {
            cx.waker().wake_by_ref();
            return None;
        }
        Some(if len < 2 {
            len
        } else {
            rng.usize(1..=len.min(5))
        })
    }
}

impl AsyncRead for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut lent = match self.as_mut().poll_fill_buf(cx) {
            Poll::Ready(lent) => lent?,
            Poll::Pending => return Poll::Pending,
        };
        let n = io::Read::read(&mut lent, buf)?;
        self.consume(n);
        Poll::Ready(Ok(n))
    }
}

impl AsyncBufRead for Memory {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        let rest = this.bytes.len().saturating_sub(this.at);
        if this.lent == 0 {
            match this.part(rest, cx) {
                Some(len) => this.lent = len,
                None => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(&this.bytes[this.bytes.len() - rest..][..this.lent]))
    }

    fn consume(mut self: Pin<&mut Self>, amt: usize) {
        assert!(amt <= self.lent);
        self.lent -= amt;
        self.at += amt;
    }
}

impl AsyncWrite for Memory {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(n) = self.part(buf.len(), cx) else {
            return Poll::Pending;
        };
        if std::mem::take(&mut self.fails) {
            return Poll::Ready(Err(ErrorKind::StorageFull.into()));
        }
        let (at, end) = (self.at, self.at + n);
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[at..end].copy_from_slice(&buf[..n]);
        (self.at, self.lent) = (end, 0);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushes += 1;
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.closed = true;
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for Memory {
    fn poll_seek(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        if self.part(0, cx).is_none() {
            return Poll::Pending;
        }
        let to = match to {
            SeekFrom::Start(to) => to as i64,
            SeekFrom::Current(by) => self.at as i64 + by,
            SeekFrom::End(by) => self.bytes.len() as i64 + by,
        };
        self.at = usize::try_from(to).map_err(|_| ErrorKind::InvalidInput)?;
        self.lent = 0;
        Poll::Ready(Ok(self.at as u64))
    }
}

/// One line of what Python did.
struct Record<'a> {
    kind: &'a str,
    arguments: Vec<&'a str>,
    results: Vec<&'a str>,
}

fn records(kind: &str) -> impl Iterator<Item = Record<'static>> {
    let all = include_str!("../data/python.txt").lines().map(|line| {
        let (input, results) = line.split_once(" =>").expect("an arrow");
        let mut words = input.split(' ');
        Record {
            kind: words.next().expect("a kind"),
            arguments: words.collect(),
            results: results.split_whitespace().collect(),
        }
    });
    let chosen = all
        .filter(move |record| record.kind == kind)
        .collect::<Vec<_>>();
    assert!(chosen.len() > 100, "{} of {kind}", chosen.len());
    chosen.into_iter()
}

/// Bytes that were written down as hexadecimal numbers.
fn unhex(word: &str) -> Vec<u8> {
    let digits = word.strip_prefix('.').expect("a dot");
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.map(byte).collect()
}

fn unhex_text(word: &str) -> String {
    String::from_utf8(unhex(word)).unwrap()
}

fn newline_of(name: &str) -> Newline {
    match name {
        "None" => Newline::Universal,
        "Keep" => Newline::Keep,
        "Lf" => Newline::Lf,
        "Cr" => Newline::Cr,
        "CrLf" => Newline::CrLf,
        _ => panic!("{name}"),
    }
}

#[test]
fn bytes_become_the_text_that_python_reads() {
    let mut rng = Seed::new().rng();
    for record in records("decode") {
        let options = TextOptions::new()
            .encoding(record.arguments[0].parse().unwrap())
            .errors(Errors::from_str(record.arguments[1]).unwrap())
            .newline(Newline::Keep);
        let bytes = unhex(record.arguments[2]);
        if record.arguments[0] == "utf-8-sig" && [&b"\xef"[..], b"\xef\xbb"].contains(&&*bytes) {
            // A mark that is cut short is no text; Python takes it for the end of the file.
            continue;
        }
        let expected = match record.results[0] {
            "error" => Err(ErrorKind::InvalidData),
            text => Ok(unhex_text(text)),
        };
        for memory in [Memory::new(&*bytes), Memory::in_pieces(&*bytes, &mut rng)] {
            let found = block_on(options.wrap(memory).read_to_end());
            let found = found.map_err(|error| error.kind());
            assert_eq!(found, expected, "{options:?} {bytes:x?}");
        }
    }
}

#[test]
fn text_becomes_the_bytes_that_python_writes() {
    let mut rng = Seed::new().rng();
    for record in records("encode") {
        let options = TextOptions::new()
            .encoding(record.arguments[0].parse().unwrap())
            .errors(Errors::from_str(record.arguments[1]).unwrap())
            .newline(Newline::Keep);
        let text = unhex_text(record.arguments[2]);
        let mut file = options.wrap(Memory::in_pieces("", &mut rng));
        let written = block_on(file.write(&text));
        match record.results[0] {
            "error" => assert_eq!(written.unwrap_err().kind(), ErrorKind::InvalidData),
            bytes => {
                assert_eq!(written.unwrap(), text.chars().count());
                let found = &file.get_ref().bytes;
                // Python writes the mark when something is written.
                let nothing = text.is_empty() && unhex(bytes).is_empty();
                assert!(
                    nothing || *found == unhex(bytes),
                    "{options:?} {text:?} {found:x?}"
                );
            }
        }
    }
}

#[test]
fn lines_end_where_pythons_do() {
    let mut rng = Seed::new().rng();
    for record in records("lines") {
        let options = TextOptions::new().newline(newline_of(record.arguments[0]));
        let text = unhex_text(record.arguments[1]);
        let expected = record.results[1..].iter().map(|line| unhex_text(line));
        let expected = expected.collect::<Vec<_>>();
        let mut file = options.wrap(Memory::in_pieces(&*text, &mut rng));
        let lines = block_on(file.readlines(None)).unwrap();
        assert_eq!(lines, expected, "{options:?} {text:?}");
        let seen = file.newlines();
        let mut names = Vec::new();
        names.extend(seen.cr.then_some("cr"));
        names.extend(seen.lf.then_some("lf"));
        names.extend(seen.crlf.then_some("crlf"));
        let names = if names.is_empty() {
            "none".into()
        } else {
            names.join(",")
        };
        assert_eq!(names, record.results[0], "{options:?} {text:?}");

        // The stream gives the same, without the ends.
        let stream = options
            .wrap(Memory::in_pieces(&*text, &mut rng))
            .into_lines();
        let stripped = block_on(stream.try_collect::<_, _, Vec<_>>()).unwrap();
        assert_eq!(stripped.len(), expected.len());
        for (stripped, line) in stripped.iter().zip(&expected) {
            let end = line.strip_prefix(&**stripped).unwrap();
            assert!(["", "\r", "\n", "\r\n"].contains(&end), "{line:?}");
            assert!(!end.is_empty() || Some(line) == expected.last());
        }
    }
}

#[test]
fn line_feeds_are_written_as_python_writes_them() {
    let mut rng = Seed::new().rng();
    for record in records("write") {
        // What the system uses is that of the machine where it was recorded.
        if cfg!(windows) && record.arguments[0] == "None" {
            continue;
        }
        let options = TextOptions::new().newline(newline_of(record.arguments[0]));
        let text = unhex_text(record.arguments[1]);
        let mut file = options.wrap(Memory::in_pieces("", &mut rng));
        block_on(file.write(&text)).unwrap();
        assert_eq!(
            file.get_ref().bytes,
            unhex(record.results[0]),
            "{options:?} {text:?}"
        );
    }
}

/// Every mode string, on a file that is there and on one that is not.
#[test]
fn modes_mean_what_they_mean_in_python() {
    let dir = temp_dir();
    for record in records("mode") {
        let mode = record.arguments[0].strip_prefix('.').unwrap();
        let mut results = record.results.iter();
        for (name, content) in [("there", Some("content")), ("missing", None)] {
            let path = dir.path().join(name);
            let first = *results.next().unwrap();
            let expected = match first {
                "invalid" => Err(ErrorKind::InvalidInput),
                "not-found" => Err(ErrorKind::NotFound),
                "exists" => Err(ErrorKind::AlreadyExists),
                access => Ok((access, unhex(results.next().unwrap()))),
            };
            for text in [false, true] {
                match content {
                    Some(content) => std::fs::write(&path, content).unwrap(),
                    None => drop(std::fs::remove_file(&path)),
                }
                let found = block_on(access_by(&path, mode, text));
                let wrong_form = mode.contains(if text { 'b' } else { 't' });
                match &expected {
                    Ok(_) | Err(ErrorKind::NotFound | ErrorKind::AlreadyExists) if wrong_form => {
                        let error = found.unwrap_err();
                        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{mode}");
                        let other = if text {
                            "use `open`"
                        } else {
                            "use `open_text`"
                        };
                        assert!(error.to_string().contains(other), "{error}");
                        // Nothing was created or truncated.
                        let kept = std::fs::read_to_string(&path).ok();
                        assert_eq!(kept.as_deref(), content, "{mode}");
                    }
                    Ok((access, bytes)) => {
                        assert_eq!(found.unwrap(), *access, "{mode} {name}");
                        assert_eq!(std::fs::read(&path).unwrap(), *bytes, "{mode} {name}");
                    }
                    Err(kind) => {
                        let error = found.unwrap_err();
                        assert_eq!(error.kind(), *kind, "{mode} {name}: {error}");
                        let kept = std::fs::read_to_string(&path).ok();
                        assert_eq!(kept.as_deref(), content, "{mode} {name}");
                    }
                }
            }
        }
    }
}

/// What an open file can do and where it is, as the records write it.
async fn access_by(path: &std::path::Path, mode: &str, text: bool) -> io::Result<String> {
    let (mut file, position) = if text {
        let mut file = open_text(path, mode).await?;
        let position = file.tell().await?.offset();
        (file.detach().await?, position)
    } else {
        let file = open(path, mode).await?;
        let position = file.stream_position().await?;
        (file, position)
    };
    let mut access = String::new();
    access.extend(file.read(&mut [0]).await.is_ok().then_some('r'));
    // Not a byte, which would change the file.
    let writable = file.set_len(file.metadata().await?.len()).await.is_ok();
    access.extend(writable.then_some('w'));
    Ok(format!("{access}{position}"))
}

/// Text of all that may matter.
fn random_text(rng: &mut Rng, len: usize) -> String {
    let letters = [
        'a',
        'b',
        '\n',
        '\r',
        'é',
        'ÿ',
        '€',
        '日',
        '\u{1f600}',
        '\u{feff}',
    ];
    (0..len)
        .map(|_| letters[rng.usize(..letters.len())])
        .collect()
}

#[test]
fn at_most_so_many_characters_are_read_and_none_is_lost() {
    let mut rng = Seed::new().rng();
    for _ in 0..iterations(300) {
        let len = rng.usize(..60);
        let text = random_text(&mut rng, len);
        for encoding in ENCODINGS {
            let options = TextOptions::new()
                .encoding(encoding)
                .errors(Errors::Ignore)
                .newline(Newline::Keep);
            let mut file = options.wrap(Memory::default());
            block_on(file.write(&text)).unwrap();
            let bytes = file.get_ref().bytes.clone();
            let whole = block_on(options.wrap(Memory::new(&*bytes)).read_to_end()).unwrap();

            let mut file = options.wrap(Memory::in_pieces(&*bytes, &mut rng));
            let mut found = String::new();
            loop {
                let n = rng.usize(..7);
                // Given up at any moment, it is asked again.
                let polls = rng.usize(..6);
                let Some(piece) = block_on(poll_n(file.read(n), polls)) else {
                    continue;
                };
                let piece = piece.unwrap();
                assert!(piece.chars().count() <= n);
                let at_end = found.len() + piece.len() == whole.len();
                assert!(piece.chars().count() == n || at_end, "{piece:?} of {n}");
                found += &piece;
                if n > 0 && piece.is_empty() {
                    break;
                }
            }
            assert_eq!(found, whole, "{encoding:?}");
        }
    }
}

#[test]
fn from_every_position_the_same_text_follows() {
    let mut rng = Seed::new().rng();
    let policies = [
        Errors::Ignore,
        Errors::Replace,
        Errors::BackslashReplace,
        Errors::SurrogateEscape,
    ];
    for _ in 0..iterations(100) {
        for encoding in ENCODINGS {
            let options = TextOptions::new()
                .encoding(encoding)
                .errors(policies[rng.usize(..policies.len())])
                .newline(NEWLINES[rng.usize(..NEWLINES.len())]);
            let mut bytes = random_text(&mut rng, 30).into_bytes();
            if rng.bool() {
                // Bytes that are no text in most encodings.
                bytes.extend((0..20).map(|_| rng.u8(..)));
                rng.shuffle(&mut bytes);
            }
            let whole = block_on(options.wrap(Memory::new(&*bytes)).read_to_end()).unwrap();
            let mut file = options.wrap(Memory::in_pieces(&*bytes, &mut rng));
            let mut known = vec![(TextPosition::START, &*whole)];
            let mut rest = &*whole;
            for _ in 0..60 {
                match rng.u8(..5) {
                    0 => {
                        let (position, from) = known[rng.usize(..known.len())];
                        block_on(file.seek(position)).unwrap();
                        rest = from;
                    }
                    1 => {
                        let position = block_on(file.tell()).unwrap();
                        assert_eq!(TextPosition::from_bits(position.to_bits()), Some(position));
                        known.push((position, rest));
                    }
                    2 => {
                        let line = block_on(file.readline()).unwrap();
                        rest = rest.strip_prefix(&*line).unwrap_or_else(|| {
                            panic!("{options:?} {bytes:x?}: {line:?} instead of {rest:?}")
                        });
                    }
                    _ => {
                        let n = rng.usize(..5);
                        let piece = block_on(file.read(n)).unwrap();
                        rest = rest.strip_prefix(&*piece).unwrap_or_else(|| {
                            panic!("{options:?} {bytes:x?}: {piece:?} instead of {rest:?}")
                        });
                        assert!(piece.chars().count() == n || rest.is_empty());
                    }
                }
            }
            assert_eq!(
                block_on(file.read_to_end()).unwrap(),
                rest,
                "{options:?} {bytes:x?}"
            );
        }
    }
}

#[test]
fn a_number_that_is_no_position_is_none() {
    for bits in [5 << 104, 2 << 104, 10 << 96, 255 << 96, u128::MAX] {
        assert_eq!(TextPosition::from_bits(bits), None, "{bits:x}");
    }
}

/// The write goes where the next character would be read, however much was read ahead.
#[test]
fn a_write_after_a_read_goes_where_the_reader_is() {
    let mut rng = Seed::new().rng();
    for encoding in [
        Encoding::UTF_8,
        Encoding::LATIN_1,
        Encoding::UTF_16,
        Encoding::UTF_16BE,
    ] {
        let options = TextOptions::new().encoding(encoding).newline(Newline::Keep);
        for _ in 0..iterations(50) {
            let text = "zäh wie Öl, und so weiter\n".repeat(3);
            // What is overwritten is as long as what takes its place.
            let one_byte = |n: &usize| text.chars().nth(*n).is_some_and(|c| c.is_ascii());
            let n = std::iter::repeat_with(|| rng.usize(..text.chars().count()));
            let n = n.into_iter().find(one_byte).unwrap();
            let mut file = options.wrap(Memory::in_pieces("", &mut rng));
            block_on(async {
                file.write(&text).await.unwrap();
                file.seek(TextPosition::START).await.unwrap();
                let before = file.read(n).await.unwrap();
                file.write("X").await.unwrap();
                let rest = file.read_to_end().await.unwrap();
                file.seek(TextPosition::START).await.unwrap();
                let whole = file.read_to_end().await.unwrap();
                let kept = &text[before.len() + 1..];
                assert_eq!(rest, kept, "{encoding:?} {n}");
                assert_eq!(whole, format!("{before}X{kept}"), "{encoding:?} {n}");
            });
        }
    }
}

/// A byte order mark stands at the beginning of a file and nowhere else.
#[test]
fn there_is_one_byte_order_mark() {
    fn marks(bytes: &[u8], mark: &[u8]) -> usize {
        let at_each_byte = bytes.windows(mark.len());
        at_each_byte.filter(|at| *at == mark).count()
    }
    every_runtime(|_| async {
        let utf_16 = 0xfeff_u16.to_ne_bytes();
        for (encoding, mark) in [
            (Encoding::UTF_8_SIG, &b"\xef\xbb\xbf"[..]),
            (Encoding::UTF_16, &utf_16),
        ] {
            let dir = temp_dir();
            let path = dir.path().join("file");
            let options = TextOptions::new().encoding(encoding);
            let mut file = options.open(&path, "w").await.unwrap();
            file.writelines(["ab", "cd\n"]).await.unwrap();
            file.close().await.unwrap();
            let bytes = on_disk_of(&path);
            assert!(bytes.starts_with(mark));

            // Read to the end, then write.
            let mut file = options.open(&path, "r+").await.unwrap();
            assert_eq!(file.read_to_end().await.unwrap(), "abcd\n");
            file.write("ef\n").await.unwrap();
            file.close().await.unwrap();
            // Append, also from the beginning.
            let mut file = options.open(&path, "a").await.unwrap();
            file.write("gh\n").await.unwrap();
            file.seek(TextPosition::START).await.unwrap();
            file.write("ij\n").await.unwrap();
            file.close().await.unwrap();
            // Go to the end without reading.
            let mut file = options.open(&path, "r+").await.unwrap();
            file.seek_to_end().await.unwrap();
            file.write("kl\n").await.unwrap();
            file.close().await.unwrap();
            assert_eq!(marks(&on_disk_of(&path), mark), 1, "{encoding:?}");
            let text = options
                .open(&path, "r")
                .await
                .unwrap()
                .read_to_end()
                .await
                .unwrap();
            assert_eq!(text, "abcd\nef\ngh\nij\nkl\n");

            // At the very beginning, the new text takes the place of the old, and of its mark.
            let mut file = options.open(&path, "r+").await.unwrap();
            file.write("AB").await.unwrap();
            file.close().await.unwrap();
            assert_eq!(marks(&on_disk_of(&path), mark), 1, "{encoding:?}");
            let text = options
                .open(&path, "r")
                .await
                .unwrap()
                .read_to_end()
                .await
                .unwrap();
            assert_eq!(text, "ABcd\nef\ngh\nij\nkl\n");
        }
    });
}

fn on_disk_of(path: &std::path::Path) -> Vec<u8> {
    std::fs::read(path).expect("the file can be read")
}

/// The order of bytes that was read is the order that is written.
#[test]
fn utf_16_goes_on_in_the_order_that_it_was_read_in() {
    for (mark, order) in [
        ([0xff, 0xfe], u16::to_le_bytes as fn(u16) -> [u8; 2]),
        ([0xfe, 0xff], u16::to_be_bytes),
    ] {
        let bytes = |text: &str| text.encode_utf16().flat_map(order).collect::<Vec<_>>();
        let mut content = mark.to_vec();
        content.extend(bytes("ab"));
        let mut file = TextOptions::new()
            .encoding(Encoding::UTF_16)
            .wrap(Memory::new(&*content));
        block_on(async {
            assert_eq!(file.read_to_end().await.unwrap(), "ab");
            file.write("c\u{1f600}").await.unwrap();
        });
        content.extend(bytes("c\u{1f600}"));
        assert_eq!(file.get_ref().bytes, content);
    }
}

#[test]
fn the_text_before_an_error_is_read_and_the_error_stays() {
    let mut rng = Seed::new().rng();
    for (encoding, bytes, before) in [
        (Encoding::UTF_8, &b"good\n\xffbad"[..], "good\n"),
        (Encoding::UTF_8, b"good\xe2\x82", "good"),
        (Encoding::ASCII, b"good\xc3", "good"),
        (Encoding::UTF_16LE, b"g\0o\0\x00\xdcx\0", "go"),
        (Encoding::UTF_16LE, b"g\0o\0x", "go"),
    ] {
        let mut file = TextOptions::new()
            .encoding(encoding)
            .wrap(Memory::in_pieces(bytes, &mut rng));
        block_on(async {
            let mut found = String::new();
            let error = loop {
                match file.read(1).await {
                    Ok(character) => found += &character,
                    Err(error) => break error,
                }
            };
            assert_eq!(found, before);
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            assert!(error.to_string().contains(encoding.name()), "{error}");
            for _ in 0..3 {
                let again = file.read_to_end().await.unwrap_err();
                assert_eq!(again.to_string(), error.to_string());
            }
            // It is where it is, and can be passed.
            let bad = file.tell().await.unwrap();
            let expected = encoding_len(encoding, before);
            assert_eq!(bad.offset(), expected);
            file.seek(TextPosition::START).await.unwrap();
            assert_eq!(file.read(2).await.unwrap(), before[..2]);
        });
    }
}

fn encoding_len(encoding: Encoding, text: &str) -> u64 {
    match encoding {
        Encoding::UTF_16LE => text.len() as u64 * 2,
        _ => text.len() as u64,
    }
}

/// A write that was given up once it had begun is finished by the next call, as a whole.
#[test]
fn text_is_written_as_a_whole_whenever_a_write_is_given_up() {
    let mut rng = Seed::new().rng();
    for _ in 0..iterations(500) {
        let mut file = TextOptions::new()
            .newline(Newline::Keep)
            .wrap(Memory::in_pieces("", &mut rng));
        let mut expected = vec![String::new()];
        for _ in 0..5 {
            let text = random_text(&mut rng, 4);
            let polls = rng.usize(..5);
            let done = block_on(poll_n(file.write(&text), polls));
            let mut with = expected.clone();
            with.iter_mut().for_each(|before| before.push_str(&text));
            match done {
                Some(written) => {
                    assert_eq!(written.unwrap(), 4);
                    expected = with;
                }
                // It is there as a whole or not at all.
                None => expected.extend(with),
            }
        }
        block_on(file.flush()).unwrap();
        let found = String::from_utf8(file.get_ref().bytes.clone()).unwrap();
        assert!(expected.contains(&found), "{found:?}");
    }
}

#[test]
fn a_write_that_failed_leaves_whole_characters_and_the_next_one_goes_on() {
    let mut rng = Seed::new().rng();
    for _ in 0..iterations(200) {
        let mut file = TextOptions::new().wrap(Memory::in_pieces("", &mut rng));
        block_on(async {
            file.write("é").await.unwrap();
            file.get_mut().fails = true;
            let error = file.write("日本").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            file.write("!").await.unwrap();
            assert_eq!(file.get_ref().bytes, "é!".as_bytes());
        });
    }
}

/// A file without positions that takes what it likes, fails and panics, and remembers what it was offered.
#[derive(Debug)]
struct Moody {
    rng: Rng,
    /// What each write was of, and what came of it.
    offered: Vec<(Vec<u8>, String)>,
    bytes: Vec<u8>,
}

impl AsyncRead for Moody {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(0))
    }
}

impl AsyncBufRead for Moody {
    fn poll_fill_buf(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Poll::Ready(Ok(&[]))
    }

    fn consume(self: Pin<&mut Self>, _: usize) {}
}

impl AsyncWrite for Moody {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = match self.rng.u8(..8) {
            0 => Poll::Ready(Ok(0)),
            1 => Poll::Ready(Err(ErrorKind::StorageFull.into())),
            2 => {
                self.offered.push((buf.to_vec(), "panic".to_owned()));
                resume_unwind(Box::new("in a bad mood"));
            }
            3 | 4 => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            5 => Poll::Ready(Ok(self.rng.usize(..=buf.len()))),
            _ => Poll::Ready(Ok(buf.len())),
        };
        if let Poll::Ready(Ok(n)) = result {
            self.bytes.extend_from_slice(&buf[..n]);
        }
        self.offered.push((buf.to_vec(), format!("{result:?}")));
        result
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for Moody {
    fn poll_seek(self: Pin<&mut Self>, _: &mut Context<'_>, _: SeekFrom) -> Poll<io::Result<u64>> {
        Poll::Ready(Err(ErrorKind::NotSeekable.into()))
    }
}

/// Text that is bytes as it is goes to the file from where the caller has it. The file sees the same writes as of text
/// that is encoded first, whatever it answers and wherever a write is given up.
#[test]
fn what_need_not_be_encoded_is_written_like_what_must_be() {
    let seed = Seed::new();
    for encoding in [Encoding::UTF_8, Encoding::UTF_8_SIG] {
        for newline in [Newline::Keep, Newline::CrLf] {
            let mut rng = seed.rng();
            for _ in 0..iterations(300) {
                let moods = rng.fork();
                // With `SurrogateEscape`, each character is looked at.
                let mut files = [Errors::Strict, Errors::SurrogateEscape].map(|errors| {
                    let options = TextOptions::new().encoding(encoding).newline(newline);
                    options.errors(errors).wrap(Moody {
                        rng: moods.clone(),
                        offered: Vec::new(),
                        bytes: Vec::new(),
                    })
                });
                for _ in 0..10 {
                    let len = rng.usize(..5);
                    let text = format!("{}\n", random_text(&mut rng, len));
                    let text = &text[..text.len() - rng.usize(..2)];
                    let (flushes, polls) = (rng.u8(..4) == 0, rng.usize(1..5));
                    let [direct, encoded] = files.each_mut().map(|file| {
                        let call = async {
                            match flushes {
                                true => file.flush().await.map(|()| 0),
                                false => file.write(text).await,
                            }
                        };
                        let called =
                            catch_unwind(AssertUnwindSafe(|| block_on(poll_n(call, polls))));
                        format!("{:?}", called.map_err(drop))
                    });
                    assert_eq!(direct, encoded);
                }
                let [direct, encoded] = files.each_ref().map(TextFile::get_ref);
                assert_eq!(direct.offered, encoded.offered);
                assert_eq!(direct.bytes, encoded.bytes);
            }
        }
    }
}

#[test]
fn what_the_encoding_does_not_have_is_refused_and_nothing_is_written() {
    let mut file = TextOptions::new()
        .encoding(Encoding::LATIN_1)
        .wrap(Memory::default());
    let error = block_on(file.write("gut: ä, schlecht: €")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(error.to_string().contains("'€'"), "{error}");
    block_on(file.write("ä")).unwrap();
    assert_eq!(file.get_ref().bytes, b"\xe4");
}

#[test]
fn line_buffering_flushes_after_a_line() {
    let mut file = TextOptions::new()
        .line_buffering(true)
        .wrap(Memory::default());
    assert!(file.line_buffering());
    block_on(async {
        for (text, flushes) in [("no end", 0), ("an end\n", 1), ("", 1), ("a\rb", 2)] {
            file.write(text).await.unwrap();
            assert_eq!(file.get_ref().flushes, flushes, "{text:?}");
        }
        file.close().await.unwrap();
        assert!(file.get_ref().closed);
    });
}

#[test]
fn a_file_of_bytes_goes_on_where_the_text_stopped() {
    every_runtime(|_| async {
        let (_dir, path) = sample("one\r\ntwo\r\nthree");
        let mut text = open_text(&path, "r+").await.unwrap();
        assert_eq!(text.readline().await.unwrap(), "one\n");
        // The line feed is read with what follows.
        assert_eq!(text.read(1).await.unwrap(), "t");
        let mut file = text.detach().await.unwrap();
        let mut rest = String::new();
        file.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "wo\r\nthree");

        let mut text = TextOptions::new().wrap(File::open(&path).await.unwrap());
        text.get_mut().read_exact(&mut [0; 5]).await.unwrap();
        assert_eq!(text.readline().await.unwrap(), "two\n");
    });
}

#[test]
fn a_file_is_cut_off_at_the_position_of_the_text() {
    every_runtime(|_| async {
        let (_dir, path) = sample("über\nalles\n");
        let mut file = open_text(&path, "r+").await.unwrap();
        assert_eq!(file.readline().await.unwrap(), "über\n");
        file.truncate().await.unwrap();
        assert_eq!(file.readline().await.unwrap(), "");
        file.write("x").await.unwrap();
        file.close().await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "über\nx");

        let mut file = open_text(&path, "r").await.unwrap();
        assert!(file.truncate().await.is_err());
        let mut file = open_text(&path, "w").await.unwrap();
        file.write("x").await.unwrap();
        assert!(file.read(1).await.is_err());
        file.close().await.unwrap();
        let error = file.write("x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        file.close().await.unwrap();
    });
}

/// Text of many buffers, on the real thing.
#[test]
fn long_files_are_read_and_written_on_every_runtime() {
    every_runtime(|_| async {
        let dir = temp_dir();
        let path = dir.path().join("file");
        let lines = (0..20_000).map(|n| format!("Zeile {n}, über €uro und 日本\n"));
        let lines = lines.collect::<Vec<_>>();
        for encoding in [Encoding::UTF_8, Encoding::UTF_16] {
            let options = TextOptions::new().encoding(encoding);
            let mut file = options.open(&path, "x+").await.unwrap();
            file.writelines(&lines).await.unwrap();
            file.seek(TextPosition::START).await.unwrap();
            let mut found = file.lines();
            for line in &lines {
                assert_eq!(found.next().await.unwrap().unwrap(), line.trim_end());
            }
            assert!(found.next().await.is_none());
            file.seek(TextPosition::START).await.unwrap();
            assert_eq!(file.read_to_end().await.unwrap(), lines.concat());
            file.close().await.unwrap();
            std::fs::remove_file(&path).unwrap();
        }
    });
}

/// One dispatch for each buffer, and never one for each line.
#[test]
fn lines_take_few_dispatches() {
    alone(|| {
        let (_dir, path) = sample("a short line\n".repeat(100_000));
        block_on(async {
            let mut file = open_text(&path, "r").await.unwrap();
            let before = aiofiles::backend().operations();
            assert_eq!(file.lines().count().await, 100_000);
            let dispatches = aiofiles::backend().operations() - before;
            assert!(dispatches < 30, "{dispatches}");
        });
    });
}

/// A terminal or a socket is read and written independently.
#[cfg(unix)]
#[test]
fn what_has_no_positions_is_read_and_written_at_the_same_time() {
    use std::io::{Read as _, Write as _};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    every_runtime(|_| async {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut file = TextOptions::new().wrap(File::from(OwnedFd::from(ours)));
        theirs.write_all("one\ntwo\n".as_bytes()).unwrap();
        assert_eq!(file.readline().await.unwrap(), "one\n");
        file.write("answer\n").await.unwrap();
        let mut found = [0; 7];
        theirs.read_exact(&mut found).unwrap();
        assert_eq!(found, *b"answer\n");
        assert_eq!(file.readline().await.unwrap(), "two\n");
        let error = file.tell().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotSeekable);
    });
}

/// What comes has a byte order mark of its own, whatever was sent before.
#[cfg(unix)]
#[test]
fn each_direction_has_its_own_order_of_bytes() {
    use std::io::{Read as _, Write as _};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let options = TextOptions::new().encoding(Encoding::UTF_16);
    let mut file = options.wrap(File::from(OwnedFd::from(ours)));
    block_on(async {
        for _ in 0..2 {
            file.write("a").await.unwrap();
        }
        theirs.write_all(b"\xfe\xff\0b\0\n").unwrap();
        assert_eq!(file.readline().await.unwrap(), "b\n");
        file.write("c").await.unwrap();
    });
    let mut found = [0; 8];
    theirs.read_exact(&mut found).unwrap();
    let expected = "\u{feff}aac".encode_utf16().flat_map(u16::to_ne_bytes);
    assert!(expected.eq(found), "{found:x?}");
}

#[test]
fn an_opener_is_called_with_the_options_of_the_mode() {
    every_runtime(|_| async {
        let (dir, path) = sample("content");
        let other = dir.path().join("other");
        let opened = other.clone();
        let mut file = aiofiles::open_with(&path, "w+", move |asked, options| {
            assert!(asked.ends_with("file"));
            options.open(opened)
        })
        .await
        .unwrap();
        file.write_all(b"x").await.unwrap();
        file.close().await.unwrap();
        assert_eq!(std::fs::read(&other).unwrap(), b"x");
        assert_eq!(std::fs::read(&path).unwrap(), b"content");

        let refused = aiofiles::open_with(&path, "r", |_, _| Err(ErrorKind::QuotaExceeded.into()));
        let error = refused.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
        assert!(error.to_string().contains("file"), "{error}");
        let invalid = aiofiles::open_with(&path, "wr", |_, _| panic!("it must not be called"));
        assert_eq!(invalid.await.unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[allow(dead_code, reason = "it is enough that it compiles")]
fn text_files_can_be_sent() {
    fn is_send<T: Send + Sync + Unpin + std::fmt::Debug + 'static>(_: T) {}
    fn future_is_send<T: Send>(_: T) {}
    fn check(mut file: TextFile) {
        future_is_send(file.read(1));
        future_is_send(file.write("x"));
        future_is_send(pin!(file.tell()));
        is_send(file);
    }
}
