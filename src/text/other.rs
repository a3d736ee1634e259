//! The encodings of `encoding_rs`.

use encoding_rs::{DecoderResult, EncoderResult, Encoding, ISO_2022_JP};

use super::Errors;
use super::codec::{Decoded, State};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Other(&'static Encoding);

/// What ISO-2022-JP can shift to: the escape sequences, of which the last one counts.
const SHIFTS: [&[u8]; 5] = [b"\x1b(B", b"\x1b(J", b"\x1b(I", b"\x1b$@", b"\x1b$B"];

impl Other {
    /// The encoding that has this label, unless it is one of ours, or none that can be written.
    pub(super) fn of(label: &str) -> Option<Other> {
        let encoding = Encoding::for_label_no_replacement(label.as_bytes())?;
        let writes = encoding.output_encoding() == encoding;
        (writes && encoding != encoding_rs::UTF_8).then_some(Other(encoding))
    }

    pub(super) fn name(self) -> &'static str {
        self.0.name()
    }

    /// Appends the text of `bytes`, as far as there are whole characters.
    pub(super) fn decode(
        self,
        bytes: &[u8],
        state: &mut State,
        last: bool,
        errors: Errors,
        text: &mut String,
    ) -> Decoded {
        let begin = text.len();
        let mut decoded = Decoded::default();
        loop {
            let rest = &bytes[decoded.consumed..];
            let from = text.len();
            let (mut consumed, mut bad) = self.decode_valid(rest, *state, last, text);
            let looks_escaped = |character| errors.escaped(character).is_some();
            if errors == Errors::SurrogateEscape && text[from..].contains(looks_escaped) {
                // What looks like an escaped byte is none. Find the first: how many bytes do not have it yet?
                let (mut without, mut with) = (0, rest.len());
                while with - without > 1 {
                    let middle = without + (with - without) / 2;
                    text.truncate(from);
                    self.decode_valid(&rest[..middle], *state, false, text);
                    match text[from..].contains(looks_escaped) {
                        true => with = middle,
                        false => without = middle,
                    }
                }
                text.truncate(from);
                (consumed, _) = self.decode_valid(&rest[..without], *state, false, text);
                bad = with - consumed;
            }
            self.shift(state, &rest[..consumed]);
            decoded.consumed += consumed;
            if bad == 0 {
                break;
            }
            if !errors.replace_bytes(&rest[consumed..][..bad], text) {
                decoded.bad = bad;
                break;
            }
            decoded.consumed += bad;
        }
        decoded.same = text.as_bytes()[begin..] == bytes[..decoded.consumed];
        decoded
    }

    /// Appends text up to the first bytes that are none, and says how many bytes became text, and how many after them
    /// are none.
    fn decode_valid(
        self,
        bytes: &[u8],
        state: State,
        last: bool,
        text: &mut String,
    ) -> (usize, usize) {
        let mut decoder = self.0.new_decoder_without_bom_handling();
        // Between two characters only ISO-2022-JP has a state.
        if let State::Shifted(number) = state
            && !bytes.starts_with(b"\x1b")
        {
            let mut none = String::with_capacity(16);
            let shift = SHIFTS[usize::from(number)];
            let _ = decoder.decode_to_string_without_replacement(shift, &mut none, false);
        }
        let mut read = 0;
        loop {
            let rest = &bytes[read..];
            let room = decoder.max_utf8_buffer_length_without_replacement(rest.len());
            text.reserve(room.unwrap_or(4 * rest.len() + 16));
            let (result, n) = decoder.decode_to_string_without_replacement(rest, text, false);
            read += n;
            match result {
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(len, beyond) => {
                    let consumed = read - usize::from(beyond) - usize::from(len);
                    return (consumed, usize::from(len));
                }
                DecoderResult::InputEmpty => break,
            }
        }
        // What remains is the beginning of a character, or nothing.
        let mut none = String::with_capacity(16);
        match decoder.decode_to_string_without_replacement(&[], &mut none, true) {
            (DecoderResult::Malformed(len, beyond), _) => {
                let cut = (usize::from(len) + usize::from(beyond)).min(bytes.len());
                let bad = if last { cut } else { 0 };
                (bytes.len() - cut, bad)
            }
            _ => (bytes.len(), 0),
        }
    }

    /// Takes note of the last escape sequence in `bytes`.
    fn shift(self, state: &mut State, bytes: &[u8]) {
        if self.0 != ISO_2022_JP {
            return;
        }
        for at in memchr::memrchr_iter(b'\x1b', bytes) {
            let shift = SHIFTS
                .iter()
                .position(|shift| bytes[at..].starts_with(shift));
            if let Some(number) = shift {
                *state = State::Shifted(number as u8);
                return;
            }
        }
    }

    /// Appends the bytes of `text`. The error is a character that can be written in no way.
    pub(super) fn encode(self, text: &str, errors: Errors, out: &mut Vec<u8>) -> Result<(), char> {
        let mut encoder = self.0.new_encoder();
        let mut rest = text;
        loop {
            // Characters that stand for bytes are written as these, also where the encoding has them.
            let end = rest.find(|character| errors.escaped(character).is_some());
            let last = end.is_none();
            let mut piece = &rest[..end.unwrap_or(rest.len())];
            loop {
                let room = encoder.max_buffer_length_from_utf8_without_replacement(piece.len());
                out.reserve(room.unwrap_or(4 * piece.len() + 16));
                let (result, read) =
                    encoder.encode_from_utf8_to_vec_without_replacement(piece, out, last);
                piece = &piece[read..];
                match result {
                    EncoderResult::InputEmpty => break,
                    EncoderResult::OutputFull => {}
                    EncoderResult::Unmappable(character) => {
                        let instead = errors.replace_character(character).ok_or(character)?;
                        out.reserve(instead.len() + 16);
                        let _ = encoder
                            .encode_from_utf8_to_vec_without_replacement(&instead, out, false);
                    }
                }
            }
            let Some(end) = end else { return Ok(()) };
            let mut after = rest[end..].chars();
            out.extend(after.next().and_then(|character| errors.escaped(character)));
            rest = after.as_str();
        }
    }
}
