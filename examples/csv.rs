//! Shows the rows of CSV files with the names of their columns:
//!
//! ```sh
//! cargo run --example csv -- table.csv
//! ```
//!
//! The crate `csv-async` reads from a `File` as from anything that implements the traits of `futures-io`. Fields may be
//! quoted, and hold commas and ends of lines.

#[path = "shared/tool.rs"]
mod tool;

use std::fmt;
use std::io;
use std::process::ExitCode;

use aiofiles::{File, stdio};
use csv_async::{AsyncReader, StringRecord};
use smol::io::{AsyncRead, AsyncWriteExt as _};
use smol::stream::StreamExt as _;
use tool::Tool;

const TOOL: Tool = Tool {
    name: "csv",
    help: "\
Shows the rows of CSV files with the names of their columns.

Usage: csv [FILE]...

Where there is no FILE, standard input is read.

Options:
  --help  Show this help
",
};

fn main() -> ExitCode {
    let names = match TOOL.operands(|_| false) {
        Ok(names) => names,
        Err(code) => return code,
    };
    smol::block_on(async {
        let mut code = ExitCode::SUCCESS;
        if names.is_empty()
            && let Err(error) = show(stdio::stdin()).await
        {
            TOOL.complain("standard input".as_ref(), &error);
            code = ExitCode::FAILURE;
        }
        for name in &names {
            let shown = match File::open(name).await {
                Ok(file) => show(file).await,
                Err(error) => Err(error),
            };
            if let Err(error) = shown {
                TOOL.complain(name, &error);
                code = ExitCode::FAILURE;
            }
        }
        code
    })
}

/// One row, with the names of the columns.
struct Row<'a> {
    names: &'a StringRecord,
    fields: &'a StringRecord,
}

impl fmt::Debug for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.names.iter().zip(self.fields))
            .finish()
    }
}

/// Writes each row on a line of its own.
async fn show(file: impl AsyncRead + Unpin + Send) -> io::Result<()> {
    let mut output = stdio::stdout();
    let mut reader = AsyncReader::from_reader(file);
    let names = reader.headers().await?.clone();
    let mut rows = reader.into_records();
    while let Some(fields) = rows.next().await {
        let row = Row {
            names: &names,
            fields: &fields?,
        };
        output.write_all(format!("{row:?}\n").as_bytes()).await?;
    }
    output.flush().await
}
