"""What PAM may answer for sshd: a service's stack, walked over all that its modules may return.

No module is run. One that is known to refuse here refuses; any other may return anything, so that
a stack that lets somebody in is never missed, and one that cannot be read is `PamUnclear`.

Source: pam.conf(5), and what libpam does with control flags, jumps and substacks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError
from fidokit.files.keyfile import read_bounded

AUTH: Final = "auth"
ACCOUNT: Final = "account"
_FOLDERS: Final = ("etc/pam.d", "usr/lib/pam.d", "usr/share/pam.d")
_OLD_FILE: Final = "etc/pam.conf"
_OTHER: Final = "other"
_TYPES: Final = frozenset({AUTH, ACCOUNT, "password", "session"})
_MAX_LEVEL: Final = 16
_MAX_FILE: Final = 1 << 18
_MAX_LINES: Final = 500
_SUBSTACK: Final = "substack"

SUCCESS: Final = "success"
RENEW: Final = "new_authtok_reqd"
_IGNORE: Final = "ignore"
ANYTHING: Final = frozenset(
    [
        "success",
        "open_err",
        "symbol_err",
        "service_err",
        "system_err",
        "buf_err",
        "perm_denied",
        "auth_err",
        "cred_insufficient",
        "authinfo_unavail",
        "user_unknown",
        "maxtries",
        "new_authtok_reqd",
        "acct_expired",
        "session_err",
        "cred_unavail",
        "cred_expired",
        "cred_err",
        "no_module_data",
        "conv_err",
        "authtok_err",
        "authtok_recover_err",
        "authtok_lock_busy",
        "authtok_disable_aging",
        "try_again",
        "ignore",
        "abort",
        "authtok_expired",
        "module_unknown",
        "bad_item",
        "conv_again",
        "incomplete",
    ]
)
"""What a module may return, as pam.conf(5) writes it."""

FAILURE: Final = ANYTHING - {SUCCESS, RENEW, _IGNORE}
"""What pam_unix returns where a password does not fit."""

REFUSAL: Final = frozenset({"auth_err", "perm_denied", "acct_expired", "cred_err"})
"""What pam_deny returns."""

_CONTROLS: Final[Mapping[str, Mapping[str, str]]] = {
    "required": {SUCCESS: "ok", RENEW: "ok", _IGNORE: "ignore", "default": "bad"},
    "requisite": {SUCCESS: "ok", RENEW: "ok", _IGNORE: "ignore", "default": "die"},
    "sufficient": {SUCCESS: "done", RENEW: "done", "default": "ignore"},
    "optional": {SUCCESS: "ok", RENEW: "ok", "default": "ignore"},
}
_ACTIONS: Final = frozenset({"ignore", "ok", "done", "bad", "die", "reset"})
_PAIR: Final = re.compile(r"([a-z_]+)=([a-z]+|[1-9][0-9]{0,3})")
_TOKEN: Final = re.compile(r"\[(?:[^\]\\]|\\.)*\]|[^\s\[]\S*")
_STOCK: Final = re.compile(r"(?:/usr)?/lib(?:64|/[^/]+)?/security/(pam_[^/]+)")


class PamUnclear(Exception):
    """A stack that cannot be followed; says which line, half a sentence."""


@dataclass(frozen=True)
class PamStep:
    """One module of a stack, or the place where a substack begins.

    Attributes:
        control: what is done, by what the module returns; see pam.conf(5).
        module: its name, such as `pam_unix`; a path where it is none of the system's.
        words: what stands behind it.
        level: how many substacks are around it.
    """

    control: Mapping[str, str]
    module: str
    words: tuple[str, ...] = ()
    level: int = 0


Returns = Callable[[PamStep], "frozenset[str]"]
"""What a module may return here."""


def usual_module(path: str) -> str:
    """A module's name if it is one of the system's own; else what the line says, as a path."""
    found = _STOCK.fullmatch(path)
    name = found.group(1) if found else path
    return name[:-3] if name.endswith(".so") and "/" not in name else f"./{path}"


# --- reading -------------------------------------------------------------------------------


@dataclass(frozen=True)
class PamFiles:
    """The services of a machine, each read once.

    Attributes:
        root: the folder that stands for /.
    """

    root: Path = Path("/")
    _read: dict[tuple[str, str], list[tuple[PamStep, ...]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def stacks(self, service: str, kind: str) -> list[tuple[PamStep, ...]]:
        """The stacks that sshd may meet under a service's name; one, where that is clear.

        Args:
            service: as sshd gives it to PAM.
            kind: `AUTH` or `ACCOUNT`.

        Raises:
            PamUnclear: one of them cannot be read, or a line is not understood.
        """
        asked = (service.rpartition("/")[2].lower(), kind)
        if asked not in self._read:
            self._read[asked] = self._stacks(*asked)
        return self._read[asked]

    def _stacks(self, name: str, kind: str) -> list[tuple[PamStep, ...]]:
        self._require_no_old_file(name)
        found = [tuple(self._lines(path, kind, 0, 0)) for path in self._files(name)]
        if not found or not found[0]:
            found = [tuple(self._lines(path, kind, 0, 0)) for path in self._files(_OTHER)]
        return found

    def _files(self, name: str) -> list[Path]:
        """The file of a service; several where the version of PAM decides."""
        there = [path for folder in _FOLDERS if (path := self.root / folder / name).exists()]
        if not there or there[0].parent == self.root / _FOLDERS[0]:
            return there[:1]
        first = self.root / _FOLDERS[0] / _OTHER
        return [*there, *([first] if first.exists() else [])]

    def _require_no_old_file(self, name: str) -> None:
        path = self.root / _OLD_FILE
        if path.exists():
            for number, line in _assembled(path):
                if line.split()[0].lower() in {name, _OTHER}:
                    raise PamUnclear(f"line {number} of /{_OLD_FILE} may count as well")

    def _lines(self, path: Path, kind: str, depth: int, level: int) -> Iterator[PamStep]:
        if depth > _MAX_LEVEL:
            raise PamUnclear(f"{path} is included by itself")
        for number, text in _assembled(path):
            yield from self._line(f"line {number} of {path}", text, kind, (depth, level))

    def _line(self, place: str, text: str, kind: str, at: tuple[int, int]) -> Iterator[PamStep]:
        depth, level = at
        words = _TOKEN.findall(text)
        if _squeezed("".join(words)) != _squeezed(text):  # an open bracket, say
            raise PamUnclear(f"{place} is not understood")
        if words[0].lower() == "@include" and len(words) == 2:
            yield from self._lines(self._included(words[1], place), kind, depth + 1, level)
            return
        if len(words) < 3 or words[0].lstrip("-").lower() not in _TYPES:
            raise PamUnclear(f"{place} is not understood")
        if words[0].lstrip("-").lower() != kind:
            return
        control = words[1].lower()
        if control in {"include", _SUBSTACK}:
            if control == _SUBSTACK:
                yield PamStep({}, _SUBSTACK, (), level)
            level += control == _SUBSTACK
            yield from self._lines(self._included(words[2], place), kind, depth + 1, level)
            return
        yield PamStep(_control(words[1], place), usual_module(words[2]), tuple(words[3:]), level)

    def _included(self, name: str, place: str) -> Path:
        if name.startswith("/"):
            return self.root / name.lstrip("/")
        for folder in _FOLDERS:
            if (path := self.root / folder / name).exists():
                return path
        raise PamUnclear(f"{place} includes {name}, which is not there")


def _squeezed(text: str) -> str:
    return "".join(text.split())


@lru_cache(maxsize=200)
def _control(text: str, place: str) -> Mapping[str, str]:
    if not text.startswith("["):
        if text.lower() not in _CONTROLS:
            raise PamUnclear(f"{place} is not understood")
        return _CONTROLS[text.lower()]
    found: dict[str, str] = {}
    for part in text[1:-1].split():
        pair = _PAIR.fullmatch(part)
        value, action = pair.groups() if pair else ("", "")
        known = value in ANYTHING or value == "default"
        if not known or not (action in _ACTIONS or action.isdigit()):
            raise PamUnclear(f"{place} is not understood")
        if value == "default":
            found = {**dict.fromkeys(ANYTHING, action), **found}
        else:
            found[value] = action
    return found


def _assembled(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that say something, by number, comments taken away and continued ones joined."""
    try:
        data = read_bounded(path, _MAX_FILE)
    except FidokitError as error:
        raise PamUnclear(error.message) from None
    if b"\0" in data or b"\\#" in data:
        raise PamUnclear(f"{path} is not understood")
    begun, first = "", 0
    for number, raw in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        text = raw.partition("#")[0].rstrip()
        first = first if begun else number
        if text.endswith("\\"):
            begun += text[:-1] + " "
            continue
        if (begun + text).strip():
            yield first, (begun + text).strip()
        begun = ""
    if begun.strip():
        raise PamUnclear(f"{path} ends within a line")


# --- walking -------------------------------------------------------------------------------

_OPEN: Final = ("undecided", "")
_REFUSED: Final = ("refused", "")
_State = tuple[str, str]
"""libpam's impression, and the status that came with it: empty if it is a failure."""


def may_answer(
    lines: tuple[PamStep, ...], returns: Returns, wanted: frozenset[str] = frozenset({SUCCESS})
) -> bool:
    """Whether the stack can end with an answer that sshd takes for yes.

    Args:
        returns: for each module, what it may return here.
        wanted: the answers that are meant.

    Raises:
        PamUnclear: the stack is longer than any that is in use.
    """
    if len(lines) > _MAX_LINES:
        raise PamUnclear("the stack is too long to be followed")
    reached, todo = set(), [(0, _OPEN)]
    while todo:
        at, state = todo.pop()
        if at >= len(lines):
            if state[0] == "granted" and state[1] in wanted:
                return True
            continue
        for step in _steps(lines, at, state, returns):
            if step not in reached:
                reached.add(step)
                todo.append(step)
    return False


def _steps(
    lines: tuple[PamStep, ...], at: int, state: _State, returns: Returns
) -> Iterator[tuple[int, _State]]:
    line = lines[at]
    if line.module == _SUBSTACK and not line.control:
        yield at + 1, state
        return
    for value in returns(line):
        action = line.control.get(value, line.control.get("default", "bad"))
        if action.isdigit():
            yield _jumped(lines, at, int(action), state)
        elif action == "reset":  # to what it was before the substack: any, for all that is known
            yield from ((at + 1, back) for back in (_OPEN, _REFUSED, ("granted", SUCCESS)))
        else:
            after = _after(action, value, state)
            final = action == "die" or (action == "done" and after[0] == "granted")
            yield (_end_of_level(lines, at) if final else at + 1), after


def _after(action: str, value: str, state: _State) -> _State:
    if action == "ignore":
        return state
    if action in {"bad", "die"}:
        return _REFUSED
    kept = value if value in {SUCCESS, RENEW} else ""
    return ("granted", kept) if state in {_OPEN, ("granted", SUCCESS)} else state


def _end_of_level(lines: tuple[PamStep, ...], at: int) -> int:
    level = lines[at].level
    at += 1
    while at < len(lines) and lines[at].level >= level:
        at += 1
    return at


def _jumped(lines: tuple[PamStep, ...], at: int, count: int, state: _State) -> tuple[int, _State]:
    """Past as many modules, a substack counting as one; a jump too far refuses."""
    level = lines[at].level
    while count and at + 1 < len(lines) and lines[at + 1].level >= level:
        at += 1
        while at + 1 < len(lines) and lines[at + 1].level > level:
            at += 1
        count -= 1
    return at + 1, _REFUSED if count else state
