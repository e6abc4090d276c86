"""What git has signed is told from its file, and from the programs that it started."""

from __future__ import annotations

from pathlib import Path

import pytest

from fidokit.prompt.git_signing import described, described_by_callers

COMMIT = "tree 4b\nparent 4c\nauthor A\ncommitter A\n\n{}\n\nMore.\n"
TAG = "object 4b\ntype commit\ntag {}\ntagger A\n\nA release\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (COMMIT.format("Mend the parser"), 'signing the commit "Mend the parser"'),
        (COMMIT.format("x" * 100), f'signing the commit "{"x" * 69}..."'),
        (COMMIT.format(""), 'signing the commit "More."'),
        ("tree 4b\ncommitter A\n\n", "signing a commit"),
        (TAG.format("v1"), 'signing the tag "v1"'),
        ("just a text\n\nof two parts", ""),
        ("", ""),
    ],
)
def test_commits_and_tags_are_told(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "buffer").write_text(text)
    assert described(tmp_path / "buffer") == said


def test_a_file_that_cannot_be_read_is_nothing(tmp_path: Path) -> None:
    assert described(tmp_path / "none") == ""


def process(proc: Path, pid: int, parent: int, *words: str, cwd: Path | None = None) -> None:
    folder = proc / str(pid)
    folder.mkdir()
    (folder / "stat").write_text(f"{pid} (a (b) c) S {parent} 1 1")
    (folder / "cmdline").write_bytes(b"".join(f"{word}\0".encode() for word in words))
    if cwd:
        (folder / "cwd").symlink_to(cwd)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-Y", "sign", "-n", "git", "-f", "key", "buffer"), 'signing the commit "Mend it"'),
        (("-Y", "sign", "-n", "file", "-f", "key", "buffer"), ""),
        (("-Y", "verify", "-n", "git", "buffer"), ""),
        ((), ""),
    ],
)
def test_the_program_that_git_started_is_an_ancestor(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "buffer").write_text(COMMIT.format("Mend it"))
    proc = tmp_path / "proc"
    proc.mkdir()
    process(proc, 1, 0, "init")
    process(proc, 7, 1, "ssh-keygen", *words, cwd=tmp_path)
    process(proc, 8, 7, "ssh-sk-helper")
    process(proc, 9, 8, "python3")
    assert described_by_callers(9, proc) == said
    assert described_by_callers(10, proc) == ""
