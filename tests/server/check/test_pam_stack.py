"""What a PAM stack may answer, by its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from fidokit.server.check.pam_stack import (
    ACCOUNT,
    ANYTHING,
    AUTH,
    FAILURE,
    REFUSAL,
    PamFiles,
    PamStep,
    PamUnclear,
    may_answer,
)

DEBIAN = """\
auth [success=1 default=ignore] pam_unix.so nullok
auth requisite pam_deny.so
auth required pam_permit.so
auth optional pam_cap.so
"""
FAILLOCK = """\
auth requisite pam_faillock.so preauth
auth [success=2 default=ignore] pam_unix.so nullok
auth [default=die] pam_faillock.so authfail
auth requisite pam_deny.so
auth required pam_permit.so
"""
MODULES = {"pam_unix": FAILURE, "pam_deny": REFUSAL}


def files(tmp_path: Path, **services: str) -> PamFiles:
    (tmp_path / "etc/pam.d").mkdir(parents=True, exist_ok=True)
    for name, text in services.items():
        (tmp_path / "etc/pam.d" / name.replace("_", "-")).write_text(text)
    return PamFiles(tmp_path)


def returns(line: PamStep) -> frozenset[str]:
    return MODULES.get(line.module, ANYTHING)


def says_yes(stacks: list[tuple[PamStep, ...]]) -> bool:
    return any(may_answer(lines, returns) for lines in stacks)


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        (DEBIAN, False),
        (FAILLOCK, False),
        ("auth required pam_unix.so\n", False),
        ("auth required pam_unix.so\nauth sufficient pam_permit.so\n", False),
        ("auth required /usr/lib/x86_64-linux-gnu/security/pam_unix.so\n", False),
        ("auth required /opt/pam_unix.so\n", True),
        ("auth required pam_unix\n", True),  # no file has that name, so nobody knows
        ("auth optional pam_unix.so\nauth required pam_permit.so\n", True),
        ("auth sufficient pam_unix.so\n", False),
        ("auth sufficient pam_sss.so\nauth required pam_deny.so\n", True),
        ("auth [success=done default=ignore] pam_unix.so\nauth required pam_deny.so\n", False),
        ("auth [auth_err=done default=ignore] pam_unix.so\nauth required pam_permit.so\n", True),
        ("auth [success=1 default=die] pam_unix.so\nauth required pam_permit.so\n", False),
        ("auth [default=1] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
         True),
        ("auth [default=2] pam_unix.so\nauth required pam_permit.so\n", False),  # a jump too far
        ("AUTH Required pam_permit.so\n", True),
        ("-auth sufficient pam_ldap.so\nauth required pam_deny.so\n", True),
        ("auth required \\\n  pam_deny.so # required\n", False),
        ("account required pam_permit.so\n", False),  # and no other service
    ],
)  # fmt: skip
def test_stacks(tmp_path: Path, text: str, yes: bool) -> None:
    assert says_yes(files(tmp_path, sshd=text).stacks("sshd", AUTH)) is yes


@pytest.mark.parametrize(
    "text",
    [
        "auth\n",
        "auth required\n",
        "auth perhaps pam_unix.so\n",
        "auth [success=maybe] pam_unix.so\n",
        "auth [sucess=ok default=die] pam_unix.so\n",
        "auth [success=0] pam_unix.so\n",
        "auth [success=ok pam_unix.so\n",
        "author required pam_unix.so\n",
        "auth required pam_unix.so \\",
        "auth required pam_unix.so \\# more\n",
        "@include nowhere\n",
        "@include sshd\n",
        "auth substack sshd\n",
        "auth required pam_deny.so\n" * 600,
    ],
)
def test_what_is_not_understood_is_said_to_be_so(tmp_path: Path, text: str) -> None:
    with pytest.raises(PamUnclear):
        says_yes(files(tmp_path, sshd=text).stacks("sshd", AUTH))


@pytest.mark.parametrize(
    ("including", "yes"),
    [
        ("@include common-auth\n", False),
        ("auth include common-auth\n", False),
        ("auth substack common-auth\n", False),
        ("auth sufficient pam_rootok.so\n@include common-auth\n", True),
        # `done` and `die` end a substack alone, and what it refused stays refused.
        ("auth substack common-auth\nauth required pam_permit.so\n", False),
        ("auth [default=1] pam_unix.so\nauth substack common-auth\nauth required pam_permit.so\n",
         True),
        ("account include common-auth\nauth required pam_deny.so\n", False),
    ],
)  # fmt: skip
def test_includes(tmp_path: Path, including: str, yes: bool) -> None:
    made = files(tmp_path, sshd=including, common_auth=DEBIAN)
    assert says_yes(made.stacks("sshd", AUTH)) is yes


def test_a_substack_ends_early(tmp_path: Path) -> None:
    inner = "auth sufficient pam_permit.so\nauth required pam_deny.so\n"
    made = files(tmp_path, sshd="auth substack inner\nauth required pam_deny.so\n", inner=inner)
    assert not says_yes(made.stacks("sshd", AUTH))
    made = files(tmp_path, sshd="auth include inner\nauth required pam_deny.so\n", inner=inner)
    assert says_yes(made.stacks("sshd", AUTH))


def test_which_file_counts(tmp_path: Path) -> None:
    made = files(tmp_path, other="auth required pam_permit.so\n")
    assert says_yes(made.stacks("sshd", AUTH))
    made = files(tmp_path, sshd="auth required pam_deny.so\n")
    assert not says_yes(made.stacks("/usr/sbin/SSHD", AUTH))
    assert says_yes(made.stacks("sshd-other", AUTH))
    made = files(tmp_path, sshd="account required pam_deny.so\n")
    assert says_yes(made.stacks("sshd", AUTH))  # no auth line: those of `other`
    assert [line.module for line in made.stacks("sshd", ACCOUNT)[0]] == ["pam_deny"]


def test_a_vendor_file_is_read_by_some_versions_only(tmp_path: Path) -> None:
    made = files(tmp_path, other="auth required pam_permit.so\n")
    vendor = tmp_path / "usr/lib/pam.d/sshd"
    vendor.parent.mkdir(parents=True)
    vendor.write_text("auth required pam_deny.so\n")
    assert says_yes(made.stacks("sshd", AUTH))


def test_the_old_file_beside_the_folder(tmp_path: Path) -> None:
    made = files(tmp_path, sshd="auth required pam_deny.so\n")
    (tmp_path / "etc/pam.conf").write_text("# a comment\nlogin auth required pam_permit.so\n")
    assert not says_yes(made.stacks("sshd", AUTH))
    (tmp_path / "etc/pam.conf").write_text("SSHD auth sufficient pam_permit.so\n")
    with pytest.raises(PamUnclear, match=r"line 1 of /etc/pam\.conf"):
        PamFiles(tmp_path).stacks("sshd", AUTH)
