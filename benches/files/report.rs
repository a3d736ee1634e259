//! The tables, as text while the program runs and as markdown for `benches/RESULTS.md`.

use std::fmt;
use std::path::Path;

use crate::args::Effort;
use crate::contender::Contender;
use crate::latency::Latency;
use crate::measure::{Entry, RowResult, Verdict};
use crate::rows::Better;

/// Everything about one row.
pub struct Detail<'a>(pub &'a RowResult);

impl fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RowResult { row, entries } = self.0;
        writeln!(
            f,
            "{} (target: {}; op: {})",
            row.name,
            target(self.0),
            row.op
        )?;
        if entries.is_empty() {
            return writeln!(
                f,
                "  skipped: this system, or this file system, cannot do it"
            );
        }
        let header = [
            "",
            row.unit,
            "of std",
            "spread",
            "cpu us/op",
            "operations/op",
            "jobs/op",
            "verdict",
        ];
        let mut table = Table::new(header);
        for entry in entries {
            table.push([
                entry.contender.name().to_owned(),
                number(entry.figure),
                number(entry.ratio),
                percent(entry.spread),
                optional(entry.cpu_per_op),
                optional(entry.operations_per_op),
                optional(entry.jobs_per_op),
                verdict(self.0, entry),
            ]);
        }
        table.write_text(f)
    }
}

/// One line per row: the ratios to `std`.
pub struct Summary<'a>(pub &'a [RowResult]);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        speed(self.0).write_text(f)
    }
}

/// One line per row whose operations were timed one by one; nothing without any.
pub struct Latencies<'a>(pub &'a [RowResult]);

impl fmt::Display for Latencies<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(table) = latencies(self.0) else {
            return Ok(());
        };
        writeln!(f, "\nlatency in microseconds, p50 / p99")?;
        table.write_text(f)
    }
}

/// Which build of aiofiles is measured, and what performs its operations.
pub struct Ours;

impl fmt::Display for Ours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let build = match (cfg!(feature = "nowait"), cfg!(feature = "uring")) {
            (_, true) => "with uring",
            (true, false) => "with nowait",
            (false, false) => "with its default features",
        };
        let backend = aiofiles::backend();
        let (kind, reason) = (backend.kind(), backend.reason());
        write!(f, "aiofiles {build}; its backend: {kind:?} ({reason})")
    }
}

/// All of it, for a page.
pub struct Markdown<'a> {
    pub place: Place,
    pub effort: Effort,
    pub results: &'a [RowResult],
}

impl fmt::Display for Markdown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}; {}.\n\n{}.\n", self.place, self.effort, Ours)?;
        writeln!(f, "## Speed\n")?;
        writeln!(
            f,
            "`std` is its figure, the others are ratios to it; the verdict is that of aiofiles on smol and on tokio.\n"
        )?;
        speed(self.results).write_markdown(f)?;
        writeln!(f, "\n## Cost\n")?;
        writeln!(
            f,
            "Processor time of the whole process in microseconds per operation; what aiofiles (on smol) dispatched to the thread\n\
             pool per operation, and the pool jobs that did it.\n"
        )?;
        cost(self.results).write_markdown(f)?;
        writeln!(f, "\n## Spread\n")?;
        writeln!(
            f,
            "From the lowest to the highest run, as a part of the median.\n"
        )?;
        spread(self.results).write_markdown(f)?;
        if let Some(table) = latencies(self.results) {
            writeln!(f, "\n## Latency\n")?;
            writeln!(f, "Of single operations, in microseconds: p50 / p99.\n")?;
            table.write_markdown(f)?;
        }
        writeln!(f, "\n`{:?}`", aiofiles::backend())
    }
}

fn speed(results: &[RowResult]) -> Table {
    let mut table = Table::new(header(["work", "target"], ["verdict"]));
    for result in results {
        let cells = Contender::all().map(|contender| {
            let Some(entry) = result.of(contender) else {
                return "-".to_owned();
            };
            match contender {
                Contender::Std => format!("{} {}", number(entry.figure), result.row.unit),
                _ => number(entry.ratio),
            }
        });
        let ours = result
            .entries
            .iter()
            .filter(|entry| entry.contender.is_ours());
        let mut verdicts: Vec<_> = ours.map(|entry| verdict(result, entry)).collect();
        verdicts.dedup();
        let work = [result.row.name.to_owned(), target(result)];
        table.push(work.into_iter().chain(cells).chain([verdicts.join(" / ")]));
    }
    table
}

fn cost(results: &[RowResult]) -> Table {
    let mut table = Table::new(header(["work", "op"], ["best peer", "operations", "jobs"]));
    for result in results {
        let cpu = Contender::all()
            .map(|contender| optional(result.of(contender).and_then(|entry| entry.cpu_per_op)));
        let ours = result.of(Contender::AiofilesOnSmol);
        let hops = [
            result.cpu_verdict(),
            optional(ours.and_then(|entry| entry.operations_per_op)),
            optional(ours.and_then(|entry| entry.jobs_per_op)),
        ];
        let work = [result.row.name.to_owned(), result.row.op.to_owned()];
        table.push(work.into_iter().chain(cpu).chain(hops));
    }
    table
}

fn spread(results: &[RowResult]) -> Table {
    let mut table = Table::new(header(["work"], []));
    for result in results {
        let cells = Contender::all().map(|contender| {
            result
                .of(contender)
                .map_or("-".to_owned(), |entry| percent(entry.spread))
        });
        table.push([result.row.name.to_owned()].into_iter().chain(cells));
    }
    table
}

fn latencies(results: &[RowResult]) -> Option<Table> {
    let mut table = Table::new(header(["work"], []));
    for result in results {
        if result.entries.iter().all(|entry| entry.latency.is_none()) {
            continue;
        }
        let cells = Contender::all().map(|contender| {
            match result.of(contender).and_then(|entry| entry.latency) {
                Some(Latency { p50, p99 }) => {
                    let [p50, p99] = [p50, p99].map(|time| number(time.as_secs_f64() * 1e6));
                    format!("{p50} / {p99}")
                }
                None => "-".to_owned(),
            }
        });
        table.push([result.row.name.to_owned()].into_iter().chain(cells));
    }
    (table.lines.len() > 1).then_some(table)
}

impl RowResult {
    /// Is the processor time of aiofiles, on smol, at or below that of the best other async crate?
    fn cpu_verdict(&self) -> String {
        let ours = self
            .of(Contender::AiofilesOnSmol)
            .and_then(|entry| entry.cpu_per_op);
        match (ours, self.best_peer_cpu()) {
            (Some(ours), Some(best)) if ours <= best => "reached".to_owned(),
            (Some(ours), Some(best)) if ours <= best * 1.1 => "within 10 %".to_owned(),
            (Some(ours), Some(best)) => format!("{} of it", number(ours / best)),
            _ => "-".to_owned(),
        }
    }
}

fn header<const N: usize, const M: usize>(
    before: [&'static str; N],
    after: [&'static str; M],
) -> impl Iterator<Item = &'static str> {
    let contenders = Contender::all().map(Contender::name);
    before.into_iter().chain(contenders).chain(after)
}

fn target(result: &RowResult) -> String {
    match result.row.better {
        Better::Higher => format!(">= {}", number(result.row.target)),
        Better::Lower => format!("<= {}", number(result.row.target)),
    }
}

fn verdict(result: &RowResult, entry: &Entry) -> String {
    if !entry.contender.is_ours() {
        return String::new();
    }
    let verdict = match result.row.verdict(entry.ratio) {
        Verdict::Reached => "reached",
        Verdict::WithinTenPercent => "within 10 %",
        Verdict::Missed => "missed",
    };
    verdict.to_owned()
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 1e6 => format!("{:.2} M", value / 1e6),
        size if size >= 1e4 => format!("{:.1} k", value / 1e3),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        size if size >= 0.01 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

fn optional(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), number)
}

fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

/// Cells; the first column is aligned to the left.
struct Table {
    lines: Vec<Vec<String>>,
}

impl Table {
    fn new<T: Into<String>>(header: impl IntoIterator<Item = T>) -> Table {
        Table {
            lines: vec![header.into_iter().map(Into::into).collect()],
        }
    }

    fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        self.lines.push(cells.into_iter().collect());
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.lines[0].len();
        (0..columns)
            .map(|column| {
                self.lines
                    .iter()
                    .map(|line| line[column].len())
                    .max()
                    .unwrap_or(0)
            })
            .collect()
    }

    fn write_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for line in &self.lines {
            write!(f, "  {:<width$}", line[0], width = widths[0])?;
            for (cell, width) in line.iter().zip(&widths).skip(1) {
                write!(f, "  {cell:>width$}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn write_markdown(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for (number, line) in self.lines.iter().enumerate() {
            write!(f, "| {:<width$} |", line[0], width = widths[0])?;
            for (cell, width) in line.iter().zip(&widths).skip(1) {
                write!(f, " {cell:>width$} |")?;
            }
            writeln!(f)?;
            if number == 0 {
                write!(f, "|{:-<width$}|", "", width = widths[0] + 2)?;
                for width in &widths[1..] {
                    write!(f, "{:-<width$}:|", "", width = width + 1)?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

/// What the figures depend on.
pub struct Place {
    cpus: usize,
    kernel: String,
    file_system: &'static str,
}

impl Place {
    pub fn of(dir: &Path) -> Place {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Place {
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: format!("{} {}", std::env::consts::OS, release.trim()),
            file_system: file_system(dir),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place {
            cpus,
            kernel,
            file_system,
        } = self;
        write!(f, "{cpus} processors, {}, {file_system}", kernel.trim_end())
    }
}

#[cfg(target_os = "linux")]
fn file_system(dir: &Path) -> &'static str {
    // Numbers of statfs(2).
    match rustix::fs::statfs(dir).map(|stat| stat.f_type as u32) {
        Ok(0xef53) => "ext4",
        Ok(0x5846_5342) => "xfs",
        Ok(0x9123_683e) => "btrfs",
        Ok(0x0102_1994) => "tmpfs",
        Ok(0x794c_7630) => "overlayfs",
        _ => "another file system",
    }
}

#[cfg(not(target_os = "linux"))]
fn file_system(_: &Path) -> &'static str {
    "file system unknown"
}
