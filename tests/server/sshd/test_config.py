"""sshd_config as sshd reads it: order, includes, Match blocks, and a drop-in in another's place."""

from __future__ import annotations

from pathlib import Path

import pytest

from fidokit.server.sshd import config as sshd_config
from fidokit.server.sshd.config import Include, Line

NAME, KEPT = "0-fidokit.conf", "0-fidokit.conf.fidokit-original"


def parsed(text: str) -> list[tuple[str, tuple[str, ...], str]]:
    lines = sshd_config.parse(Path("/c"), text.encode())
    return [(line.keyword, line.values, line.match) for line in lines]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Port 22", ("port", ("22",))),
        ("  PORT\t22 # why", ("port", ("22",))),
        ("Port=22", ("port", ("22",))),
        ("Port = 22", ("port", ("22",))),
        ("Port =22", ("port", ("22",))),
        ('Banner "/a file"', ("banner", ("/a file",))),
        ('Banner "open', ("banner", ('"open',))),
        ("Port 22\r", ("port", ("22",))),
    ],
)
def test_lines(text: str, expected: tuple[str, tuple[str, ...]]) -> None:
    assert parsed(text) == [(*expected, "")]


def test_comments_and_junk() -> None:
    assert parsed("# x\n\n   \n\t#y") == []
    assert parsed("\x00\xff") != []


def test_match_blocks_last_to_the_next() -> None:
    text = "A 1\nMatch User x\nB 2\nmatch all\nC 3\n"
    assert [(word, match) for word, _, match in parsed(text)] == [
        ("a", ""),
        ("b", "User x"),
        ("c", "all"),
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "sshd_config.d"
    made.mkdir()
    return made


def config(folder: Path, text: str) -> Path:
    path = folder.parent / "sshd_config"
    path.write_text(text)
    return path


def test_files_are_walked_in_the_order_of_sshd(folder: Path) -> None:
    for name in ("10.conf", "9.conf", "B.conf", "a.conf", "not.txt"):
        (folder / name).write_text(f"X {name}\n")
    main = config(folder, f"X first\nInclude {folder}/*.conf\nX last\n")
    said = [line.values[0] for line in sshd_config.walk(main)]
    assert said == ["first", "10.conf", "9.conf", "B.conf", "a.conf", "last"]


def test_a_match_block_ends_with_its_file_and_covers_what_it_includes(folder: Path) -> None:
    (folder / "a.conf").write_text("X 1\nMatch User y\nX 2\n")
    main = config(folder, f"Include {folder}/a.conf\nX 3\nMatch User z\nInclude {folder}/a.conf\n")
    assert [(line.values[0], line.match) for line in sshd_config.walk(main)] == [
        ("1", ""),
        ("2", "User y"),
        ("3", ""),
        ("1", "User z"),
        ("2", "User y"),
    ]


def test_a_file_that_includes_itself_ends(folder: Path) -> None:
    main = config(folder, f"X 1\nInclude {folder.parent}/sshd_config\n")
    assert len(list(sshd_config.walk(main))) == 17


def found(main: Path) -> Include | None:
    text = main.read_bytes()
    return sshd_config.folder_of_drop_ins(main, text, NAME, not_taken=KEPT)


def test_the_folder_beside_the_configuration(folder: Path) -> None:
    main = config(folder, f"# x\nInclude /nowhere/x {folder}/*.conf\n")
    assert found(main) == Include(2, ("/nowhere/x", f"{folder}/*.conf"), folder)


@pytest.mark.parametrize(
    "text",
    [
        "Port 22\n",
        "Include /etc/ssh/sshd_config.d/*.conf\n",  # of a copy elsewhere: not to be touched
        "Include sshd_config.d/*.conf\n",  # the same: sshd takes it to be in /etc/ssh
        "Match User x\nInclude {folder}/*.conf\n",
        "Include {folder}/other.conf\n",
        "Include {folder}/*\n",  # would take the kept original, too
        "Include {parent}/*.d/*.conf\n",
    ],
)
def test_no_folder_for_a_drop_in(folder: Path, text: str) -> None:
    assert found(config(folder, text.format(folder=folder, parent=folder.parent))) is None


def test_a_drop_in_in_another_s_place(folder: Path, tmp_path: Path) -> None:
    for name in ("-a.conf", "z z.conf", NAME):
        (folder / name).touch()
    main = config(folder, f"A 1\nInclude {folder}/*.conf\nB 2\n")
    include = found(main)
    assert include
    trial = tmp_path / "trial[1]"
    text = sshd_config.with_drop_in(main.read_bytes(), include, folder / NAME, trial).decode()
    assert text.split("\n") == [
        "A 1",
        f'Include "{folder}/-a.conf"',
        f'Include "{tmp_path}/trial[[]1]"',
        f'Include "{folder}/z z.conf"',
        "B 2",
        "",
    ]
    gone = sshd_config.with_drop_in(main.read_bytes(), include, folder / NAME, None).decode()
    assert gone == f'A 1\nInclude "{folder}/-a.conf"\nInclude "{folder}/z z.conf"\nB 2\n'


def test_a_place_is_file_and_line() -> None:
    assert Line(Path("/etc/x"), 7, "port", ("1",)).place == "/etc/x:7"


# --- Match blocks ------------------------------------------------------------------------
