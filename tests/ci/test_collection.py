"""The Ansible collection: which part of our library travels in it, and how it finds itself."""

from __future__ import annotations

import ast
import gzip
import io
import tarfile
from pathlib import Path

import pytest
from tests.ci.loading import load
from tests.server.test_python39 import too_new

packer = load("collection")
TOP = Path(__file__).parents[2]
LIBRARY = packer.library(TOP / "src", TOP / "ansible/plugins")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("collections") / "ansible_collections/fidokit/ssh"
    place.parent.mkdir(parents=True)
    packer.write(TOP, place)
    return place


def test_the_library_is_of_servers_and_the_standard_library() -> None:
    assert "fidokit.server.desired.account_keys" in LIBRARY
    rooms = {".".join(name.split(".")[1:2]) for name in LIBRARY}
    lower = {"", "errors", "types", "facade", "findings", "openssh", "files", "system"}
    assert rooms <= {"server", "cli", "prompt", *lower}
    imported = {
        word.partition(".")[0]
        for path in LIBRARY.values()
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for word in (getattr(node, "module", None) or "", *(alias.name for alias in node.names))
    }
    assert not imported & {"click", "rich", "fido2", "bcrypt", "cryptography", "pyotp", "yaml"}


@pytest.mark.parametrize("name", LIBRARY)
def test_nothing_is_newer_than_python_39(name: str) -> None:
    assert too_new(LIBRARY[name].read_text()) == []


def test_plug_ins_keep_to_python_39(tree: Path) -> None:
    for path in (tree / "plugins").rglob("*.py"):
        if "module_utils/fidokit" not in path.as_posix():
            assert too_new(path.read_text()) == [], path


def test_what_is_inside_finds_what_is_inside(tree: Path) -> None:
    """Every import of ours is relative, leads to a file that is there, and none is left."""
    utils = tree / "plugins/module_utils"
    found = 0
    for path in (utils / "fidokit").rglob("*.py"):
        for node in load("pyz").evaluated(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom):
                continue
            if node.level:
                place = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
                assert place.is_dir() or place.with_suffix(".py").exists(), (path, node.lineno)
                found += 1
            elif (node.module or "").startswith("fidokit"):
                name = f"{node.module}"
                assert name not in LIBRARY, (path, node.lineno, name)
    assert found > 300


def test_every_import_of_a_plug_in_is_there(tree: Path) -> None:
    for name in packer.roots(tree / "plugins"):
        place = tree / "plugins/module_utils" / Path(*name.split("."))
        is_module = place.is_dir() or place.with_suffix(".py").exists()
        assert is_module or place.parent.with_suffix(".py").exists(), name


@pytest.mark.parametrize(
    ("name", "path", "before", "after"),
    [
        ("fidokit.a.b", "a/b.py", "from fidokit.a import c", "from ..a import c"),
        ("fidokit.a.b", "a/b.py", "    from fidokit.a.c import D", "    from ..a.c import D"),
        ("fidokit.a", "a/__init__.py", "from fidokit.a.c import D", "from ..a.c import D"),
        ("fidokit.a.b", "a/b.py", "from fidokit import a", "from .. import a"),
        ("fidokit.a.b", "a/b.py", "from fidokit.other import e", "from fidokit.other import e"),
        ("fidokit.a.b", "a/b.py", "from typing import Any", "from typing import Any"),
        ("fidokit.a.b", "a/b.py", "s = 'from fidokit.a import c'", "s = 'from fidokit.a import c'"),
    ],
)
def test_imports_become_relative(name: str, path: str, before: str, after: str) -> None:
    inside = {"fidokit", "fidokit.a", "fidokit.a.b", "fidokit.a.c"}
    text = f"if x:\n{before}\n" if before.startswith(" ") else f"{before}\n"
    made = packer.relative(text, name, Path(path), inside)
    assert made.splitlines()[-1] == after


def test_an_import_without_a_relative_form_is_refused() -> None:
    with pytest.raises(ValueError, match="write `from"):
        packer.relative("import fidokit.a\n", "fidokit.b", Path("b.py"), {"fidokit.a"})


def test_repacked_archives_differ_by_content_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    made = []
    for mtime, names in ((1, ("b", "a")), (2, ("a", "b"))):
        path = tmp_path / f"{mtime}.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            for name in names:
                info = tarfile.TarInfo(name)
                info.mtime, info.size, info.uid = mtime, 1, mtime
                archive.addfile(info, io.BytesIO(name.encode()))
        packer.repack(path)
        made.append(path.read_bytes())
    assert made[0] == made[1]
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(made[0]))) as archive:
        assert [(one.name, one.mtime) for one in archive] == [("a", 10**9), ("b", 10**9)]


def test_documents_and_arguments_of_modules_agree() -> None:
    """As ansible-test's validate-modules sees it, for those who do not have that."""
    yaml = pytest.importorskip("yaml")
    for path in sorted((TOP / "ansible/plugins/modules").glob("*.py")):
        body = ast.parse(path.read_text())
        texts = {
            node.targets[0].id: ast.literal_eval(node.value)
            for node in body.body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id in {"DOCUMENTATION", "EXAMPLES", "RETURN"}
        }
        documented = yaml.safe_load(texts["DOCUMENTATION"])
        assert documented["module"] == path.stem
        [call] = [
            node
            for node in ast.walk(body)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "arguments"
        ]
        named = {word.arg for word in call.keywords} | {"sshd", "config"}
        assert set(documented["options"]) == named, path.name
        assert yaml.safe_load(texts["EXAMPLES"])
        assert yaml.safe_load(texts["RETURN"])
