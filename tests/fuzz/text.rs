//! Text files over bytes that come and go in pieces of any length: what std decodes, whatever the pieces; positions to
//! return to; and what is written is what is read.
#![no_main]

use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aiofiles::{Encoding, Errors, Newline, TextFile, TextOptions};
use fastrand::Rng;
use futures_lite::future::block_on;
use futures_lite::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};
use libfuzzer_sys::fuzz_target;

/// A file in memory that gives and takes a few bytes at a time, and now and then none yet.
struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    /// What was lent reaches this far.
    lent: usize,
    rng: Rng,
    longest: usize,
}

impl Pieces {
    fn new(bytes: &[u8], seed: u64) -> Pieces {
        let mut rng = Rng::with_seed(seed);
        Pieces {
            bytes: bytes.to_vec(),
            at: 0,
            lent: 0,
            longest: [1, 2, 3, 5, 9, 100][rng.usize(..6)],
            rng,
        }
    }

    /// All at once.
    fn whole(bytes: &[u8]) -> Pieces {
        Pieces {
            longest: usize::MAX,
            ..Pieces::new(bytes, 0)
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        if self.longest == usize::MAX {
            return Poll::Ready(self.longest);
        }
        if self.rng.u8(..8) == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.rng.usize(1..=self.longest))
    }
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(self.as_mut().poll_fill_buf(cx))?
            .len()
            .min(buf.len());
        let at = self.at;
        buf[..n].copy_from_slice(&self.bytes[at..at + n]);
        self.consume(n);
        Poll::Ready(Ok(n))
    }
}

impl AsyncBufRead for Pieces {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        if this.lent <= this.at {
            let piece = ready!(this.poll_piece(cx));
            this.lent = this.at.saturating_add(piece).min(this.bytes.len());
        }
        Poll::Ready(Ok(this.bytes.get(this.at..this.lent).unwrap_or_default()))
    }

    fn consume(mut self: Pin<&mut Self>, n: usize) {
        self.at += n;
        assert!(
            self.at <= self.lent || n == 0,
            "more was consumed than lent"
        );
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(self.poll_piece(cx)).min(buf.len());
        let at = self.at;
        let end = (at + n).max(self.bytes.len());
        self.bytes.resize(end, 0);
        self.bytes[at..at + n].copy_from_slice(&buf[..n]);
        self.at += n;
        self.lent = 0;
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for Pieces {
    fn poll_seek(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        to: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        let (base, offset) = match to {
            SeekFrom::Start(offset) => (offset, 0),
            SeekFrom::Current(offset) => (self.at as u64, offset),
            SeekFrom::End(offset) => (self.bytes.len() as u64, offset),
        };
        let Some(at) = base.checked_add_signed(offset) else {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        };
        self.at = at as usize;
        self.lent = 0;
        Poll::Ready(Ok(at))
    }
}

/// The text of `bytes` as std knows it; `None` if it knows nothing of such.
fn decoded(encoding: Encoding, errors: Errors, bytes: &[u8]) -> Option<Result<String, ()>> {
    let wide = |order: fn([u8; 2]) -> u16| {
        let (units, rest) = bytes.as_chunks::<2>();
        if !rest.is_empty() {
            // Only that it is no text.
            return (errors == Errors::Strict).then_some(Err(()));
        }
        let mut text = String::new();
        for character in char::decode_utf16(units.iter().map(|unit| order(*unit))) {
            match character {
                Ok(character) => text.push(character),
                Err(_) if errors == Errors::Strict => return Some(Err(())),
                Err(_) => text.push(char::REPLACEMENT_CHARACTER),
            }
        }
        Some(Ok(text))
    };
    if !matches!(errors, Errors::Strict | Errors::Replace) {
        return None;
    }
    match encoding {
        Encoding::UTF_8 if errors == Errors::Strict => {
            Some(String::from_utf8(bytes.to_vec()).map_err(drop))
        }
        Encoding::UTF_8 => Some(Ok(String::from_utf8_lossy(bytes).into_owned())),
        Encoding::LATIN_1 => Some(Ok(bytes.iter().copied().map(char::from).collect())),
        Encoding::ASCII if errors == Errors::Strict => {
            let ascii = bytes.is_ascii().then(|| String::from_utf8(bytes.to_vec()));
            Some(ascii.and_then(Result::ok).ok_or(()))
        }
        Encoding::UTF_16LE => wide(u16::from_le_bytes),
        Encoding::UTF_16BE => wide(u16::from_be_bytes),
        _ => None,
    }
}

/// What reading makes of the ends of lines.
fn translated(newline: Newline, text: &str) -> String {
    match newline {
        Newline::Universal => text.replace("\r\n", "\n").replace('\r', "\n"),
        _ => text.to_owned(),
    }
}

/// The lines of such text, with their ends.
fn lines(newline: Newline, text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = |end: &str| rest.find(end).map(|at| at + end.len());
        let len = match newline {
            Newline::Universal | Newline::Lf => end("\n"),
            Newline::Cr => end("\r"),
            Newline::CrLf => end("\r\n"),
            Newline::Keep => {
                let crlf = end("\r\n").unwrap_or(usize::MAX);
                let single = rest.find(['\r', '\n']).map(|at| at + 1);
                single.map(|single| if single + 1 == crlf { crlf } else { single })
            }
        };
        let (line, others) = rest.split_at(len.unwrap_or(rest.len()));
        lines.push(line);
        rest = others;
    }
    lines
}

/// Reads everything, in all kinds of ways, and returns to some place for the rest of it.
async fn read(mut file: TextFile<Pieces>, rng: &mut Rng) -> io::Result<String> {
    let mut text = String::new();
    let mut place = None;
    loop {
        if rng.u8(..8) == 0 {
            place = Some((file.tell().await?, text.len()));
        }
        let more = match rng.u8(..6) {
            0 => file.read_to_end().await?,
            1 | 2 => file.readline().await?,
            _ => file.read(rng.usize(1..6)).await?,
        };
        if more.is_empty() {
            break;
        }
        text.push_str(&more);
    }
    if let Some((place, at)) = place {
        file.seek(place).await?;
        let rest = file.read_to_end().await?;
        assert_eq!(rest, text[at..], "after returning to {place:?}");
    }
    Ok(text)
}

async fn check(options: TextOptions, newline: Newline, errors: Errors, seed: u64, bytes: &[u8]) {
    let encoding = options.wrap(Pieces::whole(b"")).encoding();
    let rng = &mut Rng::with_seed(seed);

    // The same in pieces and as a whole, and as std has it.
    let whole = options.wrap(Pieces::whole(bytes)).read_to_end().await;
    let pieces = read(options.wrap(Pieces::new(bytes, seed)), rng).await;
    match (&whole, &pieces) {
        (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces),
        (Err(one), Err(other)) => assert_eq!(one.kind(), other.kind()),
        _ => panic!("as a whole {whole:?}, in pieces {pieces:?}"),
    }
    if let Some(expected) = decoded(encoding, errors, bytes) {
        let expected = expected.map(|text| translated(newline, &text));
        assert_eq!(
            whole.as_ref().map_err(drop),
            expected.as_ref().map_err(|()| ())
        );
    }
    let Ok(text) = whole else { return };

    // Lines are where they end.
    let mut file = options.wrap(Pieces::new(bytes, seed));
    for line in lines(newline, &text) {
        assert_eq!(file.readline().await.expect("it is text"), line);
    }
    assert_eq!(file.readline().await.expect("it is text"), "");

    // What is written is what is read.
    let mut file = options.wrap(Pieces::new(b"", seed));
    let mut rest = &text[..];
    while !rest.is_empty() {
        let len = rest
            .char_indices()
            .nth(rng.usize(1..9))
            .map_or(rest.len(), |(at, _)| at);
        let (piece, others) = rest.split_at(len);
        rest = others;
        match file.write(piece).await {
            Ok(n) => assert_eq!(n, piece.chars().count()),
            // Not every encoding has every character that stands for something else.
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                return;
            }
        }
    }
    file.flush().await.expect("nothing can fail");
    let written = file.detach().await.expect("nothing can fail").bytes;
    let is_faithful = errors == Errors::SurrogateEscape && newline == Newline::Keep;
    let has_mark = [Encoding::UTF_8_SIG, Encoding::UTF_16].contains(&encoding);
    if is_faithful && !has_mark {
        assert_eq!(written, bytes, "{text:?} in {encoding:?}");
    }
    // Characters that were replaced come back as what replaced them.
    if errors == Errors::Strict {
        let again = options
            .wrap(Pieces::new(&written, seed))
            .read_to_end()
            .await;
        let ends = match newline {
            Newline::Cr => text.replace('\n', "\r"),
            Newline::CrLf => text.replace('\n', "\r\n"),
            _ => text.clone(),
        };
        assert_eq!(again.expect("it was written as text"), ends);
    }
}

fuzz_target!(|input: (u8, u8, u8, u64, &[u8])| {
    let (encoding, errors, newline, seed, bytes) = input;
    let encodings = [
        Encoding::UTF_8,
        Encoding::UTF_8_SIG,
        Encoding::ASCII,
        Encoding::LATIN_1,
        Encoding::UTF_16,
        Encoding::UTF_16LE,
        Encoding::UTF_16BE,
    ];
    let policies = [
        Errors::Strict,
        Errors::Ignore,
        Errors::Replace,
        Errors::SurrogateEscape,
        Errors::BackslashReplace,
        Errors::XmlCharRefReplace,
    ];
    let newlines = [
        Newline::Universal,
        Newline::Keep,
        Newline::Lf,
        Newline::Cr,
        Newline::CrLf,
    ];
    let encoding = encodings[usize::from(encoding) % encodings.len()];
    let errors = policies[usize::from(errors) % policies.len()];
    let newline = newlines[usize::from(newline) % newlines.len()];
    let options = TextOptions::new()
        .encoding(encoding)
        .errors(errors)
        .newline(newline);
    block_on(check(options, newline, errors, seed, bytes));
});
