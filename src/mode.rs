//! Mode strings, as C and Python have them: `"r"`, `"w+"`, `"ab"`.

use std::fmt;
use std::io;
use std::str::FromStr;

use crate::open::OpenOptions;

/// How a file is to be opened, as a string of letters says it.
///
/// It has exactly one of
///
/// * `r`: an existing file, for reading,
/// * `w`: for writing; the file is created if it does not exist, and truncated if it does,
/// * `x`: for writing; the file is created, and must not exist,
/// * `a`: for writing at the end, wherever that is at the moment of each write; the file is created if it does not
///   exist,
///
/// with `+` for the other direction as well, and `b` for bytes or `t` for text. The order of the letters does not matter.
///
/// # Examples
///
/// ```
/// use aiofiles::Mode;
///
/// let mode: Mode = "rb+".parse()?;
/// assert!(mode.readable() && mode.writable());
/// assert_eq!(mode.to_string(), "rb+");
///
/// let error = "rw".parse::<Mode>().unwrap_err();
/// assert_eq!(error.to_string(), "invalid mode `rw`: `r` and `w` exclude each other");
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mode {
    action: Action,
    update: bool,
    form: Option<Form>,
}

/// What is done with the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    Read,
    Write,
    Create,
    Append,
}

/// What the file is a sequence of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    Bytes,
    Text,
}

impl Action {
    fn letter(self) -> char {
        match self {
            Action::Read => 'r',
            Action::Write => 'w',
            Action::Create => 'x',
            Action::Append => 'a',
        }
    }
}

impl Form {
    fn letter(self) -> char {
        match self {
            Form::Bytes => 'b',
            Form::Text => 't',
        }
    }
}

impl Mode {
    /// Whether the file can be read.
    pub fn readable(&self) -> bool {
        self.update || self.action == Action::Read
    }

    /// Whether the file can be written.
    pub fn writable(&self) -> bool {
        self.update || self.action != Action::Read
    }

    /// Whether every write goes to the end of the file.
    pub fn appends(&self) -> bool {
        self.action == Action::Append
    }

    /// Whether the letter `b` is there.
    pub fn is_bytes(&self) -> bool {
        self.form == Some(Form::Bytes)
    }

    /// Whether the letter `t` is there.
    pub fn is_text(&self) -> bool {
        self.form == Some(Form::Text)
    }

    /// The options that mean the same.
    ///
    /// # Examples
    ///
    /// ```
    /// use aiofiles::Mode;
    ///
    /// # futures_lite::future::block_on(async {
    /// let mode: Mode = "r".parse()?;
    /// let file = mode.options().buffer_size(4096).open("Cargo.toml").await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn options(&self) -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(self.readable());
        match self.action {
            Action::Read => options.write(self.update),
            Action::Write => options.write(true).create(true).truncate(true),
            Action::Create => options.write(true).create_new(true),
            Action::Append => options.append(true).create(true),
        };
        options
    }

    /// The mode of a file of bytes.
    pub(crate) fn of_bytes(mode: &str) -> io::Result<Mode> {
        let mode = mode.parse::<Mode>()?;
        match mode.form {
            Some(Form::Text) => Err(invalid(&mode, "it is one of text; use `open_text`")),
            _ => Ok(mode),
        }
    }

    /// The mode of a file of text.
    pub(crate) fn of_text(mode: &str) -> io::Result<Mode> {
        let mode = mode.parse::<Mode>()?;
        match mode.form {
            Some(Form::Bytes) => Err(invalid(&mode, "it is one of bytes; use `open`")),
            _ => Ok(mode),
        }
    }
}

fn invalid(mode: &dyn fmt::Display, why: impl fmt::Display) -> io::Error {
    let message = format!("invalid mode `{mode}`: {why}");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

impl FromStr for Mode {
    type Err = io::Error;

    fn from_str(mode: &str) -> io::Result<Mode> {
        let mut action: Option<Action> = None;
        let mut form: Option<Form> = None;
        let mut update = false;
        let twice = |letter: char| invalid(&mode, format_args!("`{letter}` stands there twice"));
        let both = |one: char, other: char| {
            invalid(
                &mode,
                format_args!("`{one}` and `{other}` exclude each other"),
            )
        };
        for letter in mode.chars() {
            let (new_action, new_form) = match letter {
                'r' => (Some(Action::Read), None),
                'w' => (Some(Action::Write), None),
                'x' => (Some(Action::Create), None),
                'a' => (Some(Action::Append), None),
                'b' => (None, Some(Form::Bytes)),
                't' => (None, Some(Form::Text)),
                '+' if update => return Err(twice('+')),
                '+' => {
                    update = true;
                    continue;
                }
                other => {
                    return Err(invalid(
                        &mode,
                        format_args!("{other:?} is none of its letters"),
                    ));
                }
            };
            let former = match new_action {
                Some(_) => action.map(Action::letter),
                None => form.map(Form::letter),
            };
            match former {
                Some(former) if former == letter => return Err(twice(letter)),
                Some(former) => return Err(both(former, letter)),
                None => {}
            }
            action = action.or(new_action);
            form = form.or(new_form);
        }
        let Some(action) = action else {
            return Err(invalid(&mode, "it needs one of `r`, `w`, `x` and `a`"));
        };
        Ok(Mode {
            action,
            update,
            form,
        })
    }
}

impl fmt::Display for Mode {
    /// The letters in the order of Python's files: `rb+`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.action.letter())?;
        if let Some(form) = self.form {
            write!(f, "{}", form.letter())?;
        }
        if self.update {
            write!(f, "+")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_string_of_letters_is_a_mode_or_none() {
        const LETTERS: [char; 8] = ['r', 'w', 'x', 'a', 'b', 't', '+', 'U'];
        let longer = |text: &String| LETTERS.map(|letter| format!("{text}{letter}"));
        let mut texts = vec![String::new()];
        for begin in [0, 1, 9, 73] {
            texts.extend(texts[begin..].iter().flat_map(longer).collect::<Vec<_>>());
        }
        for text in texts {
            let has = |letter: char| text.contains(letter);
            let count = |letters: &str| text.matches(|letter| letters.contains(letter)).count();
            let valid = count("rwxa") == 1 && count("bt") <= 1 && count("+") <= 1 && !has('U');
            let mode = match text.parse::<Mode>() {
                Ok(mode) => mode,
                Err(error) => {
                    assert!(!valid, "{text}");
                    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
                    let begin = format!("invalid mode `{text}`: ");
                    assert!(error.to_string().starts_with(&begin), "{error}");
                    continue;
                }
            };
            assert!(valid, "{text}");
            assert_eq!(mode.readable(), has('r') || has('+'), "{text}");
            assert_eq!(mode.writable(), !has('r') || has('+'), "{text}");
            assert_eq!(mode.appends(), has('a'), "{text}");
            assert_eq!(mode.is_bytes(), has('b'), "{text}");
            assert_eq!(mode.is_text(), has('t'), "{text}");
            let shown = LETTERS.into_iter().filter(|letter| has(*letter));
            assert_eq!(mode.to_string(), shown.collect::<String>());
            assert_eq!(Mode::of_bytes(&text).is_ok(), !has('t'), "{text}");
            assert_eq!(Mode::of_text(&text).is_ok(), !has('b'), "{text}");
        }
    }

    #[test]
    fn an_error_says_what_is_wrong() {
        for (text, why) in [
            ("", "it needs one of `r`, `w`, `x` and `a`"),
            ("b+", "it needs one of `r`, `w`, `x` and `a`"),
            ("rr", "`r` stands there twice"),
            ("rbb", "`b` stands there twice"),
            ("r++", "`+` stands there twice"),
            ("rw", "`r` and `w` exclude each other"),
            ("tab", "`t` and `b` exclude each other"),
            ("rU", "'U' is none of its letters"),
        ] {
            let error = text.parse::<Mode>().unwrap_err().to_string();
            assert_eq!(error, format!("invalid mode `{text}`: {why}"));
        }
    }
}
