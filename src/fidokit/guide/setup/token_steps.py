"""The steps of setup with the token open: the token, its PIN, the key, and a backup of it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fidokit.errors import CredentialInTheWay, FidokitError, UsageError
from fidokit.files.filenames import backups_beside
from fidokit.files.keyfile import ensure_ssh_folder, ssh_folder
from fidokit.guide.setup.desk import StepOutcome, shown
from fidokit.keys import backup
from fidokit.keys.bookkeeping import note_generated
from fidokit.keys.generation import GeneratedKey, GenerateRequest, generate_key, key_types
from fidokit.keys.holder import read_named
from fidokit.keys.token_keys import TokenKeyFile, token_key_files
from fidokit.openssh.certificates.certificate import Certificate
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import SkEcdsaPublic, SkEd25519Public
from fidokit.prompt.text import note
from fidokit.server.authorize.sources import token_flags
from fidokit.tokens import owner
from fidokit.tokens.access import list_tokens, token_info

if TYPE_CHECKING:
    from fidokit.client.session import Session
    from fidokit.guide.setup.desk import SetupState
    from fidokit.types import KeyType

_SSH = "ssh:"


# --- token and PIN -------------------------------------------------------------------------------


def show_token(state: SetupState, session: Session) -> None:
    """Say which token it is, and what it can do."""
    if state.selector is None and len(list_tokens(with_info=False)) > 1:
        state.selector = session.selector  # commands have to say which
    details = token_info(session)
    model = f", {details.model}" if details.model else ""
    able = ["store keys"] if session.info.has_resident else []
    able += ["ask for its PIN at each use"] if "credProtect" in session.info.extensions else []
    can = f"; it can {' and '.join(able)}" if able else "; keys for it are in files alone"
    state.note(
        "token", StepOutcome.FOUND, f"{session.name}{model}{can}", state.with_token("token", "info")
    )


def set_pin(state: SetupState, session: Session) -> None:
    """Give the token a PIN, if it has none.

    Raises:
        PinError: it is blocked, or the new one does not do.
    """
    ask = state.desk.asker.yes
    command = state.with_token("pin", "set")
    if session.info.pin_set is None:
        state.note("pin", StepOutcome.SKIPPED, "this token has no PIN")
    elif session.info.force_pin_change:
        owner.change_pin(session)
        state.note("pin", StepOutcome.DONE, "the PIN is changed", state.with_token("pin", "change"))
    elif session.info.pin_set:
        left = owner.pin_status(session).retries
        tries = "" if left is None else f"; tries left: {left}"
        status = state.with_token("pin", "status")
        state.note("pin", StepOutcome.PRESENT, f"a PIN is set{tries}", status)
    elif not ask("set_pin", "Set a PIN now?", default=True):
        state.note("pin", StepOutcome.SKIPPED, "no PIN: the key is then in its file alone", command)
    else:
        owner.set_pin(session)
        state.note("pin", StepOutcome.DONE, "the PIN is set", command)


# --- the key -------------------------------------------------------------------------------------


def have_key(state: SetupState, session: Session) -> None:
    """Use a key that is there, or make one.

    Raises:
        UsageError: a file of answers does not say which; and as `generate_key`.
    """
    named = state.desk.asker.given("key.use")
    path = _path(str(named)) if named else _made_before(state)
    if path is not None:
        _use(state, path)
        return
    found = [one for one in token_key_files(session) if one.held is not False]
    if found and not state.desk.asker.given("key.file"):
        if len(found) > 1 and not state.desk.asker.is_person:
            names = ", ".join(shown(one.path) for one in found)
            raise UsageError(
                f"there are {len(found)} keys in ~/.ssh", hint=f"say `use` in [key]: {names}"
            )
        labels = [*map(_label, found), "a new key", "no key now"]
        chosen = state.desk.asker.choice("key.use", "Which key?", labels)
        if chosen < len(found):
            _use(state, found[chosen].path)
            return
        if chosen == len(found) + 1:
            command = state.with_token("key", "generate")
            state.note("key", StepOutcome.SKIPPED, "no key was chosen", command)
            return
    _keep(state, *_make(state, session))


def _made_before(state: SetupState) -> Path | None:
    """The file of a file of answers, if the key is there from an earlier run."""
    named = state.desk.asker.given("key.file")
    path = _path(str(named)) if named else None
    return path if path is not None and path.exists() else None


def _path(text: str) -> Path:
    return Path(os.path.expanduser(text.strip())).absolute()  # noqa: PTH111  as it was typed


def _label(one: TokenKeyFile) -> str:
    about = f", {one.comment}" if one.comment else ""
    known = "on this token" if one.held else "it is not known on which token"
    return f"{shown(one.path)}{about} ({known})"


def _use(state: SetupState, path: Path) -> None:
    named = read_named(path)
    if not isinstance(named.key, SkEd25519Public | SkEcdsaPublic):
        raise UsageError(
            f"{path} is not the private file of a key on a token",
            hint="name another, or leave `use` out to make a key",
        )
    state.key, state.fingerprint = path, fingerprint.sha256(named.key.blob())
    state.touch_required, state.verify_required = token_flags(path, named.key)
    command = ["fidokit", "key", "show", shown(state.public)]
    state.note("key", StepOutcome.PRESENT, f"{shown(path)}, {state.fingerprint}", command)


def _keep(state: SetupState, made: GeneratedKey, request: GenerateRequest) -> None:
    state.key, state.fingerprint = made.path.absolute(), made.fingerprint
    key = read_named(made.public_path).key
    if not isinstance(key, Certificate):
        state.touch_required, state.verify_required = token_flags(made.path, key)
    words = ["key", "generate", "-t", str(made.key_type)]
    words += ["-O", "resident"] if request.resident else []
    words += ["-O", f"application={request.application}"] if request.application != _SSH else []
    words += ["-O", "verify-required"] if request.verify_required else []
    words += ["-f", shown(made.path)]
    state.note(
        "key", StepOutcome.DONE, f"{shown(made.path)}, {made.fingerprint}", state.with_token(*words)
    )
    for warning in made.warnings:
        state.note("key", StepOutcome.OPEN, warning)


def _make(state: SetupState, session: Session) -> tuple[GeneratedKey, GenerateRequest]:
    """A new key: asked about, then made; a name that is taken on the token is asked for again."""
    asker, info = state.desk.asker, session.info
    proves = bool(info.pin_set) or info.uv_configured
    name = asker.given("key.type")
    kind, *others = key_types([session], str(name) if name else None)
    request = GenerateRequest(
        kind,
        resident=_wish(
            state,
            "key.resident",
            "Keep it on the token too, to recover it on another computer?",
            proves and info.has_resident,
            default=True,
        ),
        verify_required=_wish(
            state,
            "key.verify_required",
            "Ask for the PIN at each use, besides the touch?",
            proves and "credProtect" in info.extensions,
            default=False,
        ),
        comment=str(asker.given("key.comment") or "") or None,
        or_types=tuple(others),
        rounds=state.desk.rounds,
    )
    while True:
        application = _application(state) if request.resident else _SSH
        request = replace(
            request, application=application, path=_new_file(state, kind, application)
        )
        ensure_ssh_folder(request.path or ssh_folder())
        try:
            made = generate_key(session, request, passphrase=state.desk.new_passphrase)
            note_generated(note, [made], [session])
        except CredentialInTheWay as error:
            if not asker.is_person:
                raise
            state.note("key", StepOutcome.OPEN, error.message, hint="choose another name")
        else:
            return made, request


def _wish(state: SetupState, name: str, question: str, is_possible: bool, *, default: bool) -> bool:
    """The answer to a question that makes sense for some tokens; a file's yes always counts."""
    if not is_possible:
        return state.desk.asker.given(name) is True
    return state.desk.asker.yes(name, question, default=default)


def _application(state: SetupState) -> str:
    name = state.desk.asker.text("key.application", "Its name on the token", _SSH).strip() or _SSH
    return name if name.startswith(_SSH) else f"{_SSH}{name}"


def _new_file(state: SetupState, kind: KeyType, application: str) -> Path:
    """A file that is free."""
    part = application.removeprefix(_SSH).strip("/")
    suffix = f"_{part}" if part and part.replace("-", "").replace("_", "").isalnum() else ""
    usual = ssh_folder() / f"id_{str(kind).replace('-', '_')}{suffix}"
    number = 2
    default = usual
    while default.exists():
        default, number = usual.with_name(f"{usual.name}_{number}"), number + 1
    while True:
        path = _path(state.desk.asker.text("key.file", "File for the key", shown(default)))
        if not path.exists() or not state.desk.asker.is_person:
            return path
        state.note("key", StepOutcome.OPEN, f"{shown(path)} exists", hint="choose another name")


# --- a backup ------------------------------------------------------------------------------------


def make_backup(state: SetupState, session: Session) -> None:
    """Make a backup of the key on another token, if the user has one."""
    key, asker = state.private, state.desk.asker
    command = ["fidokit", "--token", "OTHER", "key", "generate", "--backup-of", shown(key)]
    if there := backups_beside(key):
        state.note("backup", StepOutcome.PRESENT, ", ".join(map(shown, there)))
        return
    question = "Make a backup on another security key now?"
    if not asker.yes("key.backup", question, default=False):
        state.note("backup", StepOutcome.SKIPPED, "no backup: a lost token is a lost key", command)
        return
    given = asker.given("key.backup")
    selector = str(given) if given else _other_token(state, session)
    if selector is None:
        state.note("backup", StepOutcome.SKIPPED, "no other token is plugged in", command)
        return
    command[2] = selector
    try:
        request = backup.backup_of(key, passphrase=state.desk.old_passphrase)
        request = replace(request, rounds=state.desk.rounds)
        with state.desk.open_backup(selector) as other:
            if other.selector == session.selector:
                raise UsageError("this is the same token", hint="name another one")
            made = generate_key(other, request, passphrase=state.desk.new_passphrase)
            note_generated(note, [made], [other])
    except FidokitError as error:
        _failed(state, "backup", error, command)
        return
    state.note("backup", StepOutcome.DONE, f"{shown(made.path)}, {made.fingerprint}", command)


def _failed(state: SetupState, name: str, error: FidokitError, command: list[str]) -> None:
    from fidokit.errors import Interrupted

    if isinstance(error, Interrupted):
        raise error
    state.note(name, StepOutcome.FAILED, error.message, command, hint=error.hint)


def _other_token(state: SetupState, session: Session) -> str | None:
    """The selector of another token that the user chooses; None if there is none."""
    while True:
        found = [
            one.selector
            for one in list_tokens(with_info=False)
            if one.selector != session.selector and one.path != session.selector.partition(":")[2]
        ]
        if found:
            chosen = state.desk.asker.choice("key.backup", "Which token?", [*found, "none"])
            return found[chosen] if chosen < len(found) else None
        if not state.desk.asker.wait("Plug in the other security key"):
            return None
