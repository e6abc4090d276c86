"""What the value of each parameter may be. Nothing here opens a token or asks a question."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from fidokit.cli.completion.cursor import Cursor

if TYPE_CHECKING:
    from fidokit.keys import KeyRow

MOST_USERS: Final = 1000
_FIRST_USER: Final = 1000
_NOBODY: Final = 65534
_ENOUGH: Final = len("SHA256:") + 12
"""Characters of a fingerprint that tell a user's keys apart."""


class Value(NamedTuple):
    """One value, and what it means in a few words; both may come from outside."""

    text: str
    help: str = ""


class Files(NamedTuple):
    """Names of files, which the shell completes by itself.

    Args:
        folders: only folders.
    """

    folders: bool = False


Source = Callable[[Cursor], Iterable[Value | Files]]
FILES, FOLDERS = Files(), Files(folders=True)


def values(cursor: Cursor) -> Iterator[Value | Files]:
    """What the value at the cursor may be.

    Args:
        cursor: of a parameter.
    """
    param = cursor.param
    if param is None:
        return
    if isinstance(param.type, click.Choice):
        yield from (Value(str(one)) for one in param.type.choices)
        return
    yield from source_of(cursor.path, param)(cursor)


def source_of(path: tuple[str, ...], param: click.Parameter) -> Source:
    """Where the values of a parameter come from.

    Args:
        path: the verb's name in words.
        param: takes a value that is not one of a fixed choice.
    """
    word = param.opts[0] if isinstance(param, click.Option) else (param.name or "")
    named = BY_NAME.get(f"{' '.join(path)} {word}") or BY_NAME.get(
        f"{path[0] if path else ''} {word}"
    )
    found = named or BY_NAME.get(word) or BY_METAVAR.get((param.metavar or "").strip("[]."))
    if found is None and isinstance(param.type, (click.Path, click.File)):
        only_folders = isinstance(param.type, click.Path) and not param.type.file_okay
        return _folders if only_folders else _files
    return found or free


def free(_place: Cursor) -> Iterator[Value]:
    """Nothing: a text that only the user knows."""
    return iter(())


def _files(_place: Cursor) -> Iterator[Files]:
    yield FILES


def _folders(_place: Cursor) -> Iterator[Files]:
    yield FOLDERS


def _selectors(_place: Cursor) -> Iterator[Value]:
    from fidokit.tokens.access import selectors

    for selector, product in selectors():
        yield Value(selector, product)
    for prefix in ("usb:", "pcsc:", "socket:"):
        yield Value(prefix)


def _virtual_names(_place: Cursor) -> Iterator[Value]:
    from fidokit.lab import list_virtual

    for one in list_virtual():
        yield Value(one.name, one.model or one.profile)


def _profiles(_place: Cursor) -> Iterator[Value]:
    from fidokit.lab.named_tokens import list_profiles

    return map(Value, list_profiles())


def _models(cursor: Cursor) -> Iterator[Value]:
    from fidokit.lab import list_models

    for model in list_models(cursor.incomplete).models:
        by_id = bool(cursor.incomplete) and model.aaguid.startswith(cursor.incomplete.lower())
        yield Value(model.aaguid, model.description) if by_id else Value(model.description)


def _quirks(_place: Cursor) -> Iterator[Value]:
    from fidokit.lab.named_tokens import list_presets, list_quirks

    yield from (Value(quirk.name, quirk.effect) for quirk in list_quirks())
    yield from (Value(preset.name, preset.firmware) for preset in list_presets())


def _presences(_place: Cursor) -> Iterator[Value]:
    yield Value("auto", "touched at once")
    yield Value("deny", "never touched")
    yield Value("prompt", "you are asked on the terminal")
    yield Value("delay:", "touched after so many milliseconds")


def _keys(cursor: Cursor) -> Iterator[Value | Files]:
    """Keys by the shortest name that fits one alone; files if the word looks like one."""
    from fidokit.keys.resident_keys import list_keys

    if not re.match(r"[./~]", cursor.incomplete):
        yield from _key_names(list_keys(None))
    yield FILES


def _losable(_place: Cursor) -> Iterator[Value | Files]:
    """Tokens and keys of the inventory, and files of keys."""
    from fidokit.fleet.loss.work import known_keys

    keys = [key for key, _, _ in known_keys()]
    for token in dict.fromkeys(key.token for key in keys if key.token):
        yield Value(token, "a token")
    names = [key.comment for key in keys]
    for key in keys:
        alone = key.comment and names.count(key.comment) == 1
        yield Value(key.comment if alone else key.fingerprint[:_ENOUGH], key.application or "a key")
    yield FILES


def _key_names(rows: Sequence[KeyRow]) -> Iterator[Value]:
    called = [(row.application.removeprefix("ssh:"), row.comment) for row in rows]
    every = [name for names in called for name in set(names)]
    for row, names in zip(rows, called, strict=True):
        alone = (name for name in names if name and every.count(name) == 1)
        name = next(alone, row.fingerprint[:_ENOUGH])
        yield Value(name, f"{row.key_type}, {row.fingerprint[:_ENOUGH]}, {row.comment}")


def _applications(_place: Cursor) -> Iterator[Value]:
    from fidokit.keys.resident_keys import list_keys

    yield Value("ssh:")
    yield from (Value(row.application) for row in list_keys(None))


def _users(_place: Cursor) -> Iterator[Value]:
    """Root and the accounts of people."""
    import pwd
    from itertools import islice

    for one in islice(pwd.getpwall(), MOST_USERS):
        if one.pw_uid == 0 or _FIRST_USER <= one.pw_uid < _NOBODY:
            yield Value(one.pw_name, one.pw_gecos.partition(",")[0])


def _groups(_place: Cursor) -> Iterator[Value]:
    import grp
    from itertools import islice

    yield from (Value(one.gr_name) for one in islice(grp.getgrall(), MOST_USERS))


def _rules(_place: Cursor) -> Iterator[Value]:
    from fidokit.server.check.policy import BREAK_GLASS, CheckRule

    yield from (Value(str(rule)) for rule in CheckRule)
    yield Value(f"{BREAK_GLASS}=")


def _connection(cursor: Cursor) -> Iterator[Value]:
    """SPEC of sshd -C: `user=NAME,host=NAME,addr=ADDRESS`."""
    name, equals, _ = cursor.incomplete.partition("=")
    if equals and name == "user":
        yield from (Value(f"user={one.text}") for one in _users(cursor))
    else:
        yield from map(Value, ("user=", "host=", "addr=", "laddr=", "lport=", "rdomain="))


def _enrollment(cursor: Cursor) -> Iterator[Value | Files]:
    """What `key generate -O` takes."""
    from fidokit.cli.commands.key.generate import FLAGS, VALUES

    name, equals, value = cursor.incomplete.partition("=")
    if not equals:
        yield from (Value(f"{name}=") for name in VALUES)
        yield from map(Value, FLAGS)
        return
    inner = cursor._replace(incomplete=value)
    of_value: Mapping[str, Source] = {"application": _applications, "device": _selectors}
    for one in of_value.get(name, _files if name in VALUES[3:] else free)(inner):
        yield one if isinstance(one, Files) else Value(f"{name}={one.text}", one.help)


def _certified(_place: Cursor) -> Iterator[Value]:
    from fidokit.signing.certificates import option_names

    return map(Value, option_names())


def _key_options(_place: Cursor) -> Iterator[Value]:
    from fidokit.server.authorize.wishes import option_names

    return map(Value, option_names())


def _hash_option(_place: Cursor) -> Iterator[Value]:
    yield Value("hashalg=sha512")
    yield Value("hashalg=sha256")


def _sites(_place: Cursor) -> Iterator[Value]:
    yield Value("gh:", "GitHub")
    yield Value("gl:", "GitLab")


def _time_option(_place: Cursor) -> Iterator[Value]:
    yield Value("verify-time=")


def _commands(cursor: Cursor) -> Iterator[Value]:
    """Words behind `help`."""
    from fidokit.cli.app import GROUPS, TOP, load

    named = cursor.given.get("words", ())
    if not named:
        yield from (Value(name, section.summary) for name, section in GROUPS.items())
        yield from (Value(name, load(target).short_help or "") for name, target in TOP.items())
    elif len(named) == 1 and named[0] in GROUPS:
        for name, target in GROUPS[named[0]].verbs.items():
            yield Value(name, load(target).short_help or "")


def _faults(cursor: Cursor) -> Iterator[Value]:
    """Behind `virtual fault`: a token and a fault, or a fault alone."""
    from fidokit.lab.fault_words import FAULTS

    if not cursor.given.get("words", ()):
        yield from _virtual_names(cursor)
    yield from map(Value, FAULTS)


def _ctap_commands(_place: Cursor) -> Iterator[Value]:
    from fidokit.lab.fault_words import COMMANDS

    return map(Value, COMMANDS)


def _samples(_place: Cursor) -> Iterator[Value]:
    from fidokit.lab.fault_words import SAMPLES

    return map(Value, SAMPLES)


_AT_HAND: Final = (
    *("touch", "refuse", "finger", "unplug", "insert", "power-cycle", "set", "state"),
    "wait-for-touch",
)
"""Verbs that act on a token that is served."""


def _list_of(source: Source) -> Source:
    """Values behind commas."""

    def after_the_last_comma(cursor: Cursor) -> Iterator[Value | Files]:
        before, comma, last = cursor.incomplete.rpartition(",")
        taken = before.split(",")
        for one in source(cursor._replace(incomplete=last)):
            if isinstance(one, Files):
                yield one
            elif one.text not in taken:
                yield Value(f"{before}{comma}{one.text}", one.help)

    return after_the_last_comma


BY_NAME: Final[Mapping[str, Source]] = {
    "agent add keys": _keys,
    "agent serve --upstream": _files,
    "agent session --principal": _users,
    "agent session -O": _certified,
    "agent session command": _files,
    "blob key": _keys,
    "blob keys": _keys,
    "cert sign -O": _certified,
    "cert sign -n": _list_of(_users),
    "help words": _commands,
    "key generate -O": _enrollment,
    "key key": _keys,
    "key keys": _keys,
    "key publish site": _sites,
    "key sign -O": _hash_option,
    "key verify -O": _time_option,
    "lost words": _losable,
    "otp --user": _users,
    "server --user": _users,
    "server authorize --principals": _list_of(_users),
    "server authorize -O": _key_options,
    "server authorize keys": _files,
    "server check -C": _list_of(_connection),
    "server harden --login-with": _files,
    "server revoke-list keys": _files,
    "token record command": _files,
    "udev --group": _groups,
    "virtual --profile": _profiles,
    "virtual --quirk": _quirks,
    "virtual run --with": _virtual_names,
    "virtual run command": _files,
    "virtual serve name": _virtual_names,
    "virtual export name": _virtual_names,
    "virtual export-credentials name": _virtual_names,
    "virtual import-credentials name": _virtual_names,
    "virtual import-credentials file": _files,
    "virtual delete name": _virtual_names,
    "virtual fault words": _faults,
    "virtual fault --command": _ctap_commands,
    "virtual finger --sample": _samples,
    **{f"virtual {verb} name": _virtual_names for verb in _AT_HAND},
    "--pam-u2f": _users,
}
"""Sources by the verb, or its group, and the parameter: `VERB PARAMETER` or the parameter alone."""

BY_METAVAR: Final[Mapping[str, Source]] = {
    "AAGUID|NAME": _models,
    "FILE": _files,
    "LIBRARY": _files,
    "OUT": _files,
    "POLICY": _presences,
    "PROGRAM": _files,
    "RULE": _rules,
    "SELECTOR": _selectors,
    "F.png|F.svg": _files,
    "ssh:NAME": _applications,
}
"""Sources by what the help calls a value."""
