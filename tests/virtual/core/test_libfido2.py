"""Stock libfido2 (fido2-cred, fido2-assert) verifies what the authenticator signs."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.virtual.core.client import (
    EDDSA,
    ES256,
    HASH,
    RP,
    Bench,
    Made,
    descriptor,
    encode,
    param,
)

from fidokit.virtual.core.profile import CTAP_2_3

pytestmark = pytest.mark.interop

TYPES = {ES256: "es256", EDDSA: "eddsa"}


@pytest.fixture(scope="module", autouse=True)
def stock_programs() -> None:
    missing = [name for name in ("fido2-cred", "fido2-assert") if shutil.which(name) is None]
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"{missing} missing: install fido2-tools")
    if missing:
        pytest.skip(f"{missing} missing: install fido2-tools")


def run(
    program: str, *arguments: str, lines: list[str | bytes]
) -> subprocess.CompletedProcess[str]:
    text = [line if isinstance(line, str) else base64.b64encode(line).decode() for line in lines]
    return subprocess.run(
        [program, "-V", *arguments],
        input="\n".join(text) + "\n",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def verify_credential(made: Made, alg: int, *, raw_data: bytes) -> str:
    lines = [HASH, RP, made.fmt, encode(raw_data), made.id, made.statement["sig"]]
    lines += made.statement.get("x5c", [])
    done = run("fido2-cred", "-h", TYPES[alg], lines=lines)
    assert done.returncode == 0, done.stderr
    return done.stdout


def making(model: Any, alg: int, fmt: str) -> tuple[Bench, Made]:
    bench = Bench(model)
    return bench, bench.make({4: [param(alg)], 6: {"hmac-secret": True}, 11: [fmt]})


CASES = pytest.mark.parametrize(
    ("model", "alg", "fmt"),
    [
        (CTAP_2_3, ES256, "packed"),
        (CTAP_2_3, EDDSA, "packed"),
        (CTAP_2_3, ES256, "fido-u2f"),
        (replace(CTAP_2_3, self_attestation=True), ES256, "packed"),
        (replace(CTAP_2_3, self_attestation=True), EDDSA, "packed"),
    ],
)


@CASES
@pytest.mark.check("ATT-01", "ATT-02", "ATT-06")
def test_credentials(model: Any, alg: int, fmt: str) -> None:
    _, made = making(model, alg, fmt)
    assert made.fmt == fmt
    assert "PUBLIC KEY" in verify_credential(made, alg, raw_data=made.raw_data)
    forged = bytearray(made.raw_data)
    forged[34] ^= 1  # the counter
    if fmt == "packed":
        with pytest.raises(AssertionError, match="fido_cred_verify"):
            verify_credential(made, alg, raw_data=bytes(forged))


@pytest.mark.parametrize("alg", [ES256, EDDSA])
@pytest.mark.check("GA-18")
def test_assertions(tmp_path: Path, alg: int) -> None:
    bench, made = making(CTAP_2_3, alg, "packed")
    pem = verify_credential(made, alg, raw_data=made.raw_data).partition("-----BEGIN")
    key = tmp_path / "key.pem"
    key.write_text("".join(pem[1:]))
    body = bench.get({3: [descriptor(made.id)]})
    lines = [HASH, RP, encode(body[2]), body[3]]
    arguments = ("-p", str(key), TYPES[alg])
    good = run("fido2-assert", *arguments, lines=lines)
    assert good.returncode == 0, good.stderr
    forged = run("fido2-assert", *arguments, lines=[bytes(32), *lines[1:]])
    assert forged.returncode != 0
