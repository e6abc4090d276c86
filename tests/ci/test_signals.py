"""The signals, on small trees that break one limit each."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from tests.ci.loading import load

signals = load("signals")

CLEAN = '"""One."""\n\n\ndef one() -> int:\n    """Return one."""\n    return 1\n'


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
    return '"""M."""\n\n\ndef f() -> None:\n    """D."""\n' + "    print()\n" * (lines - 1)


def test_clean_tree_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert signals.main([str(tree(tmp_path, one=CLEAN))]) == 0
    assert "FAILED" not in capsys.readouterr().out


def test_broken_tree_fails_and_names_the_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert signals.main([str(tree(tmp_path, one=function(81)))]) == 1
    assert "src/fidokit/one.py:4 f (81 lines)" in capsys.readouterr().out


@pytest.mark.parametrize(("lines", "expected"), [(80, []), (81, ["function lines, longest"])])
def test_function_length(tmp_path: Path, lines: int, expected: list[str]) -> None:
    assert broken(tree(tmp_path, one=function(lines))) == expected


def test_function_length_holds_for_tests_too(tmp_path: Path) -> None:
    assert "function lines, longest" in broken(tree(tmp_path, tests__test_all=function(81)))


@pytest.mark.parametrize(("lines", "expected"), [(500, []), (501, ["file lines, longest"])])
def test_file_length(tmp_path: Path, lines: int, expected: list[str]) -> None:
    text = '"""M."""\n' + "#\n" * (lines - 1)
    assert broken(tree(tmp_path, one=text, tests__test_all="#\n" * 500, tests__b="#\n" * 500)) == (
        expected
    )


def test_missing_return_annotation(tmp_path: Path) -> None:
    text = CLEAN.replace(" -> int", "")
    assert "return annotations" in broken(tree(tmp_path, one=text))


@pytest.mark.parametrize(
    "text",
    [
        "def one() -> int:\n    return 1\n",
        '"""M."""\n\n\nclass One:\n    """C."""\n\n    def f(self) -> int:\n        return 1\n',
        '"""M."""\n\n\nclass One:\n    x = 1\n',
    ],
)
def test_missing_docstring(tmp_path: Path, text: str) -> None:
    assert "public docstrings" in broken(tree(tmp_path, one=text))


def test_private_names_need_no_docstring(tmp_path: Path) -> None:
    text = CLEAN + "\n\ndef _two() -> int:\n    return 2\n"
    assert broken(tree(tmp_path, one=text)) == []


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


def test_one_broad_handler_is_allowed_and_two_are_not(tmp_path: Path) -> None:
    text = handler("except Exception", "x = 2")
    assert broken(tree(tmp_path, one=text)) == []
    assert broken(tree(tmp_path, one=text, two=text)) == ["handlers of every exception"]


def test_cli_share(tmp_path: Path) -> None:
    library = '"""M."""\n' + "#\n" * 299
    assert broken(tree(tmp_path, one=library, cli__main='"""M."""\n' + "#\n" * 60)) == []
    assert broken(tree(tmp_path, one=library, cli__main='"""M."""\n' + "#\n" * 90)) == [
        "cli, share of the library"
    ]


def test_tests_shorter_than_the_source(tmp_path: Path) -> None:
    assert broken(tree(tmp_path, one=CLEAN, tests__test_all="#\n")) == ["lines of tests to source"]


@pytest.mark.parametrize(
    ("there", "back"),
    [
        ("from fidokit.two import f", "from fidokit.one import g"),
        ("import fidokit.two", "from fidokit import one"),
        ("from . import two", "from .one import g"),
        ("from fidokit.two import f", "def h() -> None:\n    from fidokit.one import g\n"),
    ],
)
def test_import_cycle(tmp_path: Path, there: str, back: str) -> None:
    folder = tree(tmp_path, one=f'"""M."""\n{there}\n', two=f'"""M."""\n{back}\n')
    assert "import cycles" in broken(folder)


def test_import_for_types_alone_is_no_cycle(tmp_path: Path) -> None:
    back = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from fidokit.one import g\n"
    one = '"""M."""\nfrom fidokit.two import f\n'
    assert broken(tree(tmp_path, one=one, two=f'"""M."""\n{back}')) == []


def test_relative_import_from_a_subpackage(tmp_path: Path) -> None:
    folder = tree(
        tmp_path,
        one='"""M."""\nfrom fidokit.sub import deep\n',
        sub____init__='"""S."""\n',
        sub__deep='"""D."""\nfrom ..one import g\n',
    )
    assert "import cycles" in broken(folder)


def test_soft_signal_does_not_fail(tmp_path: Path) -> None:
    folder = tree(tmp_path, one=function(60))
    assert broken(folder) == []
    assert not verdicts(folder)["function lines, median"].good  # type: ignore[attr-defined]


def test_percentile_of_nothing_and_of_many() -> None:
    assert signals.percentile([], 0.95) == 0
    assert signals.percentile(list(range(100)), 0.95) == 95
