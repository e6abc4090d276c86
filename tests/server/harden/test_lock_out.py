"""The verdict on a user's keys: what proves, what does not, who is out."""

from __future__ import annotations

import os
import pwd
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from tests.server.samples import OTHER, PLAIN, TOKEN, TOKEN_ECDSA, text

from fidokit.errors import NoPermission
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import PublicLine
from fidokit.openssh.lines.authorized_keys import AuthorizedKey
from fidokit.server import key_paths
from fidokit.server.accounts import Account
from fidokit.server.authorize.lines import lines_of
from fidokit.server.harden import lock_out
from fidokit.server.harden.lock_out import (
    KeyHolder,
    Proof,
    UserProof,
    everybody,
    key_holder,
)
from fidokit.server.sshd.key_questions import KeyAnswer, KeyQuestion, PublicText
from fidokit.server.sshd.settings import parse_settings

HOME = Path("/home/u")


class TrialServer:
    """Takes some keys, and lets some of them in for good."""

    def __init__(self, takes: Iterable[PublicLine], lets_in: Iterable[PublicLine] = ()) -> None:
        self.takes = {line.key for line in takes}
        self.lets_in = lets_in
        self.asked = 0

    def ask_all(
        self, questions: Iterable[KeyQuestion], *, progress: Callable[[int], None] = lambda _: None
    ) -> Iterator[tuple[KeyQuestion, tuple[KeyAnswer, ...]]]:
        taken = {PublicText.of(PublicLine(key, "")) for key in self.takes}
        for number, question in enumerate(questions, 1):
            assert question.user == "u"
            self.asked += len(question.keys)
            progress(number)
            yield question, tuple(KeyAnswer(key, key in taken) for key in question.keys)

    def logs_in(self, identity: Path, user: str) -> bool:
        assert user == "u"
        return identity.name in {line.comment for line in self.lets_in}


def holder(*lines: str) -> KeyHolder:
    keys = [line for line in lines_of("\n".join(lines).encode()) if isinstance(line, AuthorizedKey)]
    assert len(keys) == len(lines)
    return KeyHolder(Account("u", 1, 1, HOME), (HOME / "keys",), tuple(keys))


def proved(
    *lines: str,
    before: Iterable[PublicLine] = (),
    after: Iterable[PublicLine] = (),
    options: str = "none",
    at_hand: Iterable[PublicLine] = (),
    lets_in: Iterable[PublicLine] = (),
) -> UserProof:
    identities = {fingerprint.sha256(line.key.blob()): Path(line.comment) for line in at_hand}
    [proof] = lock_out.prove_all(
        [holder(*lines)],
        lambda _: parse_settings(f"pubkeyauthoptions {options}\n"),
        before=TrialServer(before),
        after=TrialServer(after, lets_in),
        identities=identities,
    )
    return proof


def one(proof: UserProof) -> tuple[Proof, str]:
    [key] = proof.keys
    return key.proof, key.why


def out(*proofs: UserProof, by_password: bool = False) -> bool:
    return bool(lock_out.locked_out(proofs, {"u"} if by_password else ()))


def test_the_query_proves() -> None:
    proof = proved(TOKEN.encode(), after=[TOKEN])
    assert one(proof) == (Proof.QUERY, "the public-key query")
    assert proof.is_proved
    assert not out(proof, by_password=True)
    assert lock_out.unproved([proof]) == []


@pytest.mark.parametrize("line", [TOKEN, TOKEN_ECDSA])
def test_the_query_proves_no_verification(line: PublicLine) -> None:
    proof = proved(line.encode(), after=[line], options="touch-required verify-required")
    assert one(proof)[0] is Proof.UNPROVED
    assert lock_out.unproved([proof]) == [proof]
    assert not out(proof, by_password=True)


def test_plain_keys_are_asked_for_no_verification() -> None:
    proof = proved(PLAIN.encode(), after=[PLAIN], options="verify-required")
    assert one(proof)[0] is Proof.QUERY


def test_the_query_proves_no_touch_of_a_key_that_never_had_to() -> None:
    line = f"no-touch-required {TOKEN.encode()}"
    assert one(proved(line, after=[TOKEN], options="touch-required"))[0] is Proof.UNPROVED
    assert one(proved(line, after=[TOKEN]))[0] is Proof.QUERY
    assert one(proved(TOKEN.encode(), after=[TOKEN], options="touch-required"))[0] is Proof.QUERY


def test_a_login_proves_all() -> None:
    proof = proved(
        TOKEN.encode(), after=[TOKEN], options="verify-required", at_hand=[TOKEN], lets_in=[TOKEN]
    )
    assert one(proof) == (Proof.LOGIN, "a full login")
    assert proof.is_proved


def test_a_login_that_fails() -> None:
    proof = proved(TOKEN.encode(), before=[TOKEN], after=[TOKEN], at_hand=[TOKEN])
    assert one(proof) == (Proof.REFUSED, "the query takes it, but a full login failed")
    assert out(proof)


def test_a_plain_key_left_out_is_a_lock_out_only_if_it_was_the_last() -> None:
    proof = proved(PLAIN.encode(), before=[PLAIN])
    assert one(proof) == (Proof.REFUSED, "it is not on a token")
    assert out(proof)
    both = proved(PLAIN.encode(), TOKEN.encode(), before=[PLAIN, TOKEN], after=[TOKEN])
    assert [key.proof for key in both.keys] == [Proof.QUERY, Proof.REFUSED]  # tokens first
    assert not out(both)


def test_a_key_that_never_got_in_loses_nothing_but_the_password() -> None:
    proof = proved(TOKEN.encode())
    assert one(proof) == (Proof.REFUSED, "as before the change")
    assert not out(proof)
    assert out(proof, by_password=True)


def test_a_key_from_elsewhere() -> None:
    proof = proved(f'from="192.0.2.1" {TOKEN.encode()}')
    assert one(proof) == (Proof.UNPROVED, "its from= keeps this machine out")
    assert not out(proof, by_password=True)


def test_an_authority_is_not_asked() -> None:
    proof = proved(f"cert-authority {OTHER.encode()}")
    assert one(proof)[0] is Proof.UNPROVED
    assert "authority" in one(proof)[1]


def test_the_old_server_is_asked_only_about_what_the_new_one_refuses() -> None:
    before, after = TrialServer([PLAIN, TOKEN]), TrialServer([TOKEN])
    lock_out.prove_all(
        [holder(PLAIN.encode(), TOKEN.encode())],
        lambda _: parse_settings(""),
        before=before,
        after=after,
        identities={},
    )
    assert (before.asked, after.asked) == (1, 2)


def test_a_server_that_does_not_answer_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(
        _: TrialServer, questions: Iterable[KeyQuestion], **__: object
    ) -> Iterator[tuple[KeyQuestion, tuple[KeyAnswer, ...]]]:
        for question in questions:
            yield question, tuple(KeyAnswer(key, None, why="gone") for key in question.keys)

    monkeypatch.setattr(TrialServer, "ask_all", silent)
    proof = proved(TOKEN.encode())
    assert one(proof) == (Proof.UNPROVED, "the throw-away sshd could not be asked: gone")
    assert not out(proof, by_password=True)


def test_more_keys_than_anybody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_out, "MOST_KEYS", 2)
    lines = (PLAIN.encode(), OTHER.encode(), TOKEN.encode())
    proof = proved(*lines, after=[PLAIN, OTHER, TOKEN])
    assert len(proof.keys) == 2
    assert proof.left_over == 1
    assert lock_out.name_of(proof.keys[0].line) == fingerprint.sha256(TOKEN.key.blob())


# --- who has keys ------------------------------------------------------------------------


@pytest.fixture
def me(tmp_path: Path) -> Account:
    return Account(pwd.getpwuid(os.geteuid()).pw_name, os.geteuid(), os.getegid(), tmp_path)


def test_keys_of_all_files_each_once(me: Account) -> None:
    (me.home / "a").write_bytes(b"junk\n" + text(PLAIN, TOKEN))
    (me.home / "b").write_bytes(b"restrict " + text(TOKEN, OTHER))
    found = key_holder(me, ["a", "%h/b", "a", "missing", "a/missing"])
    assert list(map(lock_out.name_of, found.keys)) == [
        fingerprint.sha256(line.key.blob()) for line in (PLAIN, TOKEN, OTHER)
    ]
    assert b"restrict" not in found.keys[1].raw  # sshd takes the first line that fits
    assert found.files[:2] == (me.home / "a", me.home / "b")


def test_lines_that_only_sshd_can_read_hold_keys_too(me: Account) -> None:
    """A type that is new, and white space that base64 has not; both are asked about."""
    kind, blob = TOKEN.encode().split()[:2]
    new = b64encode(b"\0\0\0\x09ssh-newer" + bytes(40))
    (me.home / "a").write_bytes(f"{kind} {blob[:30]}\v{blob[30:]}\n".encode() + b"ssh-newer " + new)
    token, newer = key_holder(me, ["a"]).keys
    assert lock_out.name_of(token) == fingerprint.sha256(TOKEN.key.blob())
    assert [text.text for text in lock_out.public_texts(newer)] == [f"ssh-newer {new.decode()}"]
    assert (lock_out.on_token(token), lock_out.on_token(newer)) == (True, False)


def test_a_folder_has_no_keys(me: Account) -> None:
    assert key_holder(me, ["."]).keys == ()


def test_what_only_root_may_read_is_told(me: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = key_paths.KeySource(me.home, hidden="it cannot be read by you; root can look")
    monkeypatch.setattr(key_paths, "_open", lambda *_, **__: hidden)
    with pytest.raises(NoPermission, match="cannot be read by you"):
        key_holder(me, ["a"])


def people(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Root of this machine with a key, and users without."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(key_paths, "_rights_of", lambda _: nullcontext())
    (tmp_path / "root").mkdir()
    (tmp_path / "root/keys").write_bytes(text(PLAIN))
    rows = [
        ("root", 0, "/bin/sh"),
        ("daemon", 1, "/bin/sh"),
        ("alice", 1000, "/bin/sh"),
        ("alice", 1000, "/bin/sh"),
        ("robot", 1001, "/usr/sbin/nologin"),
    ]
    entries = []
    for name, uid, shell in rows:
        home = tmp_path / name
        home.mkdir(exist_ok=True)
        (home / "keys").touch()
        entries.append(pwd.struct_passwd((name, "x", uid, uid, "", str(home), shell)))
    monkeypatch.setattr(pwd, "getpwall", lambda: entries)


def test_everybody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    people(monkeypatch, tmp_path)
    assert [user.name for user in everybody(["keys"])] == ["root"]


def test_a_file_of_everybody_says_nothing_of_users_without_a_shell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    people(monkeypatch, tmp_path)
    shared = [f"{tmp_path}/root/keys"]
    assert [user.name for user in everybody(shared)] == ["root", "daemon", "alice"]
    (tmp_path / "robot/own").write_bytes(text(PLAIN))
    assert "robot" in [user.name for user in everybody([*shared, "own"])]


def test_an_ordinary_user_is_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() or 1)
    if os.getuid() == 0:
        me = pwd.getpwuid(1).pw_name
    assert [user.name for user in everybody(["keys"])] == [me]
