"""authorized_keys over ssh: the scripts in several shells, without a network.

A stand-in for ssh runs the command in a shell here; tests/interop does the same over a real sshd.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.server.samples import OTHER, PLAIN, TOKEN, text, wanted

from fidokit.errors import FidokitError, NoPermission
from fidokit.openssh.keys.public import PublicLine
from fidokit.server.authorize.lines import Change, authorize
from fidokit.server.authorize.over_ssh import far_account, far_shell

SHELLS = (
    "dash",
    "bash --posix",
    pytest.param("busybox sh", marks=pytest.mark.interop),
    pytest.param("mksh", marks=pytest.mark.interop),
)
PATH = ".ssh/authorized_keys"

Edit = Callable[..., Change]


def adding(*lines: PublicLine) -> Callable[[bytes], Change]:
    return lambda before: authorize(before, [wanted(line) for line in lines])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home of 'them'"
    made.mkdir()
    return made


@pytest.fixture
def path(home: Path) -> Path:
    return home / PATH


def stand_in(folder: Path, shell: str, *, talk: str = "") -> Sequence[str]:
    """A program that is called as ssh, and runs `exec sh` with that shell for sh."""
    bin_ = folder / "bin"
    bin_.mkdir(exist_ok=True)
    sh = bin_ / "sh"
    sh.write_text(f'#!/bin/bash\nexec {shell} "$@"\n')
    ssh = bin_ / "ssh"
    home = folder / "home of 'them'"
    ssh.write_text(f'#!/bin/bash\nexport HOME="{home}" PATH="{bin_}:$PATH"\n{talk}\neval "$3"\n')
    for program in (sh, ssh):
        program.chmod(0o755)
    return [str(ssh), "--", "them"]


@pytest.fixture(params=SHELLS)
def edit(request: pytest.FixtureRequest, tmp_path: Path, home: Path) -> Edit:
    return editing(stand_in(tmp_path, request.param))


def editing(ssh: Sequence[str]) -> Edit:
    def edit(change: Callable[[bytes], Change], **options: bool) -> Change:
        with far_shell.shell(ssh) as at:
            return at.edit(PATH, change, **options)

    return edit


def test_folder_and_file_are_made_for_the_user_alone(edit: Edit, path: Path) -> None:
    made = edit(adding(PLAIN, TOKEN))
    assert path.read_bytes() == made.after == text(PLAIN, TOKEN)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["authorized_keys"]


def test_any_bytes_come_and_go_whole(edit: Edit, path: Path) -> None:
    path.parent.mkdir()
    junk = bytes(range(256)) * 300 + b"fidokit-end\nready\ndone\n$(reboot)`reboot`\n"
    path.write_bytes(junk)
    made = edit(adding(PLAIN))
    assert made.before == junk
    assert path.read_bytes() == junk + text(PLAIN)


def test_modes_stay_but_others_may_not_write(edit: Edit, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(text(OTHER))
    path.chmod(0o664)
    edit(adding(PLAIN))
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_dry_run_changes_nothing(edit: Edit, path: Path) -> None:
    made = edit(adding(PLAIN), dry_run=True)
    assert made.after == text(PLAIN)
    assert not path.parent.exists()


def test_nothing_to_do_writes_nothing(edit: Edit, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(text(PLAIN))
    before = path.stat().st_ino
    edit(adding(PLAIN))
    assert path.stat().st_ino == before


def test_somebody_else_was_faster(edit: Edit, path: Path) -> None:
    """Their line stays, and ours comes beside it."""
    path.parent.mkdir()
    path.write_bytes(text(OTHER))
    seen: list[bytes] = []

    def change(before: bytes) -> Change:
        seen.append(before)
        if len(seen) == 1:
            path.write_bytes(text(OTHER, TOKEN))
        return authorize(before, [wanted(PLAIN)])

    edit(change)
    assert len(seen) == 2
    assert path.read_bytes() == text(OTHER, TOKEN, PLAIN)


def test_a_file_that_appears_meanwhile_is_not_lost(edit: Edit, path: Path) -> None:
    def change(before: bytes) -> Change:
        if not before:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text(TOKEN))
        return authorize(before, [wanted(PLAIN)])

    edit(change)
    assert path.read_bytes() == text(TOKEN, PLAIN)


def test_one_that_keeps_changing_is_left_alone(edit: Edit, path: Path) -> None:
    path.parent.mkdir()
    counter = iter(range(1000))

    def change(before: bytes) -> Change:
        path.write_bytes(f"# {next(counter)}\n".encode())
        return authorize(before, [wanted(PLAIN)])

    with pytest.raises(FidokitError, match="keeps changing"):
        edit(change)
    assert path.read_bytes().startswith(b"# ")


def test_a_link_is_followed_and_stays(edit: Edit, path: Path, tmp_path: Path) -> None:
    real = tmp_path / "real file"
    real.write_bytes(text(OTHER))
    path.parent.mkdir()
    path.symlink_to(real)
    edit(adding(PLAIN))
    assert path.is_symlink()
    assert real.read_bytes() == text(OTHER, PLAIN)


def test_what_is_no_file_is_named(edit: Edit, path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(NoPermission, match="is not a regular file"):
        edit(adding(PLAIN))


def test_a_loop_of_links_ends(edit: Edit, path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(path.name)
    with pytest.raises(NoPermission, match="leads nowhere"):
        edit(adding(PLAIN))


def test_what_start_up_files_print_is_passed_over(tmp_path: Path, home: Path) -> None:
    ssh = stand_in(tmp_path, "dash", talk="echo Welcome; printf '\\033[2J'; echo")
    editing(ssh)(adding(PLAIN))
    assert (home / PATH).read_bytes() == text(PLAIN)


@pytest.mark.parametrize("talk", ["exit 255", "exec cat >/dev/null", "yes; exit"])
def test_a_login_that_fails(tmp_path: Path, home: Path, talk: str) -> None:
    if talk.startswith("yes"):
        talk = "yes | head -n 100000; exit 1"
    elif "cat" in talk:
        talk = "read line; exit 1"
    ssh = stand_in(tmp_path, "dash", talk=talk)
    with pytest.raises(FidokitError):
        editing(ssh)(adding(PLAIN))
    assert not (home / PATH).exists()


def test_ssh_is_missing() -> None:
    with pytest.raises(FidokitError, match="is not installed"):
        editing(["/no/ssh", "--", "them"])(adding(PLAIN))


def test_what_root_keeps_for_others_can_be_read_by_all(edit: Edit, path: Path) -> None:
    edit(adding(PLAIN), for_all=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    path.chmod(0o600)
    edit(adding(OTHER), for_all=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("shell", SHELLS)
def test_who_one_is_there(tmp_path: Path, home: Path, shell: str) -> None:
    with far_shell.shell(stand_in(tmp_path, shell, talk="export SSH_CONNECTION='a 1 b 2'")) as at:
        facts = at.facts()
    assert facts["home"] == [str(home)]
    assert facts["uid"] == [str(os.geteuid())]
    assert facts["connection"] == ["a 1 b 2"]
    assert facts["now"][0].isdigit()


SSHD = """#!/bin/sh
printf '%s\\n' "$*" >>"$0.log"
case "$1 $*" in
    '-V '*) echo 'unknown option -- V'; echo 'OpenSSH_8.4p1 Debian-5, OpenSSL 1.1.1' >&2; exit 1 ;;
    '-T '*' -h '*) printf 'AuthorizedKeysFile %s\\nPubkeyAuthentication yes\\n' 'a b' ;;
    *) echo 'sshd: no hostkeys available -- exiting.' >&2; exit 1 ;;
esac
"""


@pytest.mark.interop
@pytest.mark.parametrize("shell", SHELLS)
def test_sshd_there_is_asked_with_a_host_key_of_ours(
    tmp_path: Path, home: Path, shell: str
) -> None:
    program = tmp_path / "an sshd"
    program.write_text(SSHD)
    program.chmod(0o755)
    with far_shell.shell(stand_in(tmp_path, shell)) as at:
        told = at.settings(str(program), ["-f", "it's here"], "user=u")
    assert told["status"] == ["told"]
    assert told["version"][0].startswith("OpenSSH_8.4p1")
    assert "AuthorizedKeysFile a b" in told["said"]
    calls = (tmp_path / "an sshd.log").read_text().splitlines()
    assert calls[1] == "-T -f it's here -C user=u"
    assert [call.split()[0] for call in calls] == ["-V", "-T", "-G", "-T"]


@pytest.mark.parametrize("shell", SHELLS)
def test_an_sshd_that_tells_nothing(tmp_path: Path, home: Path, shell: str) -> None:
    program = tmp_path / "sshd"
    program.write_text("#!/bin/sh\necho no >&2\nexit 255\n")
    program.chmod(0o755)
    with far_shell.shell(stand_in(tmp_path, shell)) as at:
        told = at.settings(str(program), [], "user=u")
    assert told["status"] == ["hidden"]
    assert told["said"] == ["no"]


@pytest.mark.parametrize(
    ("openwrt", "uid", "expected"),
    [
        (True, "0", "/etc/dropbear/authorized_keys"),
        (True, "1000", ".ssh/authorized_keys"),
        (False, "0", ".ssh/authorized_keys"),
    ],
)
def test_the_file_of_a_dropbear(openwrt: bool, uid: str, expected: str) -> None:
    """No sshd is asked there: none serves."""

    class Small:
        def facts(self) -> far_shell.Facts:
            more = {"openwrt": ["yes"]} if openwrt else {}
            return {"server": ["dropbear"], "uid": [uid], "home": ["/root"], "user": ["u"], **more}

    account = far_account.look(Small(), "them")  # type: ignore[arg-type]
    assert account.files == (expected,)
    assert account.settings is None


def test_a_dropbear_is_seen_among_the_parents(tmp_path: Path, home: Path) -> None:
    ssh = stand_in(tmp_path, "dash")
    program = tmp_path / "bin/dropbear"
    program.write_text(Path(ssh[0]).read_text().replace('eval "$3"', '( eval "$3" )'))
    program.chmod(0o755)
    with far_shell.shell([str(program), "--", "them"]) as at:
        assert at.facts()["server"][0] == "dropbear"


def test_a_host_that_never_answers_does_not_hold_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(far_shell, "LONGEST_S", 0.0)
    with (
        far_shell.shell(stand_in(tmp_path, "dash", talk="exec cat >/dev/null")) as at,
        pytest.raises(FidokitError, match="ssh ended"),
    ):
        at.read(PATH)
