"""`server trust-ca` and a real sshd: certificates get in as it says, and no more after --undo."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.private_etc import USER, PrivateEtc, private_etc
from tests.support.sshd import Sshd, running

pytestmark = [
    pytest.mark.interop,
    pytest.mark.root,
]


@dataclass
class Site:
    """A server, an authority, and a key that it certifies."""

    etc: PrivateEtc
    server: Sshd
    folder: Path
    keygen: str

    @property
    def authority(self) -> Path:
        return self.folder / "ca.pub"

    def trust(self, *words: str) -> subprocess.CompletedProcess[str]:
        where = ("--config", str(self.server.config), "--pid-file", f"{self.server.folder}/pid")
        program = [sys.executable, "-m", "fidokit", "server", "trust-ca"]
        return self.etc.run([*program, *where, *words])

    def lets_in(self, principal: str, authority: str = "ca") -> bool:
        """Whether a certificate for a principal gets in as the user."""
        for old in self.folder.glob("key-cert.pub"):
            old.unlink()
        signer, key = str(self.folder / authority), str(self.folder / "key.pub")
        sign = [self.keygen, "-q", "-s", signer, "-I", "x", "-n", principal, key]
        subprocess.run(sign, check=True)
        command = self.server.client("-i", str(self.folder / "key"))
        done = subprocess.run([*command, f"{USER}@127.0.0.1", "true"], check=False)
        return done.returncode == 0

    def files(self) -> dict[str, bytes]:
        paths = [path for path in self.server.folder.rglob("*") if path.is_file()]
        odd = {"log", "pid", "known_hosts"}
        return {str(path): path.read_bytes() for path in paths if path.name not in odd}


@pytest.fixture(params=["", "keys", "principals"])
def site(
    public_folder: Path, stock: Callable[[str], str], request: pytest.FixtureRequest
) -> Iterator[Site]:
    """Nothing is trusted yet; or another authority; or principals files are there, too."""
    keygen = stock("ssh-keygen")
    etc = private_etc(public_folder)
    for name in ("key", "ca", "other"):
        make = [keygen, "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", public_folder / name]
        subprocess.run(make, check=True)
    folder = public_folder / "sshd"
    (folder / "sshd_config.d").mkdir(parents=True)
    lines = [f"Include {folder}/sshd_config.d/*.conf"]
    if request.param:
        (folder / "theirs").write_bytes((public_folder / "other.pub").read_bytes())
        lines.append(f"TrustedUserCAKeys {folder}/theirs")
    if request.param == "principals":
        (folder / "principals").mkdir()
        (folder / "principals" / USER).write_text("theirs\n")
        lines.append(f"AuthorizedPrincipalsFile {folder}/principals/%u")
    sshd = stock("/usr/sbin/sshd")
    with running(folder, *lines, sshd=sshd, within=etc.within([])) as server:
        yield Site(etc, server, public_folder, keygen)


def test_an_authority_and_back(site: Site) -> None:
    before, theirs = site.files(), site.lets_in(USER, "other")
    named = not (site.server.folder / "principals").exists()
    assert not site.lets_in(USER)
    done = site.trust(str(site.authority))
    assert done.returncode == 0, done.stderr
    assert site.lets_in(USER) is named, "where principals files count, a user needs one"
    assert not site.lets_in("somebody")
    assert site.lets_in(USER, "other") is theirs, "what is trusted stays"
    again = site.trust(str(site.authority))
    assert "already in place" in again.stdout
    undone = site.trust("--undo")
    assert undone.returncode == 0, undone.stderr
    assert site.files() == before
    assert not site.lets_in(USER)
    assert site.lets_in(USER, "other") is theirs


def test_principals_and_back(site: Site) -> None:
    before = site.files()
    done = site.trust(str(site.authority), "--principal", f"{USER}=deploy")
    assert done.returncode == 0, done.stderr
    assert site.lets_in("deploy")
    assert not site.lets_in("somebody")
    done = site.trust(str(site.authority), "--principal", f"{USER}=oncall")
    assert done.returncode == 0, done.stderr
    assert site.lets_in("deploy")
    assert site.lets_in("oncall")
    theirs = (site.server.folder / "principals").exists()
    assert site.lets_in("theirs", "other") is theirs
    assert site.trust("--undo").returncode == 0
    assert site.files() == before
    assert not site.lets_in("deploy")


def test_what_cannot_be(site: Site) -> None:
    before = site.files()
    for words, said in (
        ((), "name an authority"),
        ((str(site.folder / "key"),), "is not a public key"),
        ((str(site.authority), "--principal", "nobody-here=x"), "no user 'nobody-here'"),
        ((str(site.authority), "--principal", USER), "is not USER=NAME"),
        ((str(site.authority), "--principal", f"{USER}=a b"), "cannot be a principal"),
        ((str(site.authority), "--undo"), "and not both"),
    ):
        done = site.trust(*words)
        assert done.returncode != 0
        assert said in done.stderr
    assert site.files() == before
