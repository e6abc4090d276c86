"""pcapng: its blocks, and what tshark reads."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.recording.sessions import session

from fidokit.errors import WouldOverwrite
from fidokit.lab.recording.capture import pcapng, write_pcapng
from fidokit.lab.recording.recorder import read_recording


def blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        kind, size = struct.unpack_from("<II", data)
        assert size % 4 == 0
        assert data[size - 4 : size] == data[4:8]
        yield kind, data[8 : size - 4]
        data = data[size:]


def test_its_blocks(tmp_path: Path) -> None:
    session(tmp_path / "r")
    recording = read_recording(tmp_path / "r")
    kinds = [kind for kind, _ in blocks(pcapng(recording))]
    assert kinds == [0x0A0D0D0A, 1, *[6] * (2 * len(recording.exchanges))]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    session(tmp_path / "r")
    with pytest.raises(WouldOverwrite):
        write_pcapng(tmp_path / "r", read_recording(tmp_path / "r"))


@pytest.mark.interop
def test_tshark_reads_it(tmp_path: Path) -> None:
    session(tmp_path / "r")
    recording = read_recording(tmp_path / "r")
    write_pcapng(tmp_path / "c.pcapng", recording)
    tshark = shutil.which("tshark")
    assert tshark, "install the packages of .ci/debian-packages"
    said = subprocess.check_output(
        [tshark, "-r", str(tmp_path / "c.pcapng"), "-T", "fields"]
        + [word for name in ("frame.protocols", "frame.comment") for word in ("-e", name)],
        text=True,
        stderr=subprocess.PIPE,
    ).splitlines()
    assert len(said) == 2 * len(recording.exchanges)
    assert said[0].split("\t")[1].startswith("#1 authenticatorGetInfo (CTAP 6.4), channel ")
    decoded = [line for line in said if line.startswith("exported_pdu:cbor\t")]
    assert len(decoded) > len(recording.exchanges)
    assert not [line for line in said if "alformed" in line]
