"""What commands note down in the kept inventory, so that a lost token can be hunted down later.

Only public facts are kept, and nothing ever fails because they cannot be: that is said once, as a
warning. `inventory = false` in the configuration file switches it off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from fidokit.errors import FidokitError
from fidokit.inventory.counters import CounterReading
from fidokit.inventory.kept import (
    MOST_LINE,
    MOST_TEXT,
    Inventory,
    KnownKey,
    KnownLoss,
    KnownPlace,
    KnownToken,
    PlaceKind,
    fingerprint_of,
)
from fidokit.inventory.store import kept_counters, kept_inventory
from fidokit.tokens.configuration import configured_inventory

if TYPE_CHECKING:
    from fidokit.client.session import Session
    from fidokit.inventory.counters import CloneAlarm
    from fidokit.inventory.key_list import KeyRow
    from fidokit.keys.generation import GeneratedKey
    from fidokit.keys.publication import Publication
    from fidokit.server.authorize.authorization import AuthorizeTarget
    from fidokit.server.authorize.outcome import Authorized
    from fidokit.server.authorize.wishes import WantedKey

DAY_S: Final = 86_400
"""Seconds after which a place that is seen again is written anew."""

MOST_OF_HOST: Final = 5000
"""Keys of one host's report that are noted."""

_SSH: Final = "ssh:"
_warned: list[str] = []
Say = Callable[[str], None]


def note_facts(
    say: Say,
    *,
    tokens: Iterable[KnownToken] = (),
    keys: Iterable[KnownKey] = (),
    places: Iterable[KnownPlace] = (),
    losses: Iterable[KnownLoss] = (),
) -> None:
    """Note facts down; whatever is in the way is a warning, said once by a process.

    Args:
        say: takes the warning.
        tokens, keys, places: what was seen.
        losses: keys that are lost.
    """

    def change(before: Inventory) -> Inventory:
        fresh = _fresh(before, places)
        after = before.with_facts(tokens, keys, fresh, losses)
        return after.with_facts(keys=_backups(after))

    _tried(say, lambda: kept_inventory().change(change))


def _fresh(before: Inventory, places: Iterable[KnownPlace]) -> list[KnownPlace]:
    """The places that are new, or were seen longer ago than a day."""
    seen = {place.identity: place.seen for place in before.places}
    now = int(time.time())
    return [
        KnownPlace(**{**_members(place), "seen": now})
        for place in places
        if now - seen.get(place.identity, 0) > DAY_S
    ]


def _members(place: KnownPlace) -> dict[str, Any]:
    return {name: getattr(place, name) for name in place.__slots__}


def _backups(inventory: Inventory) -> Iterable[KnownKey]:
    """Keys whose comment says whose backup they are, if that is known to be one key."""
    from dataclasses import replace

    from fidokit.files.filenames import first_comment

    by_name: dict[tuple[str, str], list[KnownKey]] = {}
    for key in inventory.keys:
        by_name.setdefault((key.application, key.comment), []).append(key)
    for key in inventory.keys:
        first = None if key.backup_of else first_comment(key.comment)
        named = by_name.get((key.application, first), []) if first is not None else []
        if len(named) == 1 and named[0] != key:
            yield replace(key, backup_of=named[0].fingerprint)


def _tried(say: Say, work: Callable[[], Any]) -> Any:
    """The outcome; None if it is switched off, or something is in the way."""
    try:
        return work() if configured_inventory() else None
    except (FidokitError, OSError) as error:
        message = getattr(error, "message", str(error))
        if not _warned:
            hint = getattr(error, "hint", "")
            say(f"warning: not noted in the inventory: {message}" + (f"; {hint}" if hint else ""))
            _warned.append(message)
        return None


# --- keys and their tokens -------------------------------------------------------------------


def token_of(session: Session) -> KnownToken | None:
    """What is noted of a token; None for one that cannot be told from others for good."""
    if not session.durable:
        return None
    aaguid = session.info.aaguid.hex() if session.info.aaguid.strip(b"\0") else ""
    return KnownToken(session.selector[:MOST_TEXT], aaguid, session.name[:MOST_TEXT])


def note_generated(
    say: Say, made: Sequence[GeneratedKey], sessions: Sequence[Session], first: str = ""
) -> None:
    """Note keys that were made: the first, and its backups.

    Args:
        say: takes a warning.
        made: the keys.
        sessions: the tokens, in the same order.
        first: the fingerprint of the key that all of these are backups of.
    """
    named = [token_of(session) for session in sessions]
    keys = []
    for number, (one, token) in enumerate(zip(made, named, strict=False)):
        of = first or (made[0].fingerprint if number else "")
        keys.append(
            KnownKey(
                one.fingerprint,
                _line(one.public_line),
                one.application,
                token.id if token else "",
                of,
                str(one.path.absolute()),
            )
        )
    note_facts(say, tokens=[token for token in named if token], keys=keys)


def _line(text: str) -> str:
    """A public line, without its comment if that is too long."""
    line = text.replace("\0", "")
    return line if len(line) <= MOST_LINE else " ".join(line.split(" ")[:2])


def note_listed(say: Say, rows: Sequence[KeyRow], session: Session | None) -> None:
    """Note the SSH keys of a list; credentials of websites stay out."""
    token = token_of(session) if session else None
    keys = [
        KnownKey(
            row.fingerprint,
            _line(row.public_line),
            row.application[:MOST_TEXT],
            token.id if token and row.on_token else "",
            "",
            str(row.files[0].absolute()) if row.files else "",
        )
        for row in rows
        if row.fingerprint and row.public_line and row.application.startswith(_SSH)
    ]
    note_facts(say, tokens=[token] if token else [], keys=keys)


def _of_wanted(key: WantedKey) -> KnownKey:
    application = getattr(key.key, "application", "")
    return KnownKey(key.fingerprint, _line(key.line.encode()), application, file=_file(key))


def _file(key: WantedKey) -> str:
    from pathlib import Path

    if key.identity:
        return str(Path(key.identity).absolute())
    named = Path(key.source) if key.source else None
    return str(named.absolute()) if named and named.is_file() else ""


# --- who knows them --------------------------------------------------------------------------


def note_published(say: Say, published: Sequence[Publication]) -> None:
    """Note the accounts of GitHub and GitLab that have keys, or are to get them by hand."""
    places = [
        KnownPlace(
            PlaceKind.FORGE,
            one.fingerprint,
            one.site.prefix,
            one.account,
            "signing" if one.signing else "login",
        )
        for one in published
        if one.account
    ]
    note_facts(say, keys=[_of_wanted(one.key) for one in published], places=places)


def note_authorized(say: Say, done: Authorized, place: AuthorizeTarget) -> None:
    """Note where keys were let in."""
    user = next((file.user for file in done.files), place.user or "")
    keys = [one.key for one in done.standings]
    known = [_of_wanted(key) for key in keys]
    places = [host_place(key.fingerprint, place, user) for key in keys]
    note_facts(say, keys=known, places=places)


def host_place(fingerprint: str, place: AuthorizeTarget, user: str) -> KnownPlace:
    """An account that a key is let into."""
    where, ssh = place.destination or "", tuple(place.ssh) if place.destination else ()
    return KnownPlace(PlaceKind.HOST, fingerprint, where, user, "", ssh, place.path or "")


def record_host_audit(
    destination: str,
    document: Mapping[str, Any],
    *,
    ssh: Sequence[str] = ("ssh",),
    say: Say = lambda _said: None,
) -> None:
    """Note which accounts of a host let keys in, by the JSON of `server check` there.

    Args:
        destination: `[user@]host`, as ssh takes it; empty for this machine.
        document: the JSON; it comes from the host, and may be anything.
        ssh: the words that reach it.
        say: takes a warning.
    """
    note_host_places(say, host_places(destination, document, ssh=ssh, say=say))


def host_places(
    destination: str,
    document: Mapping[str, Any],
    *,
    ssh: Sequence[str] = ("ssh",),
    say: Say = lambda _said: None,
) -> list[KnownPlace]:
    """The accounts of a host that let keys in; see `record_host_audit`."""
    words = tuple(ssh) if destination else ()
    places: list[KnownPlace] = []
    for user, path, line in _lines_of(document):
        print_ = line.get("fingerprint")
        if len(places) >= MOST_OF_HOST:
            say(f"warning: {destination} has more keys than are noted: {MOST_OF_HOST}")
            break
        if isinstance(print_, str) and fingerprint_form(print_) and not line.get("refused"):
            places.append(KnownPlace(PlaceKind.HOST, print_, destination, user, "", words, path))
    return places


def note_host_places(say: Say, places: Sequence[KnownPlace]) -> None:
    """Note the accounts of many hosts at once: the file of what is known is written once."""
    keys = {place.key: KnownKey(place.key) for place in places}
    note_facts(say, keys=keys.values(), places=places)


def fingerprint_form(text: str) -> bool:
    """Whether a text looks like a key's SHA-256 fingerprint."""
    import re

    return bool(re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}", text))


def _lines_of(document: Mapping[str, Any]) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
    """User, file and line of each line in a report; whatever has another form is passed over."""
    for user in _objects(document.get("users")):
        for file in _objects(user.get("files")):
            for line in _objects(file.get("lines")):
                name, path = user.get("user"), file.get("path")
                if _is_name(name) and _is_name(path):
                    yield str(name), str(path), line


def _objects(listed: object) -> Iterable[Mapping[str, Any]]:
    return (one for one in listed if isinstance(one, dict)) if isinstance(listed, list) else ()


def _is_name(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= MOST_TEXT and "\0" not in text


# --- signature counters ----------------------------------------------------------------------


def note_counter(
    say: Say,
    public_line: str,
    counter: int,
    *,
    began: float,
    by: str,
    ended: float | None = None,
) -> CloneAlarm | None:
    """Note the signature counter of a key; returns the alarm that it raises, if it does.

    Args:
        say: takes a warning.
        public_line: of the key.
        counter: that a signature has.
        began: when the token was asked for it, seconds since 1970.
        by: who saw it, such as `the agent`.
        ended: when the signature was there; now if None.
    """
    end = time.time() if ended is None else ended
    reading = CounterReading(fingerprint_of(public_line), counter, began, end, by)
    raised: list[CloneAlarm] = []

    def work() -> None:
        def change(history: Any) -> Any:
            after = history.after(reading)
            alarm = after.keys[reading.key].alarm
            before = history.keys.get(reading.key)
            if alarm and (before is None or before.alarm is None):
                raised.append(alarm)
            return after

        kept_counters().change(change)

    _tried(say, work)
    return raised[0] if raised else None


def clone_sentence(key: str, alarm: CloneAlarm) -> str:
    """An alarm in words.

    Args:
        key: what the key is called.
        alarm: see `CloneAlarm`.
    """
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(alarm.seen))
    return (
        f"clone suspected: the signature counter of {key} went back from {alarm.before} to"
        f" {alarm.value} (seen by {alarm.by}, {when})"
    )
