#!/usr/bin/env python3
"""How many system calls an operation takes: the rows of the benches under strace.

    cargo bench --manifest-path benches/rings/Cargo.toml --features uring --no-run
    python3 benches/calls.py target/release/deps/rings-... [row [contender]]

Each row is run twice, with some work and with more. What the second run has more of, in calls of all threads and in
operations, is what counts; so files that are made beforehand and threads that are started once do not.
"""

import re
import subprocess
import sys
import tempfile

# The row, and how much work the two runs do.
ROWS = [
    ("random 4 KiB cached reads, one at a time", 500, 4500),
    ("random 4 KiB cached reads, 32 at a time", 500, 4500),
    ("random 4 KiB read_at, one at a time", 500, 4500),
    ("random 4 KiB read_at, 32 at a time", 500, 4500),
    ("random 4 KiB write_at, 32 at a time, sync_data", 1, 3),
    ("O_DIRECT 4 KiB reads, one at a time", 200, 2200),
    ("O_DIRECT 4 KiB reads, 32 at a time", 200, 2200),
    ("cold 4 KiB reads, one at a time", 200, 2200),
    ("cold 4 KiB reads, 32 at a time", 20, 120),
    ("read_many_at, 32 ranges of 4 KiB", 500, 4500),
    ("sequential read, 64 KiB calls", 1, 3),
    ("sequential write, 64 KiB calls, flush", 1, 3),
    ("100-byte writes, flush", 10_000, 210_000),
    ("io::copy between two files (futures-lite)", 1, 3),
    ("4 KiB files: write, read, remove; one at a time", 50, 450),
    ("4 KiB files: write, read, remove; 32 at a time", 1, 4),
    ("metadata, one at a time", 200, 2200),
    ("metadata, 32 at a time", 200, 2200),
    ("read_dir of 10,000 with types", 1, 3),
]
CONTENDERS = [
    "std", "aiofiles/smol", "aiofiles/tokio", "async-fs/smol", "tokio::fs", "compio", "monoio", "tokio-uring",
]


def count(program, row, contender, units):
    """Calls of all threads, and operations, of one run; None where the contender has no such row."""
    with tempfile.NamedTemporaryFile("r") as summary:
        command = ["strace", "-f", "-c", "-o", summary.name, program]
        command += ["--quick", "--row", row, "--contender", contender, "--once", str(units)]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        # The name of a contender may be a part of another.
        ours = [line.split("\t") for line in lines]
        ours = [int(ops) for _, who, ops in ours if who == contender]
        total = re.search(r"^100\.00 +\S+ +(?:\S+ +)?(\d+) +(?:\d+ +)?total$", summary.read(), re.MULTILINE)
    return (int(total.group(1)), ours[0]) if ours else None


def main():
    program, *rest = sys.argv[1:]
    wanted = (rest[0] if rest else "").lower()
    contenders = [who for who in CONTENDERS if len(rest) < 2 or rest[1] in who]
    print("| work | " + " | ".join(contenders) + " |")
    print("|---|" + "---:|" * len(contenders))
    for row, few, many in ROWS:
        if wanted not in row.lower():
            continue
        cells = []
        for contender in contenders:
            first, second = (count(program, row, contender, units) for units in (few, many))
            if first is None or second is None or first[1] == second[1]:
                cells.append("-")
            else:
                cells.append(f"{(second[0] - first[0]) / (second[1] - first[1]):.2f}")
        print(f"| {row} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
