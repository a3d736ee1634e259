//! The checks of a test binary that has a `main` of its own.

use std::env;
use std::panic::catch_unwind;
use std::process::ExitCode;

/// The little of libtest that is needed: names as filters, `--exact`, `--list`, and a result in its words.
pub fn run_checks(checks: &[(&str, fn())]) -> ExitCode {
    let args = env::args().skip(1).collect::<Vec<_>>();
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let filters = args
        .iter()
        .filter(|arg| !arg.starts_with('-'))
        .collect::<Vec<_>>();
    let wanted = |name: &str| {
        filters.is_empty()
            || filters.iter().any(|filter| match has("--exact") {
                true => name == filter.as_str(),
                false => name.contains(filter.as_str()),
            })
    };
    let all = checks.len();
    let checks = checks.iter().filter(|(name, _)| wanted(name));
    if has("--list") {
        checks.for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let (mut passed, mut failed) = (0, 0);
    for (name, check) in checks {
        let result = catch_unwind(check);
        let verdict = if result.is_ok() { "ok" } else { "FAILED" };
        println!("test {name} ... {verdict}");
        passed += usize::from(result.is_ok());
        failed += usize::from(result.is_err());
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    let left = all - passed - failed;
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {left} filtered out\n"
    );
    ExitCode::from(if failed == 0 { 0 } else { 101 })
}
