"""The figures of Python's aiofiles and aiofile beside those of this crate:

    pip install aiofiles aiofile
    cargo bench --bench files -- --row lines --row sequential --row random --row small
    python3 benches/python/peers.py

The works are those of the rows of the same names, smaller where they would take minutes. Figures are operations in a
second, medians of three.
"""

import asyncio
import os
import pathlib
import random
import statistics
import sys
import tempfile
import time

import aiofile
import aiofiles
import aiofiles.os

LINES = 100_000
STREAM = 64 << 20
RANDOM = 64 << 20
READS = 3_000
FILES = 500
CHUNK = 64 << 10
PAGE = 4096


async def lines_sync(path):
    with open(path) as file:
        return sum(1 for _ in file)


async def lines_aiofiles(path):
    count = 0
    async with aiofiles.open(path) as file:
        async for _ in file:
            count += 1
    return count


async def lines_aiofile(path):
    count = 0
    async with aiofile.async_open(path) as file:
        async for _ in file:
            count += 1
    return count


async def stream_sync(path):
    count = 0
    with open(path, "rb", buffering=0) as file:
        while file.read(CHUNK):
            count += 1
    return count


async def stream_aiofiles(path):
    count = 0
    async with aiofiles.open(path, "rb") as file:
        while await file.read(CHUNK):
            count += 1
    return count


async def stream_aiofile(path):
    count = 0
    async with aiofile.async_open(path, "rb") as file:
        async for _ in file.iter_chunked(CHUNK):
            count += 1
    return count


def offsets():
    rng = random.Random(1)
    return [rng.randrange(RANDOM // PAGE) * PAGE for _ in range(READS)]


async def random_sync(path):
    with open(path, "rb", buffering=0) as file:
        for offset in offsets():
            assert len(os.pread(file.fileno(), PAGE, offset)) == PAGE
    return READS


async def random_aiofiles(path):
    async with aiofiles.open(path, "rb", buffering=0) as file:
        for offset in offsets():
            await file.seek(offset)
            assert len(await file.read(PAGE)) == PAGE
    return READS


async def random_aiofile(path):
    async with aiofile.AIOFile(path, "rb") as file:
        for offset in offsets():
            assert len(await file.read_bytes(PAGE, offset)) == PAGE
    return READS


async def small_sync(path):
    for number in range(FILES):
        name = f"{path}.{number}"
        with open(name, "wb") as file:
            file.write(b"x" * PAGE)
        with open(name, "rb") as file:
            assert len(file.read()) == PAGE
        os.remove(name)
    return FILES


async def small_aiofiles(path):
    for number in range(FILES):
        name = f"{path}.{number}"
        async with aiofiles.open(name, "wb") as file:
            await file.write(b"x" * PAGE)
        async with aiofiles.open(name, "rb") as file:
            assert len(await file.read()) == PAGE
        await aiofiles.os.remove(name)
    return FILES


async def small_aiofile(path):
    for number in range(FILES):
        name = f"{path}.{number}"
        async with aiofile.async_open(name, "wb") as file:
            await file.write(b"x" * PAGE)
        async with aiofile.async_open(name, "rb") as file:
            assert len(await file.read()) == PAGE
        os.remove(name)
    return FILES


def make(directory):
    rng = random.Random(1)
    text, data = directory / "text", directory / "data"
    with open(text, "w") as file:
        for _ in range(LINES):
            file.write("t" * rng.randint(40, 120) + "\n")
    data.write_bytes(rng.randbytes(1 << 20) * (STREAM >> 20))
    return {
        "lines of a text file": (text, lines_sync, lines_aiofiles, lines_aiofile),
        "sequential read, 64 KiB calls": (data, stream_sync, stream_aiofiles, stream_aiofile),
        "random 4 KiB cached reads, one at a time": (data, random_sync, random_aiofiles, random_aiofile),
        "4 KiB files: write, read, remove; one at a time": (data, small_sync, small_aiofiles, small_aiofile),
    }


def rate(work, path):
    async def timed():
        begin = time.perf_counter()
        count = await work(path)
        return count / (time.perf_counter() - begin)

    return statistics.median(asyncio.run(timed()) for _ in range(3))


def main():
    print(f"Python {sys.version.split()[0]}\n")
    print("| work | open() | aiofiles | aiofile |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=pathlib.Path(__file__).parent) as name:
        for work, (path, *contenders) in make(pathlib.Path(name)).items():
            figures = " | ".join(f"{rate(contender, path):,.0f}" for contender in contenders)
            print(f"| {work} | {figures} |")


main()
