"""Which programs can be given tokens, and that their ends are passed on."""

from __future__ import annotations

import os
import stat
import struct
import sys
from functools import partial
from pathlib import Path

import pytest

from fidokit.errors import Unsupported, UsageError
from fidokit.lab.bay import kept_in_memory
from fidokit.lab.program import ProgramToken, require_reachable, run_program
from fidokit.virtual.token import VirtualToken


def elf(*kinds: int) -> bytes:
    """The beginning of a program with these program headers."""
    head = b"\x7fELF\2\1\1" + bytes(9) + bytes(16) + struct.pack("<Q", 64) + bytes(14)
    head += struct.pack("<HH", 56, len(kinds)) + bytes(6)
    return head + b"".join(struct.pack("<I", kind) + bytes(52) for kind in kinds)


def kept(token: VirtualToken) -> ProgramToken:
    return ProgramToken("a token", partial(kept_in_memory, token))


def program(folder: Path, data: bytes, mode: int = 0o755) -> str:
    path = folder / "program"
    path.write_bytes(data)
    path.chmod(mode)
    return str(path)


def test_a_program_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no program"):
        require_reachable(str(tmp_path / "none"))


@pytest.mark.parametrize(
    "data",
    [
        b"#!/bin/sh\n",
        b"",
        b"\x7fELF",
        elf(6, 3, 1),
        elf(),
        elf(1, 1)[:70],
        b"\x7fELF\1" + bytes(80),
    ],
    ids=["script", "empty", "magic", "dynamic", "no headers", "cut off", "32 bits"],
)
def test_programs_that_nothing_speaks_against(tmp_path: Path, data: bytes) -> None:
    require_reachable(program(tmp_path, data))


def test_a_static_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="statically linked") as caught:
        require_reachable(program(tmp_path, elf(1, 1, 4)))
    assert "virtual serve NAME --uhid" in caught.value.hint


@pytest.mark.parametrize("bit", [stat.S_ISUID, stat.S_ISGID])
def test_a_program_of_other_rights_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bit: int
) -> None:
    path = program(tmp_path, elf(3), 0o755 | bit)
    require_reachable(path)  # of our own rights: they do not change
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(os, "getegid", lambda: 12345)
    with pytest.raises(Unsupported, match="another user or group"):
        require_reachable(path)


@pytest.mark.compiled
@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -9 $$", 137), (":", 0)])
def test_its_end_is_ours(script: str, code: int) -> None:
    with VirtualToken() as token:
        assert run_program(["sh", "-c", script], [kept(token)]) == code


@pytest.mark.compiled
def test_python_fido2_sees_the_tokens(capfd: pytest.CaptureFixture[str]) -> None:
    script = """if True:
        from fido2.ctap2 import Ctap2
        from fido2.hid import CtapHidDevice
        for device in CtapHidDevice.list_devices():
            with device:
                print(device.descriptor.path, "FIDO_2_3" in Ctap2(device).info.versions)
    """
    with VirtualToken() as one, VirtualToken(profile="ctap2.0") as other:
        assert run_program([sys.executable, "-c", script], [kept(one), kept(other)]) == 0
    seen = sorted(capfd.readouterr().out.splitlines())
    assert [line.split()[0] for line in seen] == ["/dev/hidraw90", "/dev/hidraw91"]
    assert [line.split()[1] for line in seen] == ["True", "False"]


@pytest.mark.compiled
def test_what_is_not_ours_is_untouched(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Files, folders, missing nodes, preloads and the environment of the program."""
    script = f"""if True:
        import os
        assert "hidraw90" in os.listdir("/dev") and "null" in os.listdir("/dev")
        assert os.stat("/dev/null").st_rdev != os.stat("/dev/hidraw90").st_rdev
        for wrong in ("/dev/hidraw89", "/dev/hidraw", "/dev/hidraw90x", "/tmp/hidraw90"):
            try:
                os.open(wrong, os.O_RDWR)
            except FileNotFoundError:
                continue
            raise AssertionError(wrong)
        with open({str(tmp_path / "file")!r}, "w") as file:
            file.write("x" * 100_000)
        assert os.stat({str(tmp_path / "file")!r}).st_size == 100_000
        assert os.listdir({str(tmp_path)!r}) == ["file"]
        assert os.environ["KEPT"] == "1"
    """
    os.environ["KEPT"] = "1"
    try:
        with VirtualToken() as token:
            assert run_program([sys.executable, "-c", script], [kept(token)]) == 0
    finally:
        del os.environ["KEPT"]
    assert capfd.readouterr().err == ""
