//! The ends of lines: found, translated and counted. Pure, and the same however the text is cut into pieces.

use std::fmt;

/// Which ends of lines a text file knows, and what they become.
///
/// # Examples
///
/// ```
/// use aiofiles::{Newline, TextFile, TextOptions};
///
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a.txt");
/// aiofiles::write(&path, "one\r\ntwo\rthree").await?;
///
/// let mut file = TextOptions::new().open(&path, "r").await?;
/// assert_eq!(file.read_to_end().await?, "one\ntwo\nthree");
///
/// let mut file = TextOptions::new().newline(Newline::Keep).open(&path, "r").await?;
/// assert_eq!(file.readline().await?, "one\r\n");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Newline {
    /// Read: `\n`, `\r` and `\r\n` end lines, and all become `\n`. Write: `\n` becomes what the system uses, `\r\n` on
    /// Windows and `\n` elsewhere. Python's `newline=None`.
    #[default]
    Universal,
    /// Read: `\n`, `\r` and `\r\n` end lines, and stay as they are. Write: nothing is changed. Python's `newline=""`.
    Keep,
    /// Only `\n` ends lines, and nothing is changed.
    Lf,
    /// Read: only `\r` ends lines, and nothing is changed. Write: `\n` becomes `\r`.
    Cr,
    /// Read: only `\r\n` ends lines, and nothing is changed. Write: `\n` becomes `\r\n`.
    CrLf,
}

impl Newline {
    /// What a line feed becomes when it is written, if it does not stay one.
    pub(super) fn written(self) -> Option<&'static str> {
        match self {
            Newline::Universal if cfg!(windows) => Some("\r\n"),
            Newline::Universal | Newline::Keep | Newline::Lf => None,
            Newline::Cr => Some("\r"),
            Newline::CrLf => Some("\r\n"),
        }
    }

    /// Finds the end of the first line in `text`, looking from `from` on, where the end of the line is known not to lie
    /// before. `last` says that nothing follows.
    pub(super) fn find(self, text: &str, from: usize, last: bool) -> Found {
        let bytes = text.as_bytes();
        let rest = &bytes[from..];
        let end = match self {
            Newline::Universal | Newline::Lf => memchr::memchr(b'\n', rest).map(|at| at + 1),
            Newline::Cr => memchr::memchr(b'\r', rest).map(|at| at + 1),
            Newline::CrLf => memchr::memmem::find(rest, b"\r\n").map(|at| at + 2),
            Newline::Keep => match memchr::memchr2(b'\n', b'\r', rest) {
                Some(at) if rest[at] == b'\n' => Some(at + 1),
                Some(at) => match rest.get(at + 1) {
                    Some(b'\n') => Some(at + 2),
                    Some(_) => Some(at + 1),
                    None if last => Some(at + 1),
                    // A line feed may follow.
                    None => {
                        return Found::Not {
                            searched: from + at,
                        };
                    }
                },
                None => None,
            },
        };
        match end {
            Some(end) => Found::Line { end: from + end },
            None => {
                // The last byte may be the first half of an end.
                let half = usize::from(self == Newline::CrLf && rest.ends_with(b"\r"));
                Found::Not {
                    searched: bytes.len() - half,
                }
            }
        }
    }

    /// How many bytes at the end of `line` are its terminator.
    pub(super) fn terminator(self, line: &str) -> usize {
        let ends = |end: &str| line.ends_with(end).then_some(end.len());
        match self {
            Newline::Universal | Newline::Lf => ends("\n"),
            Newline::Cr => ends("\r"),
            Newline::CrLf => ends("\r\n"),
            Newline::Keep => ends("\r\n").or(ends("\n")).or(ends("\r")),
        }
        .unwrap_or(0)
    }
}

/// Where a line ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Before this byte.
    Line { end: usize },
    /// Not in this text. Up to `searched` there is no need to look again.
    Not { searched: usize },
}

/// The kinds of ends of lines that a text file has come across.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a.txt");
/// aiofiles::write(&path, "one\r\ntwo\n").await?;
///
/// let mut file = aiofiles::open_text(&path, "r").await?;
/// assert_eq!(file.newlines().to_string(), "none");
/// file.read_to_end().await?;
/// assert!(file.newlines().lf && file.newlines().crlf && !file.newlines().cr);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Newlines {
    /// `\n` alone.
    pub lf: bool,
    /// `\r` alone.
    pub cr: bool,
    /// `\r\n`.
    pub crlf: bool,
}

impl fmt::Display for Newlines {
    /// `none`, or the kinds: `\r\n, \n`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [(self.cr, r"\r"), (self.lf, r"\n"), (self.crlf, r"\r\n")];
        let mut seen = kinds.iter().filter(|(seen, _)| *seen);
        match seen.next() {
            None => f.write_str("none"),
            Some((_, first)) => {
                f.write_str(first)?;
                seen.try_for_each(|(_, kind)| write!(f, ", {kind}"))
            }
        }
    }
}

/// Translates the ends of lines in what is read, piece by piece.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Translator {
    newline: Newline,
    /// The last piece ended with a carriage return, which was translated already; a line feed now belongs to it.
    pub(super) after_cr: bool,
    pub(super) seen: Newlines,
}

impl Translator {
    pub(super) fn new(newline: Newline) -> Translator {
        Translator {
            newline,
            ..Translator::default()
        }
    }

    /// Translates what stands in `text` from `from` on. `true` if that changed it.
    pub(super) fn translate(&mut self, text: &mut String, from: usize) -> bool {
        let translates = match self.newline {
            Newline::Universal => true,
            Newline::Keep => false,
            // Nothing is changed, and nothing counted.
            Newline::Lf | Newline::Cr | Newline::CrLf => return false,
        };
        let piece = &text.as_bytes()[from..];
        if piece.is_empty() {
            return false;
        }
        if !self.after_cr && memchr::memchr(b'\r', piece).is_none() {
            self.seen.lf = self.seen.lf || memchr::memchr(b'\n', piece).is_some();
            return false;
        }

        // A carriage return is translated at once. Which kind it was shows with what follows.
        let mut translated = String::with_capacity(piece.len());
        let mut begin = from;
        for at in memchr::memchr2_iter(b'\n', b'\r', piece).map(|at| from + at) {
            if self.after_cr {
                self.after_cr = false;
                if at == begin && text.as_bytes()[at] == b'\n' {
                    self.seen.crlf = true;
                    begin += 1;
                    continue;
                }
                self.seen.cr = true;
            }
            translated.push_str(&text[begin..at]);
            begin = at + 1;
            if text.as_bytes()[at] == b'\r' {
                self.after_cr = true;
            } else {
                self.seen.lf = true;
            }
            translated.push('\n');
        }
        if self.after_cr && begin < text.len() {
            self.after_cr = false;
            self.seen.cr = true;
        }
        if !translates {
            return false;
        }
        translated.push_str(&text[begin..]);
        text.truncate(from);
        text.push_str(&translated);
        true
    }

    /// Nothing follows: a carriage return that stood last was alone.
    pub(super) fn end(&mut self) {
        if self.after_cr {
            self.after_cr = false;
            self.seen.cr = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words over these are all that matters, with a character of two bytes for a good measure.
    const LETTERS: [char; 4] = ['\r', '\n', 'a', 'é'];

    fn each_text(longest: usize) -> impl Iterator<Item = String> {
        (0..=longest).flat_map(|len| {
            (0..LETTERS.len().pow(len as u32)).map(move |mut number| {
                let letter = |_| {
                    let letter = LETTERS[number % LETTERS.len()];
                    number /= LETTERS.len();
                    letter
                };
                (0..len).map(letter).collect()
            })
        })
    }

    /// What Python's table says.
    fn expected(text: &str) -> (String, Newlines) {
        let alone = text.replace("\r\n", "");
        let seen = Newlines {
            lf: alone.contains('\n'),
            cr: alone.contains('\r'),
            crlf: text.contains("\r\n"),
        };
        (text.replace("\r\n", "\n").replace('\r', "\n"), seen)
    }

    #[test]
    fn every_split_of_every_text_is_translated_alike() {
        for text in each_text(6) {
            let (translated, seen) = expected(&text);
            let cuts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            let cuts = cuts.collect::<Vec<_>>();
            for (n, first) in cuts.iter().enumerate() {
                for second in &cuts[n..] {
                    let pieces = [&text[..*first], &text[*first..*second], &text[*second..]];
                    for newline in [Newline::Universal, Newline::Keep, Newline::Cr] {
                        let mut translator = Translator::new(newline);
                        let mut out = String::new();
                        for piece in pieces {
                            let from = out.len();
                            out.push_str(piece);
                            translator.translate(&mut out, from);
                        }
                        translator.end();
                        let (expected, expected_seen) = match newline {
                            Newline::Universal => (&translated, seen),
                            Newline::Keep => (&text, seen),
                            _ => (&text, Newlines::default()),
                        };
                        assert_eq!(&out, expected, "{newline:?} {pieces:?}");
                        assert_eq!(translator.seen, expected_seen, "{newline:?} {pieces:?}");
                    }
                }
            }
        }
    }

    /// Splits at the ends of lines, and keeps them: the plain way, one character after another.
    fn plain_lines(newline: Newline, text: &str) -> Vec<String> {
        let mut lines = vec![String::new()];
        let mut rest = text.chars().peekable();
        while let Some(letter) = rest.next() {
            let line = lines.last_mut().expect("there is one");
            line.push(letter);
            let ends = match newline {
                Newline::Universal | Newline::Lf => letter == '\n',
                Newline::Cr => letter == '\r',
                Newline::CrLf => line.ends_with("\r\n"),
                Newline::Keep if letter == '\r' => {
                    line.extend(rest.next_if_eq(&'\n'));
                    true
                }
                Newline::Keep => letter == '\n',
            };
            if ends {
                lines.push(String::new());
            }
        }
        lines.retain(|line| !line.is_empty());
        lines
    }

    #[test]
    fn lines_are_found_however_the_text_comes() {
        let all = [
            Newline::Universal,
            Newline::Keep,
            Newline::Lf,
            Newline::Cr,
            Newline::CrLf,
        ];
        for (newline, text) in all.iter().flat_map(|n| each_text(6).map(move |t| (*n, t))) {
            let expected = plain_lines(newline, &text);
            // It comes character by character.
            let (mut begin, mut searched, mut lines) = (0, 0, Vec::new());
            let mut ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
            let mut len = 0;
            loop {
                let last = len == text.len();
                match newline.find(&text[..len], searched, last) {
                    Found::Line { end } => {
                        lines.push(text[begin..end].to_owned());
                        (begin, searched) = (end, end);
                    }
                    Found::Not { .. } if last => break,
                    Found::Not { searched: found } => {
                        assert!(found >= searched);
                        searched = found;
                        len = ends.next().unwrap_or(text.len());
                    }
                }
            }
            if begin < text.len() {
                lines.push(text[begin..].to_owned());
            }
            assert_eq!(lines, expected, "{newline:?} {text:?}");
            for line in &lines {
                let terminator = newline.terminator(line);
                assert_eq!(
                    plain_lines(newline, &line[..line.len() - terminator]).len(),
                    usize::from(line.len() > terminator)
                );
            }
        }
    }
}
