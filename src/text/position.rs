//! Where a text file is.

use super::codec::State;

/// A position in a text file, as [`TextFile::tell`](super::TextFile::tell) tells it.
///
/// It is more than an offset: where characters have no fixed length, reading cannot go on from any byte. Keep it for
/// [`TextFile::seek`](super::TextFile::seek), of the same file with the same options.
///
/// # Examples
///
/// ```
/// use aiofiles::TextPosition;
///
/// let position = TextPosition::START;
/// assert_eq!(position.offset(), 0);
/// assert_eq!(TextPosition::from_bits(position.to_bits()), Some(position));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TextPosition {
    offset: u64,
    skip: u32,
    state: State,
    after_cr: bool,
}

impl TextPosition {
    /// The beginning of every file.
    pub const START: TextPosition = TextPosition {
        offset: 0,
        skip: 0,
        state: State::Begin,
        after_cr: false,
    };

    pub(super) fn new(offset: u64, state: State, after_cr: bool, skip: usize) -> TextPosition {
        TextPosition {
            offset,
            // It is inside of what one character became.
            skip: skip as u32,
            state,
            after_cr,
        }
    }

    /// The offset in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn after_cr(&self) -> bool {
        self.after_cr
    }

    pub(super) fn skip(&self) -> usize {
        self.skip as usize
    }

    /// All of it as a number, to be kept elsewhere.
    pub fn to_bits(self) -> u128 {
        u128::from(self.offset)
            | u128::from(self.skip) << 64
            | u128::from(self.state.to_bits()) << 96
            | u128::from(self.after_cr) << 104
    }

    /// The position of which [`to_bits`](Self::to_bits) gave the number; `None` if there is no such position.
    pub fn from_bits(bits: u128) -> Option<TextPosition> {
        Some(TextPosition {
            offset: bits as u64,
            skip: (bits >> 64) as u32,
            state: State::from_bits((bits >> 96) as u8)?,
            after_cr: match bits >> 104 {
                0 => false,
                1 => true,
                _ => return None,
            },
        })
    }
}
