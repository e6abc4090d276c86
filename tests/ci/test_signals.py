"""The signals, on small trees that break one limit each."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from tests.ci.loading import load

signals = load("signals")

LONG = '"""M."""\n' + "#\n" * 60
CLEAN = '"""One."""\n\n\ndef one() -> int:\n    """Return one and nothing else."""\n    return 1\n'


def tree(folder: Path, **files: str) -> Path:
    """Write a package and its tests; `a__b` is the file b.py in the folder a."""
    files.setdefault("tests__test_all", "#\n" * 480)
    for name, text in {"__init__": '"""A package."""\n', **files}.items():
        place = folder if name.startswith("tests__") else folder / "src/fidokit"
        path = place / (name if name == "__init__" else name.replace("__", "/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".py").write_text(text)
    return folder


def verdicts(folder: Path) -> dict[str, object]:
    return {signal.name: signal for signal in signals.measure(folder)}


def broken(folder: Path) -> list[str]:
    return [s.name for s in signals.measure(folder) if s.hard and not s.good]


def function(lines: int) -> str:
    """Return a documented function of so many lines, docstring left out."""
    return '"""M."""\n\n\ndef f() -> None:\n    """Print so many lines."""\n' + "    print()\n" * (
        lines - 1
    )


def test_clean_tree_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert signals.main([str(tree(tmp_path, errors=CLEAN))]) == 0
    assert "FAILED" not in capsys.readouterr().out


def test_broken_tree_fails_and_names_the_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert signals.main([str(tree(tmp_path, errors=function(81)))]) == 1
    assert "src/fidokit/errors.py:4 f (81 lines)" in capsys.readouterr().out


@pytest.mark.parametrize(("lines", "expected"), [(80, []), (81, ["function lines, longest"])])
def test_function_length(tmp_path: Path, lines: int, expected: list[str]) -> None:
    assert broken(tree(tmp_path, errors=function(lines))) == expected


def test_function_length_holds_for_tests_too(tmp_path: Path) -> None:
    assert "function lines, longest" in broken(tree(tmp_path, tests__test_all=function(81)))


@pytest.mark.parametrize(("lines", "expected"), [(500, []), (501, ["file lines, longest"])])
def test_file_length(tmp_path: Path, lines: int, expected: list[str]) -> None:
    text = '"""M."""\n' + "#\n" * (lines - 1)
    assert broken(
        tree(tmp_path, errors=text, tests__test_all="#\n" * 500, tests__b="#\n" * 500)
    ) == (expected)


def test_missing_return_annotation(tmp_path: Path) -> None:
    text = CLEAN.replace(" -> int", "")
    assert "return annotations" in broken(tree(tmp_path, errors=text))


@pytest.mark.parametrize(
    "text",
    [
        "def one() -> int:\n    return 1\n",
        CLEAN
        + '\n\nclass One:\n    """A class of one."""\n\n    def f(self) -> int:\n        pass\n',
        '"""M."""\n\n\nclass One:\n    x = 1\n',
    ],
)
def test_missing_docstring(tmp_path: Path, text: str) -> None:
    assert "public docstrings" in broken(tree(tmp_path, errors=text))


@pytest.mark.parametrize(
    ("docstring", "stands"),
    [
        ("Return one.", False),
        ("The same for a key file.", True),
        ("The same.", False),
        ("Likewise, with a PIN.", False),
        ("Return the number of keys.", True),
    ],
)
def test_docstrings_stand_alone(tmp_path: Path, docstring: str, *, stands: bool) -> None:
    text = f'"""M."""\n\n\ndef f() -> int:\n    """{docstring}"""\n    return 1\n'
    expected = [] if stands else ["public docstrings that do not stand alone"]
    assert broken(tree(tmp_path, errors=text)) == expected


def test_private_names_need_no_docstring(tmp_path: Path) -> None:
    text = CLEAN + "\n\ndef _two() -> int:\n    return 2\n"
    assert broken(tree(tmp_path, errors=text)) == []


def handler(clause: str, action: str) -> str:
    return f'"""M."""\n\ntry:\n    x = 1\n{clause}:\n    {action}\n'


@pytest.mark.parametrize(
    ("clause", "action", "counted"),
    [
        ("except Exception", "x = 2", True),
        ("except Exception", "raise", True),
        ("except (ValueError, Exception)", "x = 2", True),
        ("except", "x = 2", True),
        ("except BaseException", "x = 2", True),
        ("except BaseException", "raise", False),
        ("except ValueError", "x = 2", False),
    ],
)
def test_broad_handlers(clause: str, action: str, *, counted: bool) -> None:
    parsed = ast.parse(handler(clause, action))
    found = [node for node in ast.walk(parsed) if isinstance(node, ast.ExceptHandler)]
    assert [signals.broad(node) for node in found] == [counted]


def test_broad_handlers_stand_only_at_boundaries(tmp_path: Path) -> None:
    text = handler("except Exception", "x = 2")
    assert broken(tree(tmp_path, cli__main=text, errors=LONG)) == []
    assert broken(tree(tmp_path, cli__main=text, errors=LONG, types=text)) == [
        "handlers of every exception outside boundaries"
    ]


def test_cli_share(tmp_path: Path) -> None:
    library = '"""M."""\n' + "#\n" * 299
    assert broken(tree(tmp_path, errors=library, cli__main='"""M."""\n' + "#\n" * 60)) == []
    assert broken(tree(tmp_path, errors=library, cli__main='"""M."""\n' + "#\n" * 90)) == [
        "cli, share of the library"
    ]


def test_tests_shorter_than_the_source(tmp_path: Path) -> None:
    assert broken(tree(tmp_path, errors=CLEAN, tests__test_all="#\n")) == [
        "lines of tests to source"
    ]


@pytest.mark.parametrize(
    ("there", "back"),
    [
        ("from fidokit.types import f", "from fidokit.errors import g"),
        ("import fidokit.types", "from fidokit import errors"),
        ("from . import types", "from .errors import g"),
        ("from fidokit.types import f", "def h() -> None:\n    from fidokit.errors import g\n"),
        ("from fidokit.types import f", "if TYPE_CHECKING:\n    from fidokit.errors import g\n"),
        ("from fidokit.types import f", "WORKER = 'fidokit.errors'\n"),
        ("from fidokit.types import f", "WORKER = 'fidokit.errors:main'\n"),
        ("from fidokit.types import f", "load(f'fidokit.{name}')\nTABLE = ('errors:f',)\n"),
    ],
)
def test_import_cycle(tmp_path: Path, there: str, back: str) -> None:
    folder = tree(tmp_path, errors=f'"""M."""\n{there}\n', types=f'"""M."""\n{back}\n')
    assert "import cycles" in broken(folder)


def test_relative_import_from_a_subpackage(tmp_path: Path) -> None:
    folder = tree(
        tmp_path,
        errors='"""M."""\nfrom fidokit.openssh import deep\n',
        openssh____init__='"""S."""\n',
        openssh__deep='"""D."""\nfrom ..errors import g\n',
    )
    assert "import cycles" in broken(folder)


def test_soft_signal_does_not_fail(tmp_path: Path) -> None:
    folder = tree(tmp_path, errors=function(60))
    assert broken(folder) == []
    assert not verdicts(folder)["function lines, median"].good  # type: ignore[attr-defined]


def test_percentile_of_nothing_and_of_many() -> None:
    assert signals.percentile([], 0.95) == 0
    assert signals.percentile(list(range(100)), 0.95) == 95


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"client": "from fidokit.openssh import f"}, []),
        ({"client": "from fidokit.keys import f"}, ["imports against the rows"]),
        ({"client": "from fidokit.virtual import f"}, ["imports against the rows"]),
        ({"client": "WHO = 'fidokit.keys'"}, ["imports against the rows"]),
        ({"novelty": ""}, ["imports against the rows"]),
    ],
    ids=["down", "up", "beside", "up by a string", "a package without a row"],
)
def test_rows(tmp_path: Path, files: dict[str, str], expected: list[str]) -> None:
    there = dict.fromkeys(("openssh", "virtual", "keys"), CLEAN)
    text = {name: f'"""M."""\n{line}\n' for name, line in files.items()}
    assert broken(tree(tmp_path, **there, **text)) == expected


def test_a_class_name_stands_once(tmp_path: Path) -> None:
    text = '"""M."""\n\n\nclass {}:\n    """A class and nothing else."""\n'
    assert broken(tree(tmp_path, types=text.format("One"), errors=text.format("_One"))) == []
    assert broken(tree(tmp_path, types=text.format("One"), errors=text.format("One"))) == [
        "public class names used twice"
    ]


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("authorisation", "authorization", True),
        ("plug", "plugging", True),
        ("large_blob", "large_blobs", True),
        ("sealed", "sealing", False),
        ("hid", "uhid", True),
        ("hid", "hid_port", False),
        ("key_file", "key_lines", False),
        ("ec", "okp", False),
        ("sign", "signer", True),
    ],
)
def test_namesakes(one: str, other: str, *, alike: bool) -> None:
    structure = load("structure")
    assert structure.alike(one, other) is alike
    assert structure.alike(other, one) is alike


def test_a_folder_of_sixteen_files(tmp_path: Path) -> None:
    files = {f"types__f{number}": f'"""{number}."""\n' for number in range(15)}
    assert broken(tree(tmp_path, **files)) == []
    assert broken(tree(tmp_path, **files, types____init__='"""P."""\n')) == [
        "folders of more than 15 files"
    ]


@pytest.mark.parametrize(
    "phrase",
    [
        "it is no key",
        "bytes are no text",
        "the person answers",
        "tokens at hand",
        "mend the cause",
        "have sshd read it",
        "a key on no token",
        "there is no way back",
        "it makes no sense",
        "Exit status 1 where it fails",
        "may be given several times",
        "where nobody is asked",
    ],
)
def test_a_phrase_that_is_not_plain_english_is_named(tmp_path: Path, phrase: str) -> None:
    folder = tree(tmp_path, errors=CLEAN)
    (folder / "docs").mkdir()
    (folder / "docs/page.md").write_text(f"Here {phrase}.\n")
    (found,) = [
        s for s in signals.measure(folder) if s.name == "phrases that are not plain English"
    ]
    assert found.hard
    assert [place.partition(" ")[0] for place in found.where] == ["docs/page.md:1"]


@pytest.mark.parametrize("phrase", ["there is no key", "it is no longer there", "Where is no way?"])
def test_plain_phrases_pass(tmp_path: Path, phrase: str) -> None:
    (tmp_path / "README.md").write_text(phrase)
    assert "phrases that are not plain English" not in broken(tree(tmp_path, errors=CLEAN))
