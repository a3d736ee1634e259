//! Which backend is asked for: by the environment, and by whoever built the crate.

use std::sync::OnceLock;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Each operation goes where it is fastest.
    Auto,
    /// Everything goes to the thread pool.
    Pool,
    /// Everything that io_uring has an operation for goes through it.
    Uring,
    /// A word that means nothing; treated as [`Wish::Auto`].
    Unknown(String),
}

impl Wish {
    /// The wish of the variable `AIOFILES_BACKEND`, or else of the build. The environment is read once.
    pub(super) fn of_process() -> &'static Wish {
        static WISH: OnceLock<Wish> = OnceLock::new();
        WISH.get_or_init(|| {
            let word = std::env::var_os("AIOFILES_BACKEND").filter(|word| !word.is_empty());
            let word = word.map(|word| word.to_string_lossy().into_owned());
            match word.as_deref().or(option_env!("AIOFILES_DEFAULT_BACKEND")) {
                Some(word) => Wish::from_word(word),
                None => Wish::Auto,
            }
        })
    }

    /// The words of Python's `caio` are known too.
    fn from_word(word: &str) -> Wish {
        match word {
            "" | "auto" => Wish::Auto,
            "pool" | "thread" | "python" => Wish::Pool,
            "uring" => Wish::Uring,
            unknown => Wish::Unknown(unknown.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wishes() {
        assert_eq!(Wish::from_word("auto"), Wish::Auto);
        assert_eq!(Wish::from_word(""), Wish::Auto);
        assert_eq!(Wish::from_word("thread"), Wish::Pool);
        assert_eq!(Wish::from_word("pool"), Wish::Pool);
        assert_eq!(Wish::from_word("uring"), Wish::Uring);
        assert_eq!(Wish::from_word("linux"), Wish::Unknown("linux".to_owned()));
    }
}
