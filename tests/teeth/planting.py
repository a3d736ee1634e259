"""Plants bugs in a copy of the crate, and runs tests against one at a time.

To compile the crate and its tests once more for each bug would take hours. So all bugs are compiled at once: a function
with bugs gets a copy of its body for each of them, and the variable AIOFILES_TEETH says which one a process runs. What
cannot be switched so, because it is no part of a function's body, is for `run` to plant by itself.
"""

import atexit
import functools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TEETH = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "teeth"
TREE = TEETH / "tree"

# What tests may be named by their first word, and how cargo is told of them.
TARGETS = {
    "lib": ["--lib"],
    "it": ["--test", "it"],
    "exit": ["--test", "exit"],
    "leaks": ["--test", "leaks"],
    "limits": ["--test", "limits"],
}

# They would change what the tests are about.
NOT_INHERITED = [
    "AIOFILES_BACKEND", "AIOFILES_RUNTIME", "AIOFILES_TEST_IN_MEMORY", "AIOFILES_TEST_REFUSE_URING", "AIOFILES_TEETH",
]

SWITCH = """
/// Which of the planted bugs this process has.
#[doc(hidden)]
pub fn planted() -> u32 {
    static PLANTED: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *PLANTED.get_or_init(|| {
        let planted = std::env::var("AIOFILES_TEETH");
        planted.ok().and_then(|number| number.parse().ok()).unwrap_or(0)
    })
}
"""


class Complaint(Exception):
    """A list is wrong, or the crate is."""


def environment(**more):
    inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    return {
        "AIOFILES_TEST_SCALE": "0.1",
        **inherited,
        "CARGO_TARGET_DIR": str(TEETH / "build"),
        "CARGO_PROFILE_DEV_DEBUG": "0",
        "CARGO_TERM_COLOR": "never",
        **more,
    }


def write(path, text):
    """Writes a file unless it is the same already, so that little is compiled again."""
    if not path.is_file() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@functools.cache
def source(file):
    """A source file as it was when it was first asked for, whoever writes to it meanwhile."""
    return (ROOT / file).read_text()


def copy_tree(but=()):
    """Makes the copy what the checkout is, uncommitted changes included, except for some files."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True,
    )
    names = {os.fsdecode(name) for name in listed.stdout.split(b"\0") if name}
    names = {name for name in names if (ROOT / name).is_file()}
    for name in names - set(but):
        old, new = TREE / name, ROOT / name
        if not old.is_file() or old.read_bytes() != new.read_bytes():
            old.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(new, old)
    for path in TREE.rglob("*"):
        if path.is_file() and str(path.relative_to(TREE)) not in names:
            path.unlink()


# What is no code: comments, strings, characters (which begin like lifetimes).
NO_CODE = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | b?r(\#*)".*?"\1 | b?"(?:\\.|[^"\\])*" | b?'(?:\\[^u]|\\u\{[^}]*\}|\\x..|[^\\'])'""",
    re.VERBOSE | re.DOTALL,
)
FUNCTION = re.compile(r"((?:\b(?:const|async|unsafe|pub(?:\([^)]*\))?|extern)\s+)*)\bfn\s+\w+")


def bodies(text):
    """Where the bodies of functions begin and end in a source file, braces included: those that may be switched."""
    code = NO_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)
    for found in FUNCTION.finditer(code):
        at, depth, arrow = found.end(), 0, None
        while at < len(code) and (depth > 0 or code[at] not in "{;"):
            if depth == 0 and code.startswith("->", at):
                arrow = at
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(code[at], 0)
            at += 1
        if at == len(code) or code[at] == ";":
            continue
        begin, depth = at, 0
        while True:
            depth += {"{": 1, "}": -1}.get(code[at], 0)
            at += 1
            if depth == 0:
                break
        # A constant function cannot ask which bug it has, and one that returns a type without a name cannot return two.
        unnamed = arrow and re.search(r"\bimpl\b", code[arrow:begin])
        if not re.search(r"\bconst\b", found.group(1)) and not unnamed:
            yield begin, at


class Bug:
    """A change of a file from one offset to another."""

    def __init__(self, name, file, begin, end, replacement, tests, variables=None):
        self.name, self.file = name, file
        self.begin, self.end, self.replacement = begin, end, replacement
        self.tests, self.variables = tests, variables or {}
        self.number = None

    def apply(self, text):
        return text[:self.begin] + self.replacement + text[self.end:]


def switch_all(bugs):
    """Gives all bugs numbers, and the sources with all of them; and which lines are whose. Leaves out what cannot be."""
    by_file = {}
    for bug in bugs:
        by_file.setdefault(bug.file, []).append(bug)
    sources, lines, number = {}, {}, 0
    for file, bugs in by_file.items():
        text = source(file)
        # The innermost function that holds the change.
        places = {}
        found = list(bodies(text))
        for bug in bugs:
            around = [place for place in found if place[0] < bug.begin and bug.end < place[1]]
            if around:
                places.setdefault(max(around), []).append(bug)
        # A function within another is part of each of that one's copies, so its bugs are those of the outer one.
        for place in sorted(places):
            outer = [other for other in places if other[0] < place[0] and place[1] < other[1]]
            if outer:
                places[min(outer)] += places.pop(place)
        out, done = [], 0
        for (begin, end), planted in sorted(places.items()):
            out.append(text[done:begin])
            out.append("{")
            for bug in planted:
                number += 1
                bug.number = number
                body = bug.apply(text)[begin:end + len(bug.replacement) - (bug.end - bug.begin)]
                out.append(f"\n#[allow(warnings)]\nif crate::planted() == {number} ")
                first = "".join(out).count("\n") + 1
                out.append(body)
                lines.setdefault(file, []).append((first, first + body.count("\n"), bug))
                out.append(" else")
            out.append(" " + text[begin:end] + "}")
            done = end
        out.append(text[done:])
        sources[file] = "".join(out).replace(" else\n#[allow(warnings)]\nif", "\nelse\nif")
    return sources, lines


def build(targets):
    """Compiles: the programs by target, and the messages of errors."""
    arguments = [argument for target in targets for argument in TARGETS[target]]
    done = subprocess.run(
        ["cargo", "test", "--no-run", "--all-features", "--message-format", "json", *arguments],
        cwd=TREE, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    programs, errors = {}, []
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message["reason"] == "compiler-message" and message["message"]["level"] == "error":
            errors.append(message["message"])
        if message["reason"] == "compiler-artifact" and message.get("executable"):
            target = "lib" if "lib" in message["target"]["kind"] else message["target"]["name"]
            programs[target] = message["executable"]
    if done.returncode != 0 and not errors:
        raise Complaint(done.stderr)
    return programs, errors


def keep(program):
    """Copies a program, so that whoever compiles something else meanwhile does not replace it."""
    kept = TEETH / "programs" / str(os.getpid()) / pathlib.Path(program).name
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(program, kept)
    atexit.register(shutil.rmtree, kept.parent, ignore_errors=True)
    return str(kept)


def build_switched(bugs, targets):
    """Compiles the crate with all bugs that compile: the programs by target, and those bugs that do not."""
    unviable = []
    while True:
        for bug in bugs:
            bug.number = None
        rest = [bug for bug in bugs if bug not in unviable]
        sources, lines = switch_all(rest)
        sources["src/lib.rs"] = sources.get("src/lib.rs", source("src/lib.rs")) + SWITCH
        copy_tree(but=sources)
        for file, text in sources.items():
            write(TREE / file, text)
        # The unit tests alone show what does not compile.
        programs, errors = build(["lib"])
        if not errors:
            programs, errors = build(targets)
        if not errors:
            return {target: keep(program) for target, program in programs.items()}, unviable
        found = set()
        for error in errors:
            for span in error["spans"]:
                for first, last, bug in lines.get(span["file_name"], []):
                    if span["is_primary"] and first <= span["line_start"] and span["line_end"] <= last:
                        found.add(bug)
        if not found:
            raise Complaint("\n".join(error["rendered"] for error in errors))
        unviable += found


class Outcome:
    """What came of running tests."""

    def __init__(self, verdict, detail=""):
        # `passed`, `failed`, `hangs`
        self.verdict, self.detail = verdict, detail


# More than all tests together put on the disk. A bug may write for ever.
MOST = 4 << 30


def taken(directory):
    """How many bytes of the disk the files below a directory take."""
    total = 0
    for path, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_blocks * 512
            except OSError:
                pass
    return total


def run_program(program, filters, limit, variables):
    """Runs a test program until a test fails. What it leaves goes with it."""
    # As open as /tmp: some tests run as another user.
    with tempfile.TemporaryDirectory(prefix="aiofiles-teeth-", ignore_cleanup_errors=True) as temporary:
        os.chmod(temporary, 0o1777)
        return run_in(temporary, program, filters, limit, variables)


def run_in(temporary, program, filters, limit, variables):
    failed, passed, over = [], 0, threading.Event()
    process = subprocess.Popen(
        [program, *filters], cwd=TREE, env=environment(TMPDIR=temporary, **variables), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace",
    )
    reasons = []

    def kill():
        # Children of tests go with them.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def watch():
        end = time.monotonic() + limit
        while not over.wait(2):
            if time.monotonic() > end:
                reasons.append(f"after {limit:.0f} s")
            elif taken(temporary) > MOST:
                reasons.append("and fills the disk")
            if reasons:
                return kill()

    threading.Thread(target=watch, daemon=True).start()
    try:
        for line in process.stdout:
            found = re.match(r"test (\S+)(?: - should panic)? \.\.\. (ok|FAILED)", line)
            if found and found[2] == "FAILED":
                failed.append(found[1])
                break
            passed += bool(found)
    finally:
        over.set()
        if failed:
            kill()
        process.stdout.close()
        code = process.wait()
        kill()
    if failed:
        return Outcome("failed", failed[0])
    if reasons:
        return Outcome("hangs", reasons[0])
    if code != 0:
        return Outcome("failed", f"it ends with {code}")
    return Outcome("passed", passed)


def run_tests(programs, tests, limit, variables):
    """Runs tests, named as `target filter filter`, one target after the other, until one fails."""
    passed = 0
    for target, *filters in map(str.split, tests):
        outcome = run_program(programs[target], filters, limit, variables)
        if outcome.verdict != "passed":
            outcome.detail = f"{target}: {outcome.detail}"
            return outcome
        if outcome.detail == 0:
            raise Complaint(f"no test of `{target}` is called {' or '.join(filters)}")
        passed += outcome.detail
    return Outcome("passed", passed)


def run_twice(programs, tests, limit):
    """The same without a bug, and once more if one fails: a busy machine may be slower than a test can know."""
    outcome = run_tests(programs, tests, limit, {})
    return outcome if outcome.verdict == "passed" else run_tests(programs, tests, limit, {})


def union(lists):
    """All tests of several lists, target by target."""
    filters = {}
    for target, *some in [test.split() for tests in lists for test in tests]:
        filters.setdefault(target, []).append(some)
    return [
        " ".join([target, *sorted(set(sum(some, []))) * all(some)]) for target, some in sorted(filters.items())
    ]


def say(line):
    print(line, flush=True)
    sys.stdout.flush()
