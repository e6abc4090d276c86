"""The preloaded library against descriptions, paths and ioctls that libFuzzer makes, with ASan."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest
from tests.support.agent_host import stock
from tests.support.mutate import fuzz_count

import fidokit

pytestmark = [pytest.mark.compiled, pytest.mark.long]

SOURCE = Path(fidokit.__file__).parent / "lab" / "hidraw_nodes.c"
TARGET = Path(__file__).with_name("nodes_target.c")
STRICT = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-Wall")
RUNS = fuzz_count(3_000)
GOOD = (
    b"BUS=3\nVENDOR=1209\nPRODUCT_ID=1\nNAME=a name\nMANUFACTURER=maker\nPRODUCT=product\n"
    b"SERIAL=FK00\nDESCRIPTOR=06d0f10901a1010920150026ff007508954081020921150026ff00750895409102c0\n"
)
IOCTLS = [(1, 4), (2, 4100), (3, 8), (4, 128), (5, 64), (8, 64), (2, 0), (4, 0), (9, 16)]
SEEDS = [
    bytes([path, len(tail), number, *size.to_bytes(2, "little")]) + tail + GOOD
    for path, tail in enumerate([b"90", b"90/device/uevent", b"91", b"", b"", b"", b"x", b"y"])
    for number, size in IOCTLS
]


def made(folder: Path, source: Path) -> list[str]:
    """The fuzzer, and the library of a source beside it."""
    library, fuzzer = folder / "nodes.so", folder / "fuzzer"
    # Its dlsym would be in the sanitizer's way; gcc says so by itself.
    options = ["-fsanitize=fuzzer-no-link", "-D__SANITIZE_ADDRESS__", "-shared", "-fPIC"]
    for made_of in (
        [*STRICT, *options, "-fvisibility=hidden", "-o", library, source, "-ldl"],
        [*STRICT, "-Wextra", "-Werror", "-fsanitize=fuzzer", "-o", fuzzer, TARGET, "-ldl"],
    ):
        done = subprocess.run(
            [stock("clang"), *map(str, made_of)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    return [str(fuzzer), str(library)]


def fuzzed(folder: Path, source: Path, seeds: list[bytes], runs: int) -> tuple[int, str]:
    """How it ended after so many runs, and what it said."""
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds):
        (corpus / f"seed{number}").write_bytes(seed)
    options = [f"-runs={runs}", "-max_len=9000", "-seed=7", f"-artifact_prefix={folder}/"]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as nodes:
        done = subprocess.run(
            [*made(folder, source), nodes, *options, str(corpus)],
            env={"PATH": os.environ["PATH"]},
            stderr=subprocess.STDOUT,
            stdout=subprocess.PIPE,
            cwd=folder,
            check=False,
        )
    return done.returncode, done.stdout.decode(errors="replace")


def test_fuzz_nothing_is_read_or_written_astray(tmp_path: Path) -> None:
    code, said = fuzzed(tmp_path, SOURCE, SEEDS, RUNS)
    assert code == 0, said[-4000:]
    assert f"Done {RUNS} runs" in said


@pytest.mark.parametrize(
    ("whole", "broken"),
    [
        ("SYS_read, file, text, sizeof(text) - 1", "SYS_read, file, text, sizeof(text) + 63"),
        ("if (size > room)\n\t\tsize = room;", ""),
        ("*at = one->next;\n\t\t\tfree(one);", "free(one);\n\t\t\t*at = one->next;"),
    ],
    ids=["a longer description", "a smaller argument", "a use after its end"],
)
def test_planted_defects_are_found(tmp_path: Path, whole: str, broken: str) -> None:
    text = SOURCE.read_text()
    assert text.count(whole) == 1
    source = tmp_path / "broken.c"
    source.write_text(text.replace(whole, broken))
    long = b"\5\0\4\x80\0" + GOOD + b"\n" * 5_000
    small = b"\5\0\4\2\0" + GOOD
    code, said = fuzzed(tmp_path, source, [SEEDS[0], long, small], 5_000)
    assert code != 0
    assert re.search("ERROR: AddressSanitizer|runtime error", said), said[-2000:]
