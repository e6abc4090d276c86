"""Opening a session: what is refused before a touch, and what is left behind."""

from __future__ import annotations

import os
import signal
from base64 import b64encode
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from tests.support.samples import ED25519, RSA
from tests.support.signers import ed25519_key, ed25519_token

from fidokit.agent.session.opening import (
    OpenSession,
    SessionPlan,
    SessionWish,
    only_authority,
    open_session,
    plan_session,
)
from fidokit.agent_client import AgentClient
from fidokit.errors import CredentialNotFound, UsageError
from fidokit.openssh.keys.public import PublicKey
from fidokit.openssh.signatures.signature import Signature
from fidokit.signing.signers import Signer

WISH = SessionWish(600, ["alice"], "test", options=["clear"])


class Authority:
    """Signs as a token would."""

    name = "token"

    def __init__(self) -> None:
        self.token = ed25519_token(4)
        self.signed = 0

    @property
    def public(self) -> PublicKey:
        return self.token.public

    def sign(self, message: bytes) -> Signature:
        self.signed += 1
        return self.token.sign(message)


def opened(plan: SessionPlan, authority: Authority) -> OpenSession:
    with open_session(plan, lambda: nullcontext(authority)) as session:
        assert session.socket.is_socket()
        assert session.socket.parent.stat().st_mode & 0o777 == 0o700
        with AgentClient(str(session.socket)) as client:
            assert client.keys() == [(session.certificate.blob(), "test")]
        assert not session.over
    return session


def test_one_signature_and_nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    authority = Authority()
    session = opened(plan_session(WISH), authority)
    assert authority.signed == 1
    assert session.over
    assert list(tmp_path.iterdir()) == []
    certificate = session.certificate
    assert certificate.principals == ("alice",)
    assert certificate.valid_before - certificate.valid_after <= 720  # from a full minute on
    assert certificate.extensions == ()


def test_nothing_is_left_of_one_that_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    plan, authority = plan_session(WISH), Authority()
    with open_session(plan, lambda: nullcontext(authority)) as session:
        os.kill(session.keeper.pid, signal.SIGKILL)
        session.keeper.wait()
        assert session.over
    assert list(tmp_path.iterdir()) == []


def test_its_time_ends_it() -> None:
    plan, authority = plan_session(SessionWish(1, ["alice"], "test")), Authority()
    with open_session(plan, lambda: nullcontext(authority)) as session:
        assert session.keeper.wait(60) == 0
        assert not session.socket.exists()


def test_an_authority_that_cannot_be_opened_ends_it() -> None:
    def refuse() -> AbstractContextManager[Signer]:
        raise CredentialNotFound("no token")

    with pytest.raises(CredentialNotFound), open_session(plan_session(WISH), refuse):
        pass


@pytest.mark.parametrize("seconds", [0, 86_401])
def test_a_session_is_short(seconds: int) -> None:
    with pytest.raises(UsageError, match="a day at most"):
        plan_session(SessionWish(seconds, ["alice"], "test"))


def test_hosts_are_looked_up(tmp_path: Path) -> None:
    keys = [b64encode(key.blob()).decode() for key in (ED25519, RSA)]
    known = tmp_path / "known"
    known.write_text(f"web1.example ssh-ed25519 {keys[0]}\n[web2.example]:2222 ssh-rsa {keys[1]}\n")
    wish = SessionWish(600, ["alice"], "test", ["web*.example"], [known])
    assert plan_session(wish).host_keys == 2
    with pytest.raises(UsageError, match="no host is known that fits"):
        plan_session(SessionWish(600, ["alice"], "test", ["db*"], [known]))


def test_the_authority_has_to_be_on_a_token() -> None:
    class InAFile(Authority):
        name = "file"

        @property
        def public(self) -> PublicKey:
            return ed25519_key(3).public

    authority = InAFile()
    opened = open_session(plan_session(WISH), lambda: nullcontext(authority))
    with pytest.raises(UsageError, match="the key of file is not on a token"), opened:
        pass
    assert authority.signed == 0


def test_no_key_of_a_token(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no key on a token"):
        only_authority(tmp_path)
