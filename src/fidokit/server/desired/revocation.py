"""Keys as somebody wants them revoked: on a list that sshd reads, and let in as nobody.

A key that is put on a list proves nothing: sshd has to read the list, and each user's settings may
name another one. So the installed sshd is asked about every user whose files have such a key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, SshdNotAsked
from fidokit.files.keyfile import read_bounded
from fidokit.server.authorize.local import LocalSshd, Prover, local_sshd, prover
from fidokit.server.authorize.removal import files_of_all, may_let_in, text_of
from fidokit.server.authorize.revocation_list import DROP_IN, RevocationList, change_list
from fidokit.server.desired.hardening import stale_sshds
from fidokit.server.harden.application import Applying
from fidokit.server.harden.levels import Directive
from fidokit.server.harden.plan import HardeningTarget
from fidokit.server.harden.running import find_running
from fidokit.server.sshd import config as sshd_config
from fidokit.server.sshd import drop_in
from fidokit.server.sshd.drop_in import ORIGINAL_SUFFIX, Edit
from fidokit.server.sshd.key_questions import PublicText
from fidokit.server.sshd.query import LOOPBACK, Sshd, find_sshd

_TITLE: Final = "revoke-list"
_KEYWORD: Final = "RevokedKeys"


@dataclass(frozen=True)
class DesiredRevocation:
    """Which keys get in nowhere, or are to get in again.

    Attributes:
        keys: blobs by fingerprint; empty for a key of which no more is known.
        revoked: whether they are to be on the list, or off it.
        path: the list; where None the one that sshd reads, or the usual one.
        target: which sshd.
        reload: have the sshds that run read the list.
    """

    keys: Mapping[str, bytes]
    revoked: bool = True
    path: Path | None = None
    target: HardeningTarget = field(default_factory=HardeningTarget)
    reload: bool = True


@dataclass
class RevocationReached:
    """What was done, or would be.

    Attributes:
        done: the list.
        edits: of sshd's configuration, and of the list as fingerprints, one a line.
        stale: why the sshds that run did otherwise than their files say.
        failures: why a key may still get in, a sentence each.
        warnings: what is not known.
        proved: users whose files have one of the keys, and as whom sshd takes none of them.
    """

    done: RevocationList
    edits: list[Edit]
    stale: tuple[str, ...] = ()
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    proved: list[str] = field(default_factory=list)

    @property
    def is_changed(self) -> bool:
        """Whether a file changes, or an sshd takes what it did not know."""
        return any(not edit.is_empty for edit in self.edits) or bool(self.stale)


def revoke_as_desired(wish: DesiredRevocation, *, dry_run: bool = False) -> RevocationReached:
    """Put keys on the list that sshd reads, or take them off it.

    Raises:
        FidokitError: as `revocation_list.change_list`, or sshd refuses its configuration with the
            list: then that is as it was.
    """
    config = wish.target.config.expanduser().resolve()
    target = HardeningTarget(config, wish.target.sshd)
    with local_sshd(wish.target.sshd, _named(wish)) as server:
        done = change_list(
            wish.keys, path=wish.path, take_back=not wish.revoked, dry_run=dry_run, server=server
        )
        reached = RevocationReached(done, [_list_edit(done)])
        if wish.revoked:
            _make_sshd_read_it(reached, target, reload=wish.reload, dry_run=dry_run)
            if not dry_run:
                _prove(reached, wish, server)
        return reached


def _named(wish: DesiredRevocation) -> str | None:
    usual = HardeningTarget().config
    return None if wish.target.config == usual else str(wish.target.config)


def _list_edit(done: RevocationList) -> Edit:
    """The list as text: which fingerprints come and go."""
    before = ({*done.keys} - {*done.added}) | {*done.removed}
    after = ({*done.keys} | {*done.added}) - {*done.removed}
    texts = ("".join(f"{print_}\n" for print_ in sorted(some)).encode() for some in (before, after))
    return Edit(done.path, *texts)


# --- the configuration -----------------------------------------------------------------------


def _make_sshd_read_it(
    reached: RevocationReached, target: HardeningTarget, *, reload: bool, dry_run: bool
) -> None:
    sshd = Sshd(find_sshd(target.sshd))
    wanted = Directive(_KEYWORD, str(reached.done.path))
    edits = [_drop_in(target.config, wanted)] if reached.done.read_by_sshd is False else []
    reached.edits += edits
    before = tuple(stale_sshds(target))
    reached.stale = before if reload else ()
    if dry_run:
        return
    if edits or reached.stale:
        running = find_running(sshd, target.config, None, None) if reload else None
        Applying(sshd, target.config, edits, [wanted]).run(running)
    left = tuple(stale_sshds(target)) if edits or before else ()
    (reached.failures if reload else reached.warnings).extend(left)


def _drop_in(config: Path, wanted: Directive) -> Edit:
    """The file that names the list; a file of its own, which goes without harm to others."""
    name = DROP_IN.name
    text = read_bounded(config, sshd_config.MAX_FILE)
    place = sshd_config.folder_of_drop_ins(config, text, name, not_taken=name + ORIGINAL_SUFFIX)
    if place is None:
        raise FidokitError(
            f"{config} includes no folder before its first Match block",
            hint=f"begin it with: Include {config.parent}/sshd_config.d/*.conf",
        )
    path = place.folder / name
    return drop_in.plan(path, drop_in.block(_TITLE, [str(wanted)], f"rm {path}"))


# --- proving ---------------------------------------------------------------------------------


def _prove(reached: RevocationReached, wish: DesiredRevocation, server: LocalSshd) -> None:
    if reached.done.confirmed is False:
        reached.failures.append(f"ssh-keygen does not find all keys on {reached.done.path}")
    unknown = [print_ for print_, blob in wish.keys.items() if not blob]
    if unknown:
        reached.warnings.append(
            f"sshd was not asked about {', '.join(unknown[:5])}, of which only the fingerprint is"
            " known; give the whole key to have that proved"
        )
    for other in server.others:
        reached.failures += _unread_by(other, reached.done.path)
    keys = [text_of(blob) for blob in wish.keys.values() if blob]
    if keys:
        with prover(server) as asking:
            for one in (asking, *asking.others):
                _ask(reached, one, keys)


def _unread_by(other: LocalSshd, path: Path) -> Iterator[str]:
    """Why another sshd of this machine may still let the keys in."""
    why = other.why or "sshd is missing"
    try:
        settings = other.sshd.settings(None, LOOPBACK) if other.sshd else None
    except SshdNotAsked as error:
        settings, why = None, error.message
    if settings is None:
        yield f"{other.name} is another sshd here, and may let them in: {why}"
    elif settings.first(_KEYWORD.lower(), "none") != str(path):
        yield f"{other.name} is another sshd here, and its configuration does not name {path}"


def _ask(reached: RevocationReached, asking: Prover, keys: Sequence[PublicText]) -> None:
    """Ask an sshd about everybody whom one of the keys may let in."""
    prints = frozenset(key.fingerprint for key in keys)
    those = files_of_all(asking.server, failed=reached.warnings.append)
    users = [files.user for files in those if may_let_in(files, prints)]
    for user, answers in zip(users, asking.ask_all(users, keys)):  # noqa: B905  Python 3.9
        for answer in answers:
            if answer.accepted:
                by = f": {answer.place}" if answer.place else ""
                print_ = answer.key.fingerprint
                reached.failures.append(f"{print_} still lets in as {user.name}{by}")
            elif answer.accepted is None:
                reached.warnings.append(f"not proved for {user.name}: {answer.why}")
        if all(answer.accepted is False for answer in answers):
            reached.proved.append(user.name)
