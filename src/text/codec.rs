//! Bytes to text and back. Pure, and the same however the bytes are cut into pieces.

use std::error::Error;
use std::fmt;
use std::io;
use std::str::FromStr;

/// How a text file writes characters as bytes.
///
/// [`FromStr`] knows the names that Python has for these encodings, in either case and with `-`, `_` or blanks; with the
/// feature `encoding` also the labels of all encodings of the WHATWG standard.
///
/// # Examples
///
/// ```
/// use aiofiles::{Encoding, TextOptions};
///
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a.txt");
/// aiofiles::write(&path, b"caf\xe9").await?;
/// let mut file = TextOptions::new().encoding(Encoding::LATIN_1).open(&path, "r").await?;
/// assert_eq!(file.read_to_end().await?, "café");
///
/// assert_eq!("utf-16".parse::<Encoding>()?, Encoding::UTF_16);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Encoding(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Utf8,
    Utf8Sig,
    Ascii,
    Latin1,
    Utf16,
    Utf16Le,
    Utf16Be,
    #[cfg(feature = "encoding")]
    Other(super::other::Other),
}

impl Encoding {
    /// UTF-8. A byte order mark is a character like others.
    pub const UTF_8: Encoding = Encoding(Kind::Utf8);
    /// UTF-8 with a byte order mark: skipped at the beginning, if it is there, and written at the beginning of a file.
    pub const UTF_8_SIG: Encoding = Encoding(Kind::Utf8Sig);
    /// ASCII: 7 bits.
    pub const ASCII: Encoding = Encoding(Kind::Ascii);
    /// ISO 8859-1: every byte is the character of that number.
    pub const LATIN_1: Encoding = Encoding(Kind::Latin1);
    /// UTF-16 in the order that the byte order mark tells, and in that of this machine where there is none. A mark is
    /// written at the beginning of a file.
    pub const UTF_16: Encoding = Encoding(Kind::Utf16);
    /// UTF-16, the lower byte first. A byte order mark is a character like others.
    pub const UTF_16LE: Encoding = Encoding(Kind::Utf16Le);
    /// UTF-16, the higher byte first. A byte order mark is a character like others.
    pub const UTF_16BE: Encoding = Encoding(Kind::Utf16Be);

    /// The name, as Python has it.
    pub fn name(&self) -> &'static str {
        match self.0 {
            Kind::Utf8 => "utf-8",
            Kind::Utf8Sig => "utf-8-sig",
            Kind::Ascii => "ascii",
            Kind::Latin1 => "latin-1",
            Kind::Utf16 => "utf-16",
            Kind::Utf16Le => "utf-16-le",
            Kind::Utf16Be => "utf-16-be",
            #[cfg(feature = "encoding")]
            Kind::Other(other) => other.name(),
        }
    }

    /// The mark that stands at the beginning of a file.
    pub(super) fn mark(self) -> &'static str {
        match self.0 {
            Kind::Utf8Sig | Kind::Utf16 => "\u{feff}",
            _ => "",
        }
    }

    /// The state of a file without a mark, or beyond it, of which nothing else is known.
    pub(super) fn unmarked(self) -> State {
        match self.0 {
            Kind::Utf16 => NATIVE,
            Kind::Utf16Le => State::Little,
            Kind::Utf16Be => State::Big,
            _ => State::Inside,
        }
    }

    /// How many of the bytes that follow those `before` belong to a character that began there.
    pub(super) fn cut(self, before: &[u8], rest: &[u8]) -> usize {
        match self.0 {
            Kind::Utf8 | Kind::Utf8Sig => {
                let continues = |byte: &&u8| matches!(byte, 0x80..0xc0);
                rest.iter().take_while(continues).count()
            }
            Kind::Utf16 | Kind::Utf16Le | Kind::Utf16Be => before.len() % 2,
            _ => 0,
        }
    }
}

impl fmt::Debug for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoding({})", self.name())
    }
}

impl FromStr for Encoding {
    type Err = io::Error;

    fn from_str(name: &str) -> io::Result<Encoding> {
        let plain = name.trim().to_ascii_lowercase().replace(['_', ' '], "-");
        Ok(Encoding(match &*plain {
            "utf-8" | "utf8" | "u8" | "utf" | "cp65001" => Kind::Utf8,
            "utf-8-sig" | "utf8-sig" => Kind::Utf8Sig,
            "ascii" | "us-ascii" | "646" => Kind::Ascii,
            "latin-1" | "latin1" | "latin" | "l1" | "iso-8859-1" | "iso8859-1" | "8859"
            | "cp819" => Kind::Latin1,
            "utf-16" | "utf16" | "u16" => Kind::Utf16,
            "utf-16-le" | "utf-16le" | "utf16le" | "utf16-le" => Kind::Utf16Le,
            "utf-16-be" | "utf-16be" | "utf16be" | "utf16-be" => Kind::Utf16Be,
            #[cfg(feature = "encoding")]
            label if super::other::Other::of(label).is_some() => {
                super::other::Other::of(label).map_or(Kind::Utf8, Kind::Other)
            }
            _ => {
                let message = format!("unknown encoding `{name}`");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        }))
    }
}

/// What becomes of bytes that are no text in the encoding, and of characters that the encoding does not have.
///
/// # Examples
///
/// ```
/// use aiofiles::{Errors, TextOptions};
///
/// # futures_lite::future::block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a.txt");
/// aiofiles::write(&path, b"caf\xe9!").await?;
///
/// let mut strict = aiofiles::open_text(&path, "r").await?;
/// let error = strict.read_to_end().await.unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
///
/// let mut lenient = TextOptions::new().errors(Errors::Replace).open(&path, "r").await?;
/// assert_eq!(lenient.read_to_end().await?, "caf\u{fffd}!");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Errors {
    /// They are an error of the kind [`InvalidData`](io::ErrorKind::InvalidData), and are not consumed.
    #[default]
    Strict,
    /// They are left out.
    Ignore,
    /// Bytes become `U+FFFD`, characters become `?`.
    Replace,
    /// Bytes become characters that stand for them alone, and become the same bytes when they are written: what is read
    /// and written again stays as it was.
    ///
    /// Python takes lone surrogates, which no `str` can hold. Here, the byte `0x80` is `U+10FF80`, and so on: the last
    /// 256 characters that there are, for private use. Where a file has these characters themselves, each byte of them
    /// is escaped. (Legacy encodings that have several byte sequences for one character give back the usual one.)
    SurrogateEscape,
    /// Bytes become `\xe9`, characters become `\xe9`, `\u20ac` or `\U0001f600`.
    BackslashReplace,
    /// Characters become `&#8364;`. Bytes are an error.
    XmlCharRefReplace,
}

/// The first of the characters that stand for bytes.
const ESCAPES: u32 = 0x10ff00;

/// The byte that this character stands for.
fn escaped(character: char) -> Option<u8> {
    u8::try_from((character as u32).checked_sub(ESCAPES)?).ok()
}

/// The character that stands for this byte.
fn escape(byte: u8) -> char {
    char::from_u32(ESCAPES + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

impl FromStr for Errors {
    type Err = io::Error;

    /// Knows Python's names, such as `"surrogateescape"`.
    fn from_str(name: &str) -> io::Result<Errors> {
        Ok(match name {
            "strict" => Errors::Strict,
            "ignore" => Errors::Ignore,
            "replace" => Errors::Replace,
            "surrogateescape" => Errors::SurrogateEscape,
            "backslashreplace" => Errors::BackslashReplace,
            "xmlcharrefreplace" => Errors::XmlCharRefReplace,
            _ => {
                let message = format!("unknown error policy `{name}`");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        })
    }
}

impl Errors {
    /// Puts something in the place of bytes that are no text. `false` if nothing can be.
    pub(super) fn replace_bytes(self, bytes: &[u8], text: &mut String) -> bool {
        match self {
            Errors::Strict | Errors::XmlCharRefReplace => return false,
            Errors::Ignore => {}
            Errors::Replace => text.push(char::REPLACEMENT_CHARACTER),
            Errors::SurrogateEscape => text.extend(bytes.iter().copied().map(escape)),
            Errors::BackslashReplace => {
                text.extend(bytes.iter().map(|byte| format!("\\x{byte:02x}")));
            }
        }
        true
    }

    /// The byte that this character stands for.
    pub(super) fn escaped(self, character: char) -> Option<u8> {
        escaped(character).filter(|_| self == Errors::SurrogateEscape)
    }

    /// What is written instead of a character that the encoding does not have: ASCII. `None` if nothing can be.
    pub(super) fn replace_character(self, character: char) -> Option<String> {
        Some(match self {
            Errors::Strict | Errors::SurrogateEscape => return None,
            Errors::Ignore => String::new(),
            Errors::Replace => "?".into(),
            Errors::BackslashReplace => match character as u32 {
                number @ ..=0xff => format!("\\x{number:02x}"),
                number @ ..=0xffff => format!("\\u{number:04x}"),
                number => format!("\\U{number:08x}"),
            },
            Errors::XmlCharRefReplace => format!("&#{};", character as u32),
        })
    }
}

/// What the decoder knows from the bytes before: all that is needed to go on in the middle of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// Nothing was decoded: a byte order mark may come.
    #[default]
    Begin,
    /// Something was.
    Inside,
    /// Something was, and its lower bytes come first.
    Little,
    /// Something was, and its higher bytes come first.
    Big,
    /// Something was, and characters mean something else since an escape sequence with this number.
    #[cfg_attr(
        not(feature = "encoding"),
        allow(dead_code, reason = "no encoding does so")
    )]
    Shifted(u8),
}

impl State {
    /// The state after some character.
    pub(super) fn inside(self) -> State {
        match self {
            State::Begin => State::Inside,
            state => state,
        }
    }

    /// A number for the state, below 16.
    pub(super) fn to_bits(self) -> u8 {
        match self {
            State::Begin => 0,
            State::Inside => 1,
            State::Little => 2,
            State::Big => 3,
            State::Shifted(number) => 4 + number,
        }
    }

    pub(super) fn from_bits(bits: u8) -> Option<State> {
        Some(match bits {
            0 => State::Begin,
            1 => State::Inside,
            2 => State::Little,
            3 => State::Big,
            4..=9 => State::Shifted(bits - 4),
            _ => return None,
        })
    }
}

/// The order of the bytes of UTF-16 without a mark.
const NATIVE: State = if cfg!(target_endian = "big") {
    State::Big
} else {
    State::Little
};

/// What came of decoding some bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decoded {
    /// So many bytes are text now. The others are the beginning of a character.
    pub(super) consumed: usize,
    /// So many bytes after these are no text, and the policy has nothing for them.
    pub(super) bad: usize,
    /// The text has the same bytes.
    pub(super) same: bool,
}

/// Decodes bytes, some at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decoder {
    encoding: Encoding,
    errors: Errors,
    pub(super) state: State,
}

impl Decoder {
    pub(super) fn new(encoding: Encoding, errors: Errors) -> Decoder {
        Decoder {
            encoding,
            errors,
            state: State::Begin,
        }
    }

    /// Appends the text of `bytes`, as far as there are whole characters, or wholly if these are the last ones.
    pub(super) fn decode(&mut self, bytes: &[u8], last: bool, text: &mut String) -> Decoded {
        if bytes.is_empty() {
            return Decoded {
                same: true,
                ..Decoded::default()
            };
        }
        // A mark is no text.
        let mut mark = 0;
        if self.state == State::Begin {
            mark = match self.begin(bytes, last) {
                Some(mark) => mark,
                None => return Decoded::default(),
            };
        }
        let (bytes, errors) = (&bytes[mark..], self.errors);
        let mut decoded = match self.encoding.0 {
            Kind::Utf8 | Kind::Utf8Sig => utf_8(bytes, last, errors, text),
            Kind::Ascii => ascii(bytes, errors, text),
            Kind::Latin1 => latin_1(bytes, text),
            Kind::Utf16 | Kind::Utf16Le | Kind::Utf16Be => {
                let unit = match self.state {
                    State::Big => u16::from_be_bytes,
                    _ => u16::from_le_bytes,
                };
                utf_16(bytes, unit, last, errors, text)
            }
            #[cfg(feature = "encoding")]
            Kind::Other(other) => other.decode(bytes, &mut self.state, last, errors, text),
        };
        decoded.same &= mark == 0;
        decoded.consumed += mark;
        decoded
    }

    /// Looks at the very first bytes, and says how many of them are a mark. `None` if more are needed.
    fn begin(&mut self, bytes: &[u8], last: bool) -> Option<usize> {
        let (state, mark) = match self.encoding.0 {
            Kind::Utf8Sig => {
                const MARK: &[u8] = "\u{feff}".as_bytes();
                if bytes.starts_with(MARK) {
                    (State::Inside, MARK.len())
                } else if !last && MARK.starts_with(bytes) {
                    return None;
                } else {
                    (State::Inside, 0)
                }
            }
            Kind::Utf16 => match bytes {
                [0xff, 0xfe, ..] => (State::Little, 2),
                [0xfe, 0xff, ..] => (State::Big, 2),
                [_] if !last => return None,
                _ => (NATIVE, 0),
            },
            _ => (self.encoding.unmarked(), 0),
        };
        self.state = state;
        Some(mark)
    }
}

fn utf_8(bytes: &[u8], last: bool, errors: Errors, text: &mut String) -> Decoded {
    let mut decoded = Decoded {
        same: true,
        ..Decoded::default()
    };
    loop {
        let rest = &bytes[decoded.consumed..];
        let (valid, wrong) = match std::str::from_utf8(rest) {
            Ok(valid) => (valid, None),
            Err(error) => {
                let valid = std::str::from_utf8(&rest[..error.valid_up_to()]).unwrap_or_default();
                let rest = rest.len() - valid.len();
                // A character that is cut short is wrong if nothing can follow.
                (valid, error.error_len().or(last.then_some(rest)))
            }
        };
        if errors == Errors::SurrogateEscape {
            // What looks like an escaped byte is none.
            let mut begin = 0;
            for at in memchr::memmem::find_iter(valid.as_bytes(), b"\xf4\x8f") {
                let character = &valid[at..at + 4];
                if character.chars().next().and_then(escaped).is_some() {
                    text.push_str(&valid[begin..at]);
                    errors.replace_bytes(character.as_bytes(), text);
                    begin = at + 4;
                    decoded.same = false;
                }
            }
            text.push_str(&valid[begin..]);
        } else {
            text.push_str(valid);
        }
        decoded.consumed += valid.len();
        let Some(wrong) = wrong else { return decoded };
        if !errors.replace_bytes(&bytes[decoded.consumed..][..wrong], text) {
            decoded.bad = wrong;
            return decoded;
        }
        decoded.consumed += wrong;
        decoded.same = false;
    }
}

fn ascii(bytes: &[u8], errors: Errors, text: &mut String) -> Decoded {
    let mut decoded = Decoded {
        same: true,
        ..Decoded::default()
    };
    loop {
        let rest = &bytes[decoded.consumed..];
        let valid = match std::str::from_utf8(rest) {
            Ok(all) if all.is_ascii() => all,
            _ => {
                let valid = rest.iter().take_while(|byte| byte.is_ascii()).count();
                std::str::from_utf8(&rest[..valid]).unwrap_or_default()
            }
        };
        text.push_str(valid);
        decoded.consumed += valid.len();
        let Some(wrong) = bytes.get(decoded.consumed) else {
            return decoded;
        };
        if !errors.replace_bytes(&[*wrong], text) {
            decoded.bad = 1;
            return decoded;
        }
        decoded.consumed += 1;
        decoded.same = false;
    }
}

fn latin_1(bytes: &[u8], text: &mut String) -> Decoded {
    let same = bytes.is_ascii();
    match std::str::from_utf8(bytes) {
        Ok(all) if same => text.push_str(all),
        _ => text.extend(bytes.iter().map(|byte| char::from(*byte))),
    }
    Decoded {
        consumed: bytes.len(),
        bad: 0,
        same,
    }
}

fn utf_16(
    bytes: &[u8],
    unit: fn([u8; 2]) -> u16,
    last: bool,
    errors: Errors,
    text: &mut String,
) -> Decoded {
    let mut decoded = Decoded::default();
    loop {
        let rest = &bytes[decoded.consumed..];
        let (character, len) = match *rest {
            [] => return decoded,
            [a, b, ref after @ ..] => match (unit([a, b]), after) {
                (0xd800..0xdc00, [] | [_]) if !last => return decoded,
                // Half a pair and nothing after it.
                (0xd800..0xdc00, [] | [_]) => (None, rest.len()),
                (first @ 0xd800..0xdc00, [c, d, ..]) => {
                    match char::decode_utf16([first, unit([*c, *d])]).next() {
                        Some(Ok(character)) => (Some(character), 4),
                        _ => (None, 2),
                    }
                }
                (first, _) => (char::from_u32(first.into()), 2),
            },
            [_] if !last => return decoded,
            [_] => (None, 1),
        };
        let bytes = &rest[..len];
        // What looks like an escaped byte is none.
        match character.filter(|character| errors.escaped(*character).is_none()) {
            Some(character) => text.push(character),
            None if errors.replace_bytes(bytes, text) => {}
            None => {
                decoded.bad = len;
                return decoded;
            }
        }
        decoded.consumed += len;
    }
}

impl Encoding {
    /// The bytes of `text`, if the encoding has them as they are.
    pub(super) fn as_it_is(self, text: &str, errors: Errors) -> Option<&[u8]> {
        let same = match self.0 {
            Kind::Utf8 | Kind::Utf8Sig => errors != Errors::SurrogateEscape,
            Kind::Ascii | Kind::Latin1 => text.is_ascii(),
            _ => false,
        };
        same.then_some(text.as_bytes())
    }

    /// Appends the bytes of `text` to `out`. An error leaves `out` as it was.
    ///
    /// `state` is that of the decoder of the same file, for the order of bytes.
    pub(super) fn encode(
        self,
        text: &str,
        errors: Errors,
        state: State,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        if let Some(bytes) = self.as_it_is(text, errors) {
            out.extend_from_slice(bytes);
            return Ok(());
        }
        let begin = out.len();
        let wide = |order: fn(u16) -> [u8; 2]| {
            move |character: char, out: &mut Vec<u8>| {
                let units = &mut [0; 2];
                out.extend(
                    character
                        .encode_utf16(units)
                        .iter()
                        .flat_map(|unit| order(*unit)),
                );
                true
            }
        };
        let encoded = match self.0 {
            Kind::Utf8 | Kind::Utf8Sig => each(text, errors, out, |character, out| {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                true
            }),
            Kind::Ascii => each(text, errors, out, |character, out| {
                let ascii = character.is_ascii();
                out.extend(ascii.then_some(character as u8));
                ascii
            }),
            Kind::Latin1 => each(text, errors, out, |character, out| {
                let byte = u8::try_from(character as u32).ok();
                out.extend(byte);
                byte.is_some()
            }),
            Kind::Utf16 | Kind::Utf16Le | Kind::Utf16Be => {
                let big = match (self.0, state) {
                    (Kind::Utf16Le, _) | (_, State::Little) => false,
                    (Kind::Utf16Be, _) | (_, State::Big) => true,
                    _ => NATIVE == State::Big,
                };
                match big {
                    true => each(text, errors, out, wide(u16::to_be_bytes)),
                    false => each(text, errors, out, wide(u16::to_le_bytes)),
                }
            }
            #[cfg(feature = "encoding")]
            Kind::Other(other) => other.encode(text, errors, out),
        };
        encoded.map_err(|character| {
            out.truncate(begin);
            let error = Unencodable {
                encoding: self,
                character,
            };
            io::Error::new(io::ErrorKind::InvalidData, error)
        })
    }
}

/// Appends one character after the other by `push`, which says whether the encoding has it. The error is a character
/// that can be written in no way.
fn each(
    text: &str,
    errors: Errors,
    out: &mut Vec<u8>,
    push: impl Fn(char, &mut Vec<u8>) -> bool,
) -> Result<(), char> {
    for character in text.chars() {
        if let Some(byte) = errors.escaped(character) {
            out.push(byte);
            continue;
        }
        if push(character, out) {
            continue;
        }
        let instead = errors.replace_character(character).ok_or(character)?;
        for character in instead.chars() {
            push(character, out);
        }
    }
    Ok(())
}

/// A character that the encoding does not have.
#[derive(Debug)]
struct Unencodable {
    encoding: Encoding,
    character: char,
}

impl fmt::Display for Unencodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.encoding.name();
        write!(f, "{:?} cannot be written in {name}", self.character)
    }
}

impl Error for Unencodable {}

/// Bytes that are no text in the encoding.
#[derive(Debug)]
struct Undecodable {
    encoding: Encoding,
    bytes: Vec<u8>,
}

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no text in {}:", self.encoding.name())?;
        self.bytes
            .iter()
            .try_for_each(|byte| write!(f, " {byte:02x}"))
    }
}

impl Error for Undecodable {}

impl Encoding {
    /// The error of bytes that are no text.
    pub(super) fn undecodable(self, bytes: &[u8]) -> io::Error {
        let error = Undecodable {
            encoding: self,
            bytes: bytes.to_vec(),
        };
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENCODINGS: [Encoding; 7] = [
        Encoding::UTF_8,
        Encoding::UTF_8_SIG,
        Encoding::ASCII,
        Encoding::LATIN_1,
        Encoding::UTF_16,
        Encoding::UTF_16LE,
        Encoding::UTF_16BE,
    ];

    const POLICIES: [Errors; 6] = [
        Errors::Strict,
        Errors::Ignore,
        Errors::Replace,
        Errors::SurrogateEscape,
        Errors::BackslashReplace,
        Errors::XmlCharRefReplace,
    ];

    fn encodings() -> Vec<Encoding> {
        #[allow(unused_mut, reason = "there are more with the feature")]
        let mut all = ENCODINGS.to_vec();
        #[cfg(feature = "encoding")]
        all.extend(
            [
                "windows-1252",
                "koi8-r",
                "shift_jis",
                "gb18030",
                "big5",
                "euc-kr",
                "iso-2022-jp",
            ]
            .map(|label| label.parse::<Encoding>().expect("it is known")),
        );
        all
    }

    /// The text, and the bytes that are none, as a file comes to it whose bytes arrive in these pieces.
    fn decode(encoding: Encoding, errors: Errors, pieces: &[&[u8]]) -> (String, Vec<u8>) {
        let mut decoder = Decoder::new(encoding, errors);
        let (mut text, mut carry) = (String::new(), Vec::new());
        for (n, piece) in pieces.iter().chain([&&[][..]]).enumerate() {
            carry.extend_from_slice(piece);
            let last = n == pieces.len();
            loop {
                let decoded = decoder.decode(&carry, last, &mut text);
                assert!(decoded.consumed + decoded.bad <= carry.len());
                if decoded.bad > 0 {
                    // What is no text may be found too early to be told in full.
                    carry.drain(..decoded.consumed);
                    return (text, carry[..decoded.bad].to_vec());
                }
                carry.drain(..decoded.consumed);
                if decoded.consumed == 0 || carry.is_empty() {
                    break;
                }
            }
        }
        assert_eq!(carry, b"", "{encoding:?} {errors:?} {pieces:x?}");
        (text, Vec::new())
    }

    /// Bytes that are text in some encoding, and that are none in most.
    fn samples() -> Vec<Vec<u8>> {
        let text = "a\u{feff}é€\u{1f600}\u{10ff80}\u{10ffff}日本語ｱ\nb";
        let mut samples = vec![text.as_bytes().to_vec()];
        for encoding in encodings() {
            let mut bytes = Vec::new();
            let state = encoding.unmarked();
            encoding
                .encode(text, Errors::Ignore, state, &mut bytes)
                .expect("whatever it does not have is left out");
            samples.push(bytes);
        }
        let letters = [
            0x00, 0x0a, 0x1b, 0x24, 0x28, 0x42, 0x41, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0xa0, 0xbb,
            0xbe, 0xbf, 0xc3, 0xd8, 0xdb, 0xdc, 0xdf, 0xe2, 0xef, 0xf0, 0xf4, 0xfe, 0xff,
        ];
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let len = rng.usize(..9);
            samples.push(
                (0..len)
                    .map(|_| letters[rng.usize(..letters.len())])
                    .collect(),
            );
        }
        samples
    }

    #[test]
    fn every_split_of_every_input_gives_the_same_text() {
        for bytes in samples() {
            for (encoding, errors) in encodings()
                .into_iter()
                .flat_map(|encoding| POLICIES.map(|errors| (encoding, errors)))
            {
                let whole = decode(encoding, errors, &[&bytes]);
                for first in 0..=bytes.len() {
                    for second in first..=bytes.len() {
                        let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                        let found = decode(encoding, errors, &pieces);
                        assert_eq!(found, whole, "{encoding:?} {errors:?} {pieces:x?}");
                    }
                }
            }
        }
    }

    #[test]
    fn escaped_bytes_come_back() {
        for bytes in samples() {
            // The others have several bytes for some characters.
            for encoding in ENCODINGS {
                let mut decoder = Decoder::new(encoding, Errors::SurrogateEscape);
                let mut text = String::new();
                let decoded = decoder.decode(&bytes, true, &mut text);
                assert_eq!((decoded.consumed, decoded.bad), (bytes.len(), 0));
                let mut found = Vec::new();
                encoding
                    .encode(&text, Errors::SurrogateEscape, decoder.state, &mut found)
                    .expect("it came from there");
                // A mark is no text.
                let mark = bytes.len() - found.len().min(bytes.len());
                assert!(mark <= 3 && mark <= encoding.mark().len());
                assert_eq!(found, bytes[mark..], "{encoding:?} {text:?}");
            }
        }
    }

    #[test]
    fn text_comes_back_from_every_encoding_that_has_it() {
        for encoding in encodings() {
            let text = "plain text, é, €, 日本 and \u{1f600}";
            for text in text.split_inclusive(", ") {
                let mut bytes = Vec::new();
                let state = encoding.unmarked();
                if encoding
                    .encode(text, Errors::Strict, state, &mut bytes)
                    .is_err()
                {
                    assert_eq!(bytes, b"");
                    continue;
                }
                let mut found = String::new();
                let mut decoder = Decoder::new(encoding, Errors::Strict);
                decoder.state = state;
                let decoded = decoder.decode(&bytes, true, &mut found);
                assert_eq!(
                    (decoded.consumed, &*found),
                    (bytes.len(), text),
                    "{encoding:?}"
                );
                assert!(!decoded.same || found.as_bytes() == bytes);
            }
        }
    }

    #[test]
    fn names_lead_to_encodings() {
        for encoding in encodings() {
            assert_eq!(encoding.name().parse::<Encoding>().ok(), Some(encoding));
        }
        for (name, encoding) in [
            ("UTF8", Encoding::UTF_8),
            ("U8", Encoding::UTF_8),
            ("utf_8_sig", Encoding::UTF_8_SIG),
            ("US-ASCII", Encoding::ASCII),
            ("iso-8859-1", Encoding::LATIN_1),
            ("L1", Encoding::LATIN_1),
            ("utf16", Encoding::UTF_16),
            ("UTF-16LE", Encoding::UTF_16LE),
        ] {
            assert_eq!(name.parse::<Encoding>().ok(), Some(encoding), "{name}");
        }
        for name in ["", "utf-9", "utf-8\0", "replacement"] {
            let error = name.parse::<Encoding>().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }
}
