"""The clients of docs/examples/control act on a token, in each language whose tools are here."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest

from fidokit.lab.bay import Bay, kept_in_memory
from fidokit.lab.control import ControlSocket
from fidokit.virtual.faults import Refuse
from fidokit.virtual.token import VirtualToken

CLIENTS = Path(__file__).parents[2] / "docs" / "examples" / "control"
PAGE = CLIENTS.parents[1] / "control-socket.md"
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsanitize=address,undefined"]
WAYS = {
    "hands.mjs": ("node", [], ["node", "hands.mjs"]),
    "hands.go": ("go", ["go", "build", "-o", "go-hands", "hands.go"], ["./go-hands"]),
    "hands.c": ("cc", ["cc", *STRICT, "-o", "c-hands", "hands.c"], ["./c-hands"]),
    "hands.rs": ("rustc", ["rustc", "-Dwarnings", "-o", "rs-hands", "hands.rs"], ["./rs-hands"]),
}
"""What is needed, how it is built, how it is run."""


@pytest.mark.interop
@pytest.mark.parametrize("name", WAYS)
def test_it_acts(name: str, tmp_path: Path) -> None:
    tool, build, run = WAYS[name]
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    shutil.copy(CLIENTS / name, tmp_path)
    env = {**os.environ, "GOCACHE": str(tmp_path / "cache"), "GO111MODULE": "off"}
    if build:
        subprocess.run(build, cwd=tmp_path, env=env, check=True, timeout=500)
    token, path = VirtualToken(presence="script"), tmp_path / "control"
    bay = Bay("it", partial(kept_in_memory, token), lambda _: nullcontext())
    with bay, ControlSocket(bay, path):
        answers: list[bytes] = []
        asking = threading.Thread(target=lambda: answers.append(token.link().cbor(b"\x0b")))
        asking.start()
        power = token.power
        done = subprocess.run(
            run,
            cwd=tmp_path,
            env=env | {"FIDOKIT_CONTROL": str(path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        asking.join(20)
        assert done.stderr == ""
        assert done.stdout == f"waits for: touch\nserial: {token.identity.serial}\n"
        assert answers == [b"\0"]
        assert token.power != power
        assert token.link().cbor(b"\x04") == b"\x7f"
        assert token.faults.struck == [Refuse(0x7F)]


def test_the_page_names_them_all_and_each_is_short() -> None:
    files = sorted(path.name for path in CLIENTS.iterdir())
    assert files == sorted(WAYS)
    for name in files:
        assert f"(examples/control/{name})" in PAGE.read_text()
        assert len((CLIENTS / name).read_text().splitlines()) <= 120
