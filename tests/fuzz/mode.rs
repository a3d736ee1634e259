//! Mode strings: which are valid, what they mean, and that they are written as they are read.
#![no_main]

use aiofiles::Mode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let count = |letters: &str| {
        text.chars()
            .filter(|letter| letters.contains(*letter))
            .count()
    };
    let is_valid = text.chars().all(|letter| "rwxabt+".contains(letter))
        && count("rwxa") == 1
        && count("bt") <= 1
        && count("+") <= 1;
    let mode = match text.parse::<Mode>() {
        Ok(mode) => mode,
        Err(error) => {
            assert!(!is_valid, "{text:?} is valid, and was refused: {error}");
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
            return;
        }
    };
    assert!(
        is_valid,
        "{text:?} is not valid, and was taken for {mode:?}"
    );

    let has = |letter| text.contains(letter);
    assert_eq!(mode.readable(), has('r') || has('+'));
    assert_eq!(mode.writable(), !has('r') || has('+'));
    assert_eq!(mode.appends(), has('a'));
    assert_eq!(mode.is_bytes(), has('b'));
    assert_eq!(mode.is_text(), has('t'));

    // The same letters, in an order of their own.
    let written = mode.to_string();
    let sorted = |text: &str| {
        let mut letters = text.chars().collect::<Vec<_>>();
        letters.sort_unstable();
        letters
    };
    assert_eq!(sorted(&written), sorted(text));
    assert_eq!(
        written.parse::<Mode>().expect("it was written by a mode"),
        mode
    );
});
