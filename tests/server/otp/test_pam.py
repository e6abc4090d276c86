"""What PAM's line says of secrets: pam.conf(5)'s forms, includes, the module's options."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from fidokit.errors import FidokitError, UsageError
from fidokit.server.accounts import Account, account
from fidokit.server.otp.pam import (
    HOME,
    SecretPlace,
    lines_of_module,
    place_of,
    read_service,
)

ANN = Account("ann", 4321, 4321, Path("/home/ann"))
ROOT = SecretPlace("/var/lib/otp/${USER}", "root")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", HOME),
        ("auth required pam_google_authenticator.so\n", HOME),
        ("session required pam_google_authenticator.so secret=/x\n", HOME),
        ("# auth required pam_google_authenticator.so secret=/x\n", HOME),
        (
            "-auth [success=1 default=ignore] /lib/security/pam_google_authenticator.so "  # noqa: ISC004
            "secret=/var/lib/otp/${USER} user=root\n",
            ROOT,
        ),
        (
            "AUTH required \\\n pam_google_authenticator.so [secret=/a b] # more\n",
            SecretPlace("/a b"),
        ),
        (
            "auth required pam_google_authenticator.so no_strict_owner allowed_perm=0640 nullok\n",
            SecretPlace(allowed_mode=0o640, strict_owner=False),
        ),
        (
            "auth required pam_google_authenticator.so allow_readonly\n",
            SecretPlace(must_write=False),
        ),
        ("auth required pam_google_authenticator.so allowed_perm=9\n", HOME),
        ("@include other\n", ROOT),
        ("auth include other\nauth required pam_google_authenticator.so\n", ROOT),
        ("auth substack other\n", ROOT),
        ("session include other\nauth required pam_google_authenticator.so\n", HOME),
    ],
)
def test_where_the_module_looks(tmp_path: Path, text: str, place: SecretPlace) -> None:
    (tmp_path / "other").write_text(
        f"auth required pam_google_authenticator.so {' '.join(ROOT.options)}\n"
    )
    service = tmp_path / "sshd"
    service.write_text(text)
    assert place_of(service) == place


def test_no_service_at_all(tmp_path: Path) -> None:
    assert place_of(tmp_path / "sshd") == HOME


def test_services_without_end(tmp_path: Path) -> None:
    (tmp_path / "sshd").write_text("@include sshd\n")
    with pytest.raises(FidokitError, match="includes itself"):
        read_service(tmp_path / "sshd")


def test_the_lines_that_ask_for_codes(tmp_path: Path) -> None:
    (tmp_path / "sshd").write_text(
        "auth requisite pam_exec.so [a b\\] c]\nauth required pam_google_authenticator.so a=b\n"
    )
    lines = read_service(tmp_path / "sshd")
    assert lines[0].words == ("pam_exec.so", "a b] c")
    (found,) = lines_of_module(lines)
    assert found.words == ("pam_google_authenticator.so", "a=b")


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("~/.google_authenticator", "/home/ann/.google_authenticator"),
        ("${HOME}/x", "/home/ann/x"),
        ("/s/${USER}/~", "/s/ann/~"),
    ],
)
def test_paths(pattern: str, path: str) -> None:
    assert SecretPlace(pattern).path(ANN) == Path(path)


def test_whose_rights() -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name
    assert HOME.actor(ANN) == ANN
    assert SecretPlace(reader=me).actor(ANN) == account(me)
    assert SecretPlace(reader=str(os.geteuid())).actor(ANN).uid == os.geteuid()
    for nobody in ("4000000000", "no such user"):
        with pytest.raises(UsageError):
            SecretPlace(reader=nobody).actor(ANN)


def test_files_of_roots() -> None:
    assert SecretPlace.of_root("/var/lib/otp/${USER}") == ROOT
    assert ROOT.options == ("secret=/var/lib/otp/${USER}", "user=root")
    for pattern in ("otp/${USER}", "/var/lib/otp", "/a b/${USER}", "/a]/${USER}", "~/${USER}"):
        with pytest.raises(UsageError):
            SecretPlace.of_root(pattern)
