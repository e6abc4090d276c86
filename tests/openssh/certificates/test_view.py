"""What a certificate says, in words."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.support.samples import SK_ED25519
from tests.support.signers import certificate, ed25519_key

from fidokit.openssh.certificates.certificate import FOREVER, CertKind, CertOption
from fidokit.openssh.certificates.view import CertificateFacts, describe, format_time, validity
from fidokit.openssh.keys import fingerprint


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_facts() -> None:
    authority = ed25519_key().public
    sample = certificate(
        SK_ED25519,
        ed25519_key(),
        kind=CertKind.HOST,
        principals=("a", "b"),
        serial=9,
        key_id="id",
        critical_options=(
            CertOption.with_value("force-command", "/bin/true"),
            CertOption("verify-required"),
            CertOption("source-address", b"junk"),
            CertOption("odd"),
        ),
        extensions=(CertOption("permit-pty"), CertOption("x@example.com", b"\1\2")),
    )
    assert describe(sample) == CertificateFacts(
        type_name="sk-ssh-ed25519-cert-v01@openssh.com",
        kind="host",
        key=f"ED25519-SK-CERT {fingerprint.sha256(SK_ED25519.blob())}",
        authority=f"ED25519 {fingerprint.sha256(authority.blob())}",
        signature_type="ssh-ed25519",
        key_id="id",
        serial=9,
        valid="forever",
        principals=("a", "b"),
        critical_options=(
            "force-command /bin/true",
            "verify-required",
            "source-address UNKNOWN OPTION: 6a756e6b (len 4)",
            "odd UNKNOWN FLAG OPTION",
        ),
        extensions=("permit-pty", "x@example.com UNKNOWN OPTION: 0102 (len 2)"),
    )


@pytest.mark.parametrize(
    ("after", "before", "words"),
    [
        (0, FOREVER, "forever"),
        (0, 86400, "before 1970-01-02T00:00:00"),
        (86400, FOREVER, "after 1970-01-02T00:00:00"),
        (0, 0, "before 1970-01-01T00:00:00"),
        (1, 86400, "from 1970-01-01T00:00:01 to 1970-01-02T00:00:00"),
    ],
)
def test_validity(after: int, before: int, words: str) -> None:
    sample = certificate(SK_ED25519, ed25519_key(), valid_after=after, valid_before=before)
    assert validity(sample) == words


def test_times_beyond_all_calendars_stay_numbers() -> None:
    assert format_time(FOREVER - 1) == f"{FOREVER - 1} seconds after 1970"
