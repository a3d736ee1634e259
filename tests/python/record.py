"""Records what Python's own files do, for the tests that compare: `python3 tests/python/record.py`.

The tests need no Python: they read `tests/data/python.txt`, and `tests/data/os.txt` for `os` and `os.path`. A line is a
kind, arguments, `=>`, and results, with blanks between them. Bytes are hexadecimal with a dot before them, and so is
text, as UTF-8; what Python reads as a lone surrogate is written as the character that stands for the same byte here.
"""

import errno
import io
import itertools
import os
import pathlib
import random
import tempfile

OUT = []


def bytes_of(data):
    return "." + data.hex()


def text_of(text):
    mapped = (chr(0x10FF00 + ord(c) - 0xDC00) if 0xDC80 <= ord(c) <= 0xDCFF else c for c in text)
    return bytes_of("".join(mapped).encode())


def record(kind, *arguments, result):
    OUT.append(" ".join([kind, *arguments, "=>", *result]))


ENCODINGS = ["utf-8", "utf-8-sig", "ascii", "latin-1", "utf-16", "utf-16-le", "utf-16-be"]
DECODING = ["strict", "ignore", "replace", "surrogateescape", "backslashreplace"]
ENCODING = ["strict", "ignore", "replace", "backslashreplace", "xmlcharrefreplace"]
NEWLINES = {"None": None, "Keep": "", "Lf": "\n", "Cr": "\r", "CrLf": "\r\n"}


def inputs(rng):
    yield from (
        b"", b"plain", "häßlich €\U0001f600".encode(), b"a\xe9b", b"\xe2\x82", b"\xe2\x82x", b"\xf0\x9f\x98",
        b"\xf0\x80\x80\x80", b"\xed\xa0\x80", b"\xc0\x80", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xef\xbb",
        b"\xef\xbb\xbf\xef\xbb\xbfx", b"\xf4\x90\x80\x80", b"\x80\x80\x80",
        "é€\U0001f600".encode("utf-16"), "é€\U0001f600".encode("utf-16-be"), "\ufeffé\U0001f600".encode("utf-16-be"),
        b"\x00\xd8", b"\x00\xd8\x41", b"\x00\xd8\x41\x00", b"\x00\xdc\x41\x00", b"\xd8\x00", b"\xd8\x00\x00",
        b"\xff\xfeA\x00\x42",
    )
    alphabet = [0x00, 0x41, 0x7f, 0x80, 0xbb, 0xbf, 0xc3, 0xd8, 0xdc, 0xe2, 0xef, 0xf0, 0x9f, 0xfe, 0xff]
    for _ in range(60):
        yield bytes(rng.choice(alphabet) for _ in range(rng.randrange(1, 9)))


def decode(rng):
    for data in inputs(rng):
        for encoding in ENCODINGS:
            for errors in DECODING:
                if errors == "surrogateescape" and "16" in encoding:
                    continue  # Bytes below 0x80 cannot be escaped there.
                try:
                    result = [text_of(io.TextIOWrapper(io.BytesIO(data), encoding, errors, newline="").read())]
                except UnicodeDecodeError:
                    result = ["error"]
                except UnicodeError:
                    continue  # UTF-16 without a mark: refused there, of this machine's order here.
                record("decode", encoding, errors, bytes_of(data), result=result)


def encode():
    for text in ["", "plain", "é", "€", "\U0001f600", "a\u00e9b\u20acc\U0001f600d", "\ufeff"]:
        for encoding in ENCODINGS:
            for errors in ENCODING:
                raw = io.BytesIO()
                file = io.TextIOWrapper(raw, encoding, errors, newline="", write_through=True)
                try:
                    file.write(text)
                    file.flush()
                    result = [bytes_of(raw.getvalue())]
                except UnicodeEncodeError:
                    result = ["error"]
                record("encode", encoding, errors, text_of(text), result=result)


def newlines():
    for length in range(6):
        for letters in itertools.product("\r\na", repeat=length):
            text = "".join(letters)
            for name, newline in NEWLINES.items():
                file = io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8", newline=newline)
                lines = file.readlines()
                seen = file.newlines or ()
                seen = (seen,) if isinstance(seen, str) else seen
                seen = [n for n, s in (("cr", "\r"), ("lf", "\n"), ("crlf", "\r\n")) if s in seen]
                result = [",".join(seen) or "none", *map(text_of, lines)]
                record("lines", name, text_of(text), result=result)
                raw = io.BytesIO()
                file = io.TextIOWrapper(raw, "utf-8", newline=newline, write_through=True)
                file.write(text)
                record("write", name, text_of(text), result=[bytes_of(raw.getvalue())])


def modes():
    """Every string of up to three letters, and every longer one of different letters that may be valid."""
    with tempfile.TemporaryDirectory() as name:
        there, missing = pathlib.Path(name, "there"), pathlib.Path(name, "missing")
        letters = "rwxa+bt"
        short = (itertools.product(letters, repeat=length) for length in range(4))
        long = (itertools.permutations(letters, length) for length in (4, 5))
        for strings in (*short, *long):
            for mode in map("".join, strings):
                if len(mode) > 3 and len(set(mode) & set("rwxa")) > 2:
                    continue
                result = []
                for path in (there, missing):
                    there.write_bytes(b"content")
                    missing.unlink(missing_ok=True)
                    try:
                        with open(path, mode) as file:
                            access = "r" * file.readable() + "w" * file.writable()
                            result += [f"{access}{file.tell()}"]
                        result += [bytes_of(path.read_bytes())]
                    except ValueError:
                        result += ["invalid"]
                    except FileNotFoundError:
                        result += ["not-found"]
                    except FileExistsError:
                        result += ["exists"]
                record("mode", "." + mode, result=result)


def abspaths():
    names = ["", ".", "..", "a", "...", "b c"]
    former = os.getcwd
    for length in range(4):
        for path in map("/".join, itertools.product(names, repeat=length)):
            for cwd in ("/", "/usr/share"):
                os.getcwd = lambda: cwd
                for path in (path,) if path.startswith("/") else (path, "/" + path, "//" + path):
                    record("abspath", text_of(cwd), text_of(path), result=[text_of(os.path.abspath(path))])
    os.getcwd = former


TREES = ["", "a/", "a/b/", "a/ f", "a/b/c/", "a/b/ a/f"]


def tree_below(root):
    found = []
    for path, directories, files in os.walk(root):
        below = os.path.relpath(path, root)
        found += [os.path.normpath(os.path.join(below, name)) + "/" for name in directories]
        found += [os.path.normpath(os.path.join(below, name)) for name in files]
    return " ".join(sorted(set(found) - {"keep"}))


def trees(kind, function, cases):
    """What `function` makes of each tree. A file keeps its root from being removed; no path leads further up than `name`."""
    for tree, arguments in itertools.product(TREES, cases):
        with tempfile.TemporaryDirectory() as name:
            root = pathlib.Path(name, "1/2/3/root")
            root.mkdir(parents=True)
            for entry in [*tree.split(), "keep"]:
                root.joinpath(entry).mkdir(parents=True) if entry.endswith("/") else root.joinpath(entry).touch()
            try:
                function(root, *arguments)
                result = "ok"
            except OSError as error:
                result = errno.errorcode[error.errno]
            result = [result, text_of(tree_below(root))]
            record(kind, text_of(tree), *(text_of(str(argument)) for argument in arguments), result=result)


def directories():
    names = ["a", "b", "f", "..", "."]
    paths = ["/".join(path) for length in (1, 2, 3) for path in itertools.product(names, repeat=length)]
    paths += ["a/", "a/b/", "x/", "x/y/", "f/", "x//y", "x/./y"]
    below = lambda root, path: f"{root}/{path}"
    create = lambda root, path, exist_ok: os.makedirs(below(root, path), exist_ok=exist_ok)
    trees("makedirs", create, list(itertools.product(paths, (False, True))))
    # A `.` between two names ends the removal in Python, which has no reason but the error of rmdir(2).
    removable = [(path,) for path in paths if "/./" not in path]
    trees("removedirs", lambda root, path: os.removedirs(below(root, path)), removable)
    paths = ["a", "a/b", "a/b/c", "a/f", "f", "x", "x/y", "x/y/z", "f/x", "a/b/x", "a/../g", "x/../g"]
    rename = lambda root, old, new: os.renames(below(root, old), below(root, new))
    trees("renames", rename, list(itertools.product(paths, paths)))


def save(name):
    pathlib.Path(__file__).parent.parent.joinpath("data", name).write_text("\n".join(OUT) + "\n")
    OUT.clear()


decode(random.Random(1))
encode()
newlines()
modes()
save("python.txt")
abspaths()
directories()
save("os.txt")
