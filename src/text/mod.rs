//! Text files: characters and lines over a file of bytes.
//!
//! [`codec`] and [`newline`] are pure; this file moves bytes between them and the file.

mod codec;
mod lines;
mod newline;
mod options;
#[cfg(feature = "encoding")]
mod other;
mod position;

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncBufRead, AsyncSeek, AsyncWrite};

use crate::file::File;
use crate::tempfile::{NamedTemporaryFile, SpooledTemporaryFile, TemporaryFile};
use codec::{Decoder, State};
use newline::{Found, Translator};

pub use codec::{Encoding, Errors};
pub use lines::{IntoLines, Lines};
pub use newline::{Newline, Newlines};
pub use options::{TextOptions, open_text};
pub use position::TextPosition;

/// So many bytes become text at a time.
const PIECE: usize = 64 * 1024;

/// More than any encoding has for one character.
const CHARACTER: usize = 16;

/// A file of text: strings instead of bytes, and lines.
///
/// [`open_text`] and [`TextOptions::open`] open one; [`TextOptions::wrap`] makes one of any file of bytes.
///
/// Reading decodes what the file has read ahead, and dispatches nothing to the thread pool that reading the bytes would
/// not. Writing encodes the text and hands it to the file at once, so what [`File`] promises of accepted bytes holds for
/// accepted text.
///
/// A text file has one position. A write goes where the next character would be read, whatever was read ahead; on
/// something that has no positions, reading and writing are independent of one another.
///
/// # Errors
///
/// * Bytes that are no text, and characters that the encoding does not have, are of the kind
///   [`InvalidData`](ErrorKind::InvalidData), with [`Errors::Strict`]. The text before them is read first. They are not
///   consumed, so reading on returns the error again: seek, or read the bytes through [`get_mut`](Self::get_mut).
/// * The errors of the file are returned as they are.
///
/// # Cancel safety
///
/// Reading is cancel safe in all its forms: what was read stays with the file. Text that is written is accepted as a
/// whole once the file is ready for it; if a write is dropped after that, the next call on the file, also `close`,
/// hands over what is left of it. (If the text file is dropped instead, what is left is lost.)
///
/// # Examples
///
/// ```
/// use futures_lite::StreamExt;
///
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a.txt");
/// let mut file = aiofiles::open_text(&path, "w+").await?;
/// file.write("Grüße\nund Küsse\n").await?;
///
/// file.seek(aiofiles::TextPosition::START).await?;
/// assert_eq!(file.read(3).await?, "Grü");
/// assert_eq!(file.readline().await?, "ße\n");
/// assert_eq!(file.lines().try_next().await?.unwrap(), "und Küsse");
/// file.close().await?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub struct TextFile<F = File> {
    file: F,
    options: TextOptions,
    /// Every write goes to the end of the file, as far as that is known.
    appends: bool,
    decoder: Decoder,
    translator: Translator,
    /// What was decoded, and where the position is in it.
    text: String,
    at: usize,
    /// Before this there is no end of a line after the position.
    searched: usize,
    /// What the text was made of. The position is never before the first of them.
    pieces: VecDeque<Piece>,
    /// The beginning of a character whose other bytes were not there yet.
    carry: Vec<u8>,
    /// So many bytes of the text that comes next are before the position.
    skip: usize,
    /// What the file has still to accept of a write, and how much of it it has.
    out: Vec<u8>,
    accepted: usize,
    /// The state in which text is written, once it is settled whether a byte order mark comes first.
    writing: Option<State>,
    /// A seek that may have been cancelled, and made all the same. Whatever comes next brings it to its end.
    unfinished: Option<Seek>,
}

/// Where the file is to go, and the text with it.
#[derive(Clone, Copy)]
enum Seek {
    /// To the begin of the file, from where only its length was asked for.
    Begin,
    /// So many bytes back, to where the text is that was not taken yet.
    Back(u64, State, bool),
    To(TextPosition),
    End,
}

/// Some bytes that became text.
struct Piece {
    text: usize,
    bytes: usize,
    /// The state before it.
    state: State,
    after_cr: bool,
    /// The bytes, unless they are those of the text.
    raw: Option<Box<[u8]>>,
}

/// Where the position is.
struct Place {
    /// So many bytes were taken from the file beyond it.
    beyond: u64,
    state: State,
    after_cr: bool,
    /// So many bytes of the text that is decoded from there are before it.
    skip: usize,
}

impl<F> TextFile<F> {
    fn new(file: F, options: TextOptions, appends: bool) -> TextFile<F> {
        TextFile {
            file,
            options,
            appends,
            decoder: Decoder::new(options.encoding, options.errors),
            translator: Translator::new(options.newline),
            text: String::new(),
            at: 0,
            searched: 0,
            pieces: VecDeque::new(),
            carry: Vec::new(),
            skip: 0,
            out: Vec::new(),
            accepted: 0,
            writing: None,
            unfinished: None,
        }
    }

    /// The file of bytes. Its position is somewhere beyond that of the text.
    pub fn get_ref(&self) -> &F {
        &self.file
    }

    /// The file of bytes. Whoever moves its position moves that of the text; [`seek`](Self::seek) brings it back.
    #[doc(alias = "buffer")]
    pub fn get_mut(&mut self) -> &mut F {
        &mut self.file
    }

    /// The encoding.
    pub fn encoding(&self) -> Encoding {
        self.options.encoding
    }

    /// What becomes of bytes that are no text.
    pub fn errors(&self) -> Errors {
        self.options.errors
    }

    /// Whether a write that ends a line flushes.
    pub fn line_buffering(&self) -> bool {
        self.options.line_buffering
    }

    /// The kinds of ends of lines that were read so far. Counted with [`Newline::Universal`] and [`Newline::Keep`] only.
    pub fn newlines(&self) -> Newlines {
        self.translator.seen
    }

    /// Forgets what was read ahead, and goes on in this state.
    fn forget(&mut self, state: State, after_cr: bool, skip: usize) {
        self.decoder.state = state;
        self.translator.after_cr = after_cr;
        self.text.clear();
        (self.at, self.searched, self.skip) = (0, 0, skip);
        self.pieces.clear();
        self.carry.clear();
    }

    /// Gives back the text that lies before the position.
    fn compact(&mut self) {
        if self.at == self.text.len() {
            self.text.clear();
            self.pieces.clear();
            (self.at, self.searched) = (0, 0);
            return;
        }
        // Whole pieces, because the others tell where the position is; and not a few bytes at a time.
        let mut begin = 0;
        while let Some(piece) = self.pieces.front()
            && begin + piece.text <= self.at
        {
            begin += piece.text;
            self.pieces.pop_front();
        }
        self.text.drain(..begin);
        self.at -= begin;
        self.searched = self.searched.saturating_sub(begin);
    }

    /// Finds the position in the bytes.
    fn place(&self) -> Place {
        let carried = self.carry.len();
        let mut beyond = self.pieces.iter().map(|piece| piece.bytes).sum::<usize>() + carried;
        let mut begin = 0;
        for piece in &self.pieces {
            let inside = self.at - begin;
            if inside < piece.text {
                let (bytes, state, after_cr, skip) = self.look_into(piece, inside);
                return Place {
                    beyond: (beyond - bytes) as u64,
                    state,
                    after_cr,
                    skip,
                };
            }
            begin += piece.text;
            beyond -= piece.bytes;
        }
        Place {
            beyond: carried as u64,
            state: self.decoder.state,
            after_cr: self.translator.after_cr,
            skip: self.skip,
        }
    }

    /// How many bytes of `piece` became the first `target` bytes of its text, in which state that ends, and how much of
    /// the target is beyond, because it is inside of what became of some bytes together.
    fn look_into(&self, piece: &Piece, target: usize) -> (usize, State, bool, usize) {
        let mut decoder = self.decoder;
        decoder.state = piece.state;
        let mut translator = self.translator;
        translator.after_cr = piece.after_cr;
        let mut last = (0, decoder.state, translator.after_cr, target);
        if target == 0 {
            return last;
        }
        let Some(raw) = &piece.raw else {
            return (target, decoder.state.inside(), false, 0);
        };
        // Once more, as few bytes at a time as become anything.
        let (mut done, mut end) = (0, 1);
        let mut text = String::new();
        while end <= raw.len() {
            let from = text.len();
            let decoded = decoder.decode(&raw[done..end], end == raw.len(), &mut text);
            translator.translate(&mut text, from);
            if decoded.consumed == 0 {
                end += 1;
                continue;
            }
            done += decoded.consumed;
            end = done + 1;
            if text.len() > target {
                break;
            }
            last = (
                done,
                decoder.state,
                translator.after_cr,
                target - text.len(),
            );
            if text.len() == target {
                break;
            }
        }
        last
    }
}

impl<F: AsyncBufRead + AsyncWrite + AsyncSeek + Unpin> TextFile<F> {
    /// Decodes some more of the file. `false` at its end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        ready!(self.poll_out(cx))?;
        self.compact();
        let before = self.text.len();
        loop {
            // Take a part of what the file lends, or a few bytes more for a character that was cut.
            let lent = ready!(Pin::new(&mut self.file).poll_fill_buf(cx))?;
            let last = lent.is_empty();
            let (carried, joined);
            let bytes = if self.carry.is_empty() {
                carried = 0;
                &lent[..lent.len().min(PIECE)]
            } else {
                carried = self.carry.len();
                joined = [&self.carry, &lent[..lent.len().min(CHARACTER)]].concat();
                &joined[..]
            };

            // Decode it.
            let (state, after_cr) = (self.decoder.state, self.translator.after_cr);
            let from = self.text.len();
            let decoded = self.decoder.decode(bytes, last, &mut self.text);
            let consumed = decoded.consumed;
            if consumed == 0 && decoded.bad > 0 {
                return Poll::Ready(Err(self
                    .options
                    .encoding
                    .undecodable(&bytes[..decoded.bad])));
            }
            if consumed > 0 {
                let changed = self.translator.translate(&mut self.text, from);
                self.pieces.push_back(Piece {
                    text: self.text.len() - from,
                    bytes: consumed,
                    state,
                    after_cr,
                    raw: (changed || !decoded.same).then(|| bytes[..consumed].into()),
                });
            }

            // Take from the file what was decoded, or what is not even one character.
            let taken = if consumed == 0 {
                let len = bytes.len();
                self.carry = bytes.to_vec();
                len - carried
            } else {
                self.carry.drain(..consumed.min(carried));
                consumed.saturating_sub(carried)
            };
            Pin::new(&mut self.file).consume(taken);

            // After a seek into what some bytes become together, a part of that is not wanted. As long as some of it is
            // still to come, the position is at the end of the text.
            let skipped = self.skip.min(self.text.len() - self.at);
            self.skip -= skipped;
            self.at += skipped;
            let grew = self.text.len() > before.max(self.at);
            if last && consumed == 0 {
                self.translator.end();
                return Poll::Ready(Ok(grew));
            }
            if grew {
                return Poll::Ready(Ok(true));
            }
        }
    }
}

/// Reading.
impl<F: AsyncBufRead + AsyncWrite + AsyncSeek + Unpin> TextFile<F> {
    /// Reads at most `n` characters, and fewer only where the file ends. At its end the string is empty.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was read stays with the file.
    ///
    /// # Errors
    ///
    /// * The bytes are no text in the encoding ([`InvalidData`](ErrorKind::InvalidData)).
    /// * Reading the file failed.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.txt");
    /// aiofiles::write(&path, "äöü").await?;
    ///
    /// let mut file = aiofiles::open_text(&path, "r").await?;
    /// assert_eq!(file.read(2).await?, "äö");
    /// assert_eq!(file.read(2).await?, "ü");
    /// assert_eq!(file.read(2).await?, "");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn read(&mut self, n: usize) -> io::Result<String> {
        poll_fn(|cx| self.poll_sought(cx)).await?;
        // From the position on, so many bytes are so many characters.
        let (mut bytes, mut characters) = (0, 0);
        loop {
            let rest = &self.text[self.at + bytes..];
            match rest.char_indices().nth(n - characters) {
                Some((len, _)) => return Ok(self.take(bytes + len)),
                None if characters == n => return Ok(self.take(bytes)),
                None => {
                    bytes += rest.len();
                    characters += rest.chars().count();
                }
            }
            if characters == n || !poll_fn(|cx| self.poll_fill(cx)).await? {
                return Ok(self.take(bytes));
            }
        }
    }

    /// Reads everything up to the end of the file.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was read stays with the file.
    ///
    /// # Errors
    ///
    /// As those of [`read`](Self::read).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let text = aiofiles::open_text("Cargo.toml", "r").await?.read_to_end().await?;
    /// assert!(text.starts_with("[package]"));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "readall")]
    pub async fn read_to_end(&mut self) -> io::Result<String> {
        while poll_fn(|cx| self.poll_fill(cx)).await? {}
        Ok(self.take(self.text.len() - self.at))
    }

    /// Reads a line, with its terminator. The last one may have none, and at the end of the file the string is empty.
    ///
    /// [`lines`](Self::lines) is a stream of lines without their terminators.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was read stays with the file.
    ///
    /// # Errors
    ///
    /// As those of [`read`](Self::read).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.txt");
    /// aiofiles::write(&path, "one\ntwo").await?;
    ///
    /// let mut file = aiofiles::open_text(&path, "r").await?;
    /// assert_eq!(file.readline().await?, "one\n");
    /// assert_eq!(file.readline().await?, "two");
    /// assert_eq!(file.readline().await?, "");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn readline(&mut self) -> io::Result<String> {
        Ok(poll_fn(|cx| self.poll_line(cx)).await?.unwrap_or_default())
    }

    /// Reads lines, with their terminators, up to the end of the file, or until they have more than `hint` characters
    /// together.
    ///
    /// # Cancel safety
    ///
    /// If dropped early, the lines that were read are lost.
    ///
    /// # Errors
    ///
    /// As those of [`read`](Self::read). The lines before the error are lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.txt");
    /// aiofiles::write(&path, "one\ntwo\nthree\n").await?;
    ///
    /// let mut file = aiofiles::open_text(&path, "r").await?;
    /// assert_eq!(file.readlines(Some(4)).await?, ["one\n", "two\n"]);
    /// assert_eq!(file.readlines(None).await?, ["three\n"]);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn readlines(&mut self, hint: Option<usize>) -> io::Result<Vec<String>> {
        let (mut lines, mut characters) = (Vec::new(), 0);
        while hint.is_none_or(|hint| characters <= hint)
            && let Some(line) = poll_fn(|cx| self.poll_line(cx)).await?
        {
            characters += line.chars().count();
            lines.push(line);
        }
        Ok(lines)
    }

    /// Takes the next so many bytes of the text.
    fn take(&mut self, len: usize) -> String {
        let end = self.at + len;
        let taken = if self.at == 0 && end == self.text.len() {
            std::mem::take(&mut self.text)
        } else {
            self.text[self.at..end].to_owned()
        };
        if self.text.is_empty() {
            self.pieces.clear();
            (self.at, self.searched) = (0, 0);
        } else {
            self.at = end;
        }
        taken
    }

    /// The next line, with its terminator; `None` at the end of the file.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<String>>> {
        ready!(self.poll_sought(cx))?;
        let newline = self.options.newline;
        let mut last = false;
        loop {
            let from = self.searched.max(self.at);
            match newline.find(&self.text, from, last) {
                Found::Line { end } => {
                    let line = self.text[self.at..end].to_owned();
                    self.at = end;
                    return Poll::Ready(Ok(Some(line)));
                }
                Found::Not { .. } if last => {
                    let rest = self.take(self.text.len() - self.at);
                    return Poll::Ready(Ok((!rest.is_empty()).then_some(rest)));
                }
                Found::Not { searched } => self.searched = searched,
            }
            last = !ready!(self.poll_fill(cx))?;
        }
    }
}

/// Writing.
impl<F: AsyncBufRead + AsyncWrite + AsyncSeek + Unpin> TextFile<F> {
    /// Writes text, and says how many characters it has. All of it is accepted, however much it is.
    ///
    /// # Cancel safety
    ///
    /// The text may still be written after the future is dropped: as a whole, by the next call on the file.
    ///
    /// # Errors
    ///
    /// * The encoding does not have a character ([`InvalidData`](ErrorKind::InvalidData)). Nothing was accepted.
    /// * Writing to the file failed. What the file did not accept is given up, but for the rest of a character.
    ///
    /// # Examples
    ///
    /// ```
    /// use aiofiles::{Newline, TextOptions};
    ///
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.txt");
    /// let mut file = TextOptions::new().newline(Newline::CrLf).open(&path, "w").await?;
    /// assert_eq!(file.write("é\n").await?, 2);
    /// file.close().await?;
    ///
    /// assert_eq!(aiofiles::read(&path).await?, "é\r\n".as_bytes());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn write(&mut self, text: &str) -> io::Result<usize> {
        poll_fn(|cx| self.poll_in_place(cx)).await?;
        let state = self.mark().await?;
        let TextOptions {
            encoding,
            errors,
            newline,
            ..
        } = self.options;
        let translated = newline.written().map(|end| text.replace('\n', end));
        let text_of_file = translated.as_deref().unwrap_or(text);
        // Only behind a byte order mark, text that is bytes as it is has to be copied.
        let direct = encoding.as_it_is(text_of_file, errors);
        let mut direct = direct.filter(|_| self.out.is_empty());
        if direct.is_none() {
            encoding.encode(text_of_file, errors, state, &mut self.out)?;
        }
        poll_fn(|cx| {
            if let Some(bytes) = direct.take() {
                ready!(self.poll_direct(cx, bytes))?;
            }
            self.poll_out(cx)
        })
        .await?;
        if self.options.line_buffering && text.contains(['\n', '\r']) {
            self.flush().await?;
        }
        Ok(text.chars().count())
    }

    /// Writes one string after another. Nothing is put between them.
    ///
    /// # Cancel safety
    ///
    /// If dropped early, some of the strings were written.
    ///
    /// # Errors
    ///
    /// As those of [`write`](Self::write). The strings before the error were written.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.txt");
    /// let mut file = aiofiles::open_text(&path, "w").await?;
    /// file.writelines(["one\n", "two\n"]).await?;
    /// file.close().await?;
    /// assert_eq!(aiofiles::read_to_string(&path).await?, "one\ntwo\n");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn writelines<T: AsRef<str>>(
        &mut self,
        lines: impl IntoIterator<Item = T>,
    ) -> io::Result<()> {
        for line in lines {
            self.write(line.as_ref()).await?;
        }
        Ok(())
    }

    /// Waits until the operating system has everything.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only waits.
    ///
    /// # Errors
    ///
    /// * Writing to the file failed.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| {
            ready!(self.poll_out(cx))?;
            Pin::new(&mut self.file).poll_flush(cx)
        })
        .await
    }

    /// Writes what was accepted, and closes the file in any case.
    ///
    /// # Cancel safety
    ///
    /// The file is closed all the same if the future is dropped after it was polled and it is a [`File`], unless text of a
    /// write that was dropped was still to be handed over: then closing again goes on with that.
    ///
    /// # Errors
    ///
    /// * Writing to the file, or closing it, failed.
    pub async fn close(&mut self) -> io::Result<()> {
        let written = poll_fn(|cx| self.poll_out(cx)).await;
        let closed = poll_fn(|cx| Pin::new(&mut self.file).poll_close(cx)).await;
        self.forget(State::Begin, false, 0);
        written.and(closed)
    }

    /// Offers these bytes to the file once. If it does not take all of them, they are what is to be handed over, as if
    /// they had been that before.
    fn poll_direct(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<()>> {
        /// Keeps the bytes in the end, also if the file panics.
        struct Kept<'a>(&'a mut Vec<u8>, &'a [u8]);
        impl Drop for Kept<'_> {
            fn drop(&mut self) {
                self.0.extend_from_slice(self.1);
            }
        }

        if bytes.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut kept = Kept(&mut self.out, bytes);
        let error = match ready!(Pin::new(&mut self.file).poll_write(cx, bytes)) {
            Ok(0) => ErrorKind::WriteZero.into(),
            Ok(n) => {
                match n < bytes.len() {
                    true => self.accepted = n,
                    false => kept.1 = &[],
                }
                return Poll::Ready(Ok(()));
            }
            Err(error) => error,
        };
        // Nothing of a character was accepted, so there is no rest of one.
        kept.1 = &[];
        Poll::Ready(Err(error))
    }

    /// Hands over what was not accepted yet.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_sought(cx))?;
        while self.accepted < self.out.len() {
            match ready!(Pin::new(&mut self.file).poll_write(cx, &self.out[self.accepted..])) {
                Ok(0) => {
                    self.give_up();
                    return Poll::Ready(Err(ErrorKind::WriteZero.into()));
                }
                Ok(n) => self.accepted += n,
                Err(error) => {
                    self.give_up();
                    return Poll::Ready(Err(error));
                }
            }
        }
        self.out.clear();
        self.accepted = 0;
        Poll::Ready(Ok(()))
    }

    /// Gives up what was not accepted, but for the rest of a character.
    fn give_up(&mut self) {
        let rest = &self.out[self.accepted..];
        let cut = self.options.encoding.cut(&self.out[..self.accepted], rest);
        self.out.truncate(self.accepted + cut);
    }

    /// Puts the position of the file where that of the text is.
    fn poll_in_place(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(cx))?;
        if self.pieces.is_empty() && self.carry.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let place = self.place();
        self.unfinished = Some(Seek::Back(place.beyond, place.state, place.after_cr));
        self.poll_sought(cx).map_ok(drop)
    }

    /// Brings a seek to its end, if one was begun, and says where that is. A file may make one whose future was dropped,
    /// and then tells it to whoever seeks to the same place; so the text cannot stay where it was.
    fn poll_sought(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let Some(seek) = self.unfinished else {
            return Poll::Ready(Ok(0));
        };
        let to = match seek {
            Seek::Begin => SeekFrom::Start(0),
            Seek::Back(beyond, ..) => SeekFrom::Current(-(beyond as i64)),
            Seek::To(position) => SeekFrom::Start(position.offset()),
            Seek::End => SeekFrom::End(0),
        };
        let sought = ready!(Pin::new(&mut self.file).poll_seek(cx, to));
        self.unfinished = None;
        match (seek, &sought) {
            (Seek::Begin, Ok(_)) => {}
            (Seek::Back(_, state, after_cr), Ok(_)) => self.forget(state, after_cr, 0),
            // What is read and what is written has nothing to do with one another.
            (Seek::Back(..), Err(error)) if has_no_positions(error) => return Poll::Ready(Ok(0)),
            (Seek::To(to), Ok(_)) => {
                self.forget(to.state(), to.after_cr(), to.skip());
                self.writing = None;
            }
            (Seek::End, Ok(end)) => {
                let state = match self.decoder.state {
                    State::Begin if *end > 0 => self.options.encoding.unmarked(),
                    state => state,
                };
                self.forget(state, false, 0);
                self.writing = None;
            }
            (_, Err(_)) => {}
        }
        Poll::Ready(sought)
    }

    /// Puts a byte order mark before the first text of a file that is to have one, and says in which state text is
    /// written.
    async fn mark(&mut self) -> io::Result<State> {
        if let Some(state) = self.writing {
            return Ok(state);
        }
        let encoding = self.options.encoding;
        let state = match self.decoder.state {
            State::Begin => encoding.unmarked(),
            state => state,
        };
        if !encoding.mark().is_empty() {
            let first = match self.seek_file(SeekFrom::Current(0)).await {
                Ok(0) => {
                    // Wherever this is cut, the file goes back to its begin.
                    self.unfinished = Some(Seek::Begin);
                    let end = self.seek_file(SeekFrom::End(0)).await?;
                    poll_fn(|cx| self.poll_sought(cx)).await?;
                    let first = end == 0 || !self.appends;
                    if first {
                        self.decoder.state = state;
                    }
                    first
                }
                Ok(_) => false,
                // What is read has a mark of its own.
                Err(error) if has_no_positions(&error) => true,
                Err(error) => return Err(error),
            };
            if first {
                encoding.encode(encoding.mark(), Errors::Strict, state, &mut self.out)?;
            }
        }
        self.writing = Some(state);
        Ok(state)
    }

    async fn seek_file(&mut self, to: SeekFrom) -> io::Result<u64> {
        poll_fn(|cx| Pin::new(&mut self.file).poll_seek(cx, to)).await
    }
}

/// Positions.
impl<F: AsyncBufRead + AsyncWrite + AsyncSeek + Unpin> TextFile<F> {
    /// The position, for [`seek`](Self::seek).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only asks.
    ///
    /// # Errors
    ///
    /// * The file has no positions.
    /// * What was written before could not be.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.txt");
    /// aiofiles::write(&path, "one\ntwo\n").await?;
    ///
    /// let mut file = aiofiles::open_text(&path, "r").await?;
    /// file.readline().await?;
    /// let second = file.tell().await?;
    /// assert_eq!(second.offset(), 4);
    /// file.read_to_end().await?;
    /// file.seek(second).await?;
    /// assert_eq!(file.readline().await?, "two\n");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "stream_position")]
    pub async fn tell(&mut self) -> io::Result<TextPosition> {
        poll_fn(|cx| self.poll_out(cx)).await?;
        let end = self.seek_file(SeekFrom::Current(0)).await?;
        let place = self.place();
        Ok(TextPosition::new(
            end.saturating_sub(place.beyond),
            place.state,
            place.after_cr,
            place.skip,
        ))
    }

    /// Moves to a position that [`tell`](Self::tell) told, or to [`TextPosition::START`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the position is the old one or the new one.
    ///
    /// # Errors
    ///
    /// * The file has no positions.
    /// * What was written before could not be.
    #[doc(alias = "rewind")]
    pub async fn seek(&mut self, to: TextPosition) -> io::Result<()> {
        poll_fn(|cx| {
            // Polled again, it goes on with its own.
            if !matches!(self.unfinished, Some(Seek::To(own)) if own == to) {
                ready!(self.poll_out(cx))?;
                self.unfinished = Some(Seek::To(to));
            }
            self.poll_sought(cx).map_ok(drop)
        })
        .await
    }

    /// Moves to the end of the file, and tells where that is.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the position is the old one or the new one.
    ///
    /// # Errors
    ///
    /// As those of [`seek`](Self::seek).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.txt");
    /// aiofiles::write(&path, "one\n").await?;
    ///
    /// let mut file = aiofiles::open_text(&path, "r+").await?;
    /// file.seek_to_end().await?;
    /// file.write("two\n").await?;
    /// file.close().await?;
    /// assert_eq!(aiofiles::read_to_string(&path).await?, "one\ntwo\n");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn seek_to_end(&mut self) -> io::Result<TextPosition> {
        let end = poll_fn(|cx| {
            // Polled again, it goes on with its own.
            if !matches!(self.unfinished, Some(Seek::End)) {
                ready!(self.poll_out(cx))?;
                self.unfinished = Some(Seek::End);
            }
            self.poll_sought(cx)
        })
        .await?;
        Ok(TextPosition::new(end, self.decoder.state, false, 0))
    }

    /// Gives the file of bytes back, with its position where that of the text is.
    ///
    /// # Cancel safety
    ///
    /// If dropped early, the file is dropped.
    ///
    /// # Errors
    ///
    /// * What was written before could not be, or the file could not be sought. It is dropped.
    pub async fn detach(mut self) -> io::Result<F> {
        poll_fn(|cx| self.poll_in_place(cx)).await?;
        Ok(self.file)
    }
}

impl<F: SetLen + AsyncBufRead + AsyncWrite + AsyncSeek + Unpin> TextFile<F> {
    /// Cuts the file off at the position, or makes it as long as that.
    ///
    /// # Cancel safety
    ///
    /// The length may still be set after the future is dropped.
    ///
    /// # Errors
    ///
    /// * The file is not open for writing.
    /// * What was written before could not be.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.txt");
    /// aiofiles::write(&path, "one\ntwo\n").await?;
    ///
    /// let mut file = aiofiles::open_text(&path, "r+").await?;
    /// file.readline().await?;
    /// file.truncate().await?;
    /// assert_eq!(file.readline().await?, "");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn truncate(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_in_place(cx)).await?;
        let position = self.seek_file(SeekFrom::Current(0)).await?;
        SetLen::set_len(&mut self.file, position).await
    }
}

/// Files of this crate whose length can be set. [`TextFile::truncate`] is for them.
pub trait SetLen: Sealed {
    /// Sets the length.
    #[doc(hidden)]
    fn set_len(&mut self, size: u64) -> impl Future<Output = io::Result<()>> + Send;
}

#[expect(unnameable_types, reason = "that is what seals it")]
mod private {
    pub trait Sealed {}
}
use private::Sealed;

macro_rules! set_len_of_file {
    ($($file:ty),*) => {$(
        impl Sealed for $file {}

        impl SetLen for $file {
            async fn set_len(&mut self, size: u64) -> io::Result<()> {
                File::set_len(self, size).await
            }
        }
    )*};
}

set_len_of_file!(File, TemporaryFile, NamedTemporaryFile);

impl Sealed for SpooledTemporaryFile {}

impl SetLen for SpooledTemporaryFile {
    async fn set_len(&mut self, size: u64) -> io::Result<()> {
        SpooledTemporaryFile::set_len(self, size).await
    }
}

/// Whether an error says that the file has no positions.
fn has_no_positions(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotSeekable | ErrorKind::Unsupported
    )
}

impl<F: fmt::Debug> fmt::Debug for TextFile<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextFile")
            .field("file", &self.file)
            .field("encoding", &self.options.encoding)
            .field("errors", &self.options.errors)
            .field("newline", &self.options.newline)
            .finish_non_exhaustive()
    }
}
