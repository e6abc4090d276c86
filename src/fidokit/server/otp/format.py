"""The text of ~/.google_authenticator: what its PAM module reads, and what we change in it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from fidokit.errors import MalformedFile
from fidokit.types import Word

MAX_FILE: Final = 64 * 1024
"""Bytes; the PAM module refuses a larger one."""

CODE_DIGITS: Final = 6
"""All that the PAM module computes."""

MOST_ATTEMPTS: Final = 100
LONGEST_INTERVAL: Final = 3600
WIDEST_WINDOW: Final = 100
_LONGEST_STEP: Final = 60
_DEFAULT_STEP: Final = 30
_DEFAULT_WINDOW: Final = 3
_MOST_COUNTS: Final = (1 << 63) - 1
_MOST_STEPS: Final = (1 << 31) - 1

_TOTP: Final = b'" TOTP_AUTH'
_OPTION: Final = re.compile(rb'" ([^ \t]*)[ \t]*(.*)')
_EMERGENCY: Final = re.compile(rb"[1-9][0-9]{7}")
_SPACES: Final = b" \t\r\n-"
_MISTYPED: Final = bytes.maketrans(b"018", b"OLB")
_BASE32: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_INTEGER: Final = re.compile(rb"[+-]?[0-9]+")


class Method(Word):
    """What makes the next code: the time, or a counter."""

    TOTP = "totp"
    HOTP = "hotp"


@dataclass(frozen=True)
class RateLimit:
    """At most so many logins, wrong ones included, in so many seconds.

    Attributes:
        attempts: 1 to 100.
        seconds: 1 to 3600.
    """

    attempts: int
    seconds: int


@dataclass(frozen=True)
class Rules:
    """How codes are judged.

    Attributes:
        window: how many neighboring codes are right at a time, 1 to 100 (WINDOW_SIZE): for TOTP
            half of them before now and half after; for HOTP the next ones.
        rate_limit: None for no limit.
        reuse: whether a TOTP code may be used twice.
    """

    window: int
    rate_limit: RateLimit | None
    reuse: bool


@dataclass(frozen=True)
class OtpFile:
    """secret in base32, LF, then lines in any order: `" NAME VALUE`, or an emergency code.

    Source: FILEFORMAT of google-authenticator-libpam, and how its module reads. Of two options of
    a name the first counts. Emergency codes are 8 digits, the first not 0, and end at the first
    line that is neither. Lines that are not understood stay as they are, byte for byte.

    Attributes:
        secret: the shared secret's bytes.
        step_seconds: how long a TOTP code lasts (STEP_SIZE), 1 to 60.
        window: see `Rules`.
        rate_limit: see `Rules`.
        used_steps: TOTP steps whose codes were used (DISALLOW_REUSE); None if reuse is allowed.
        skew: by how many steps the phone's clock is ahead, as the module learned it (TIME_SKEW).
        counter: of the next HOTP code; below 1 where the file is not for HOTP.
        attempts: when the last logins were tried, in seconds since 1970 (RATE_LIMIT).
    """

    _lines: tuple[bytes, ...] = field(repr=False)
    secret: bytes = field(repr=False)
    step_seconds: int
    window: int
    rate_limit: RateLimit | None
    used_steps: tuple[int, ...] | None
    skew: int
    counter: int
    attempts: tuple[int, ...] = ()

    @property
    def notes_logins(self) -> bool:
        """Whether the module writes the file at each login, and not for emergency codes alone."""
        return self.rate_limit is not None or self.used_steps is not None or self.counter > 0

    def blocked_for(self, now: float) -> int:
        """For how many seconds the module refuses every code, since the rate limit is used up.

        Args:
            now: seconds since 1970.
        """
        if self.rate_limit is None:
            return 0
        most, seconds = self.rate_limit.attempts, self.rate_limit.seconds
        recent = [at for at in sorted(self.attempts) if int(now) - seconds <= at <= int(now)]
        return recent[-most] + seconds + 1 - int(now) if len(recent) >= most else 0

    @property
    def method(self) -> Method | None:
        """Which codes it is for; a counter wins, and None means that only emergency codes work."""
        if self.counter > 0:
            return Method.HOTP
        return Method.TOTP if _TOTP in self.encode() else None

    @property
    def base32(self) -> str:
        """The secret as apps take it: capitals and digits, without padding."""
        return encode_secret(self.secret)

    @property
    def emergency_codes(self) -> tuple[str, ...]:
        """Those that are left; secrets."""
        found = (_code(line) for line in self._lines[1 : self._end_of_codes()])
        return tuple(code for code in found if code)

    def encode(self) -> bytes:
        """The file's bytes; what was parsed comes back as it was."""
        return b"".join(self._lines)

    def with_option(self, name: str, value: str = "") -> OtpFile:
        """The file with an option set: in its place, or behind the secret, as the module does."""
        text = f'" {name} {value}'.rstrip().encode("ascii") + b"\n"
        lines = []
        for line in self._lines:
            if (_option(line) or (None,))[0] != name.encode("ascii"):
                lines.append(line)
            elif text not in lines:
                lines.append(text)
        if text not in lines:
            lines[:1] = [_ended(lines[0]), text]
        return parse(b"".join(lines))

    def without_option(self, name: str) -> OtpFile:
        """The file without an option."""
        kept = [x for x in self._lines if (_option(x) or (None,))[0] != name.encode("ascii")]
        return parse(b"".join(kept))

    def without_skew(self) -> OtpFile:
        """The file as if the module had learned nothing of the phone's clock."""
        return self.without_option("TIME_SKEW").without_option("RESETTING_TIME_SKEW")

    def with_used_step(self, step: int) -> OtpFile:
        """The file after a TOTP code was used; steps that are out of reach are forgotten."""
        if self.used_steps is None:
            return self
        near = [used for used in self.used_steps if abs(used - step) < self.window]
        return self.with_option("DISALLOW_REUSE", " ".join(map(str, [*near, step])))

    def with_counter(self, counter: int) -> OtpFile:
        """The file whose next HOTP code is that of `counter`."""
        return self.with_option("HOTP_COUNTER", str(counter))

    def with_codes(self, codes: Sequence[str]) -> OtpFile:
        """The file with these emergency codes in place of all others."""
        end = self._end_of_codes()
        kept = [_ended(line) for line in self._lines[:end] if not _code(line)]
        new = [code.encode("ascii") + b"\n" for code in codes]
        return parse(b"".join([*kept, *new, *self._lines[end:]]))

    def without_code(self, code: str) -> OtpFile:
        """The file after an emergency code was used."""
        return self.with_codes([left for left in self.emergency_codes if left != code])

    def _end_of_codes(self) -> int:
        """The number of the first line behind which the module looks for no codes."""
        for number, line in enumerate(self._lines[1:], 1):
            if line.strip(b"\r\n") and not line.startswith(b'"') and not _code(line):
                return number
        return len(self._lines)


def compose(secret: bytes, method: Method, rules: Rules, codes: Sequence[str]) -> OtpFile:
    """A new file.

    Args:
        secret: at least one byte; RFC 4226 wants 16 and recommends 20.
        method: a new counter begins with 1.
        rules: see `Rules`.
        codes: emergency codes, 8 digits each, the first not 0.
    """
    lines = [encode_secret(secret)]
    if rules.rate_limit:
        lines.append(f'" RATE_LIMIT {rules.rate_limit.attempts} {rules.rate_limit.seconds}')
    lines.append(f'" WINDOW_SIZE {rules.window}')
    if method is Method.HOTP:
        lines.append('" HOTP_COUNTER 1')
    else:
        lines += [] if rules.reuse else ['" DISALLOW_REUSE']
        lines.append('" TOTP_AUTH')
    return parse("".join(f"{line}\n" for line in [*lines, *codes]).encode("ascii"))


def parse(data: bytes) -> OtpFile:
    """Read a file; whatever the module would refuse is refused.

    Raises:
        MalformedFile: with the number of the line.
    """
    if not 0 < len(data) <= MAX_FILE:
        raise MalformedFile(f"a file of {len(data)} bytes; the PAM module takes 1 to {MAX_FILE}")
    if b"\0" in data:
        raise MalformedFile(f"a zero byte at offset {data.index(0)}")
    if lone := re.search(rb"\r(?!\n)", data):
        raise MalformedFile(f"a carriage return that ends no line at offset {lone.start()}")
    lines = tuple(data.splitlines(keepends=True))
    options = _Options(lines)
    return OtpFile(
        lines,
        _secret(lines[0]),
        options.number("STEP_SIZE", _DEFAULT_STEP, _LONGEST_STEP),
        options.number("WINDOW_SIZE", _DEFAULT_WINDOW, WIDEST_WINDOW),
        options.rate_limit(),
        options.used_steps(),
        options.lenient("TIME_SKEW", _MOST_STEPS),
        options.lenient("HOTP_COUNTER", _MOST_COUNTS),
        options.attempts(),
    )


def encode_secret(secret: bytes) -> str:
    """A secret in base32, without padding."""
    return base64.b32encode(secret).decode("ascii").rstrip("=")


class _Options:
    """The first option of each name, with the number of its line."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._found: dict[str, tuple[int, bytes]] = {}
        for number, line in enumerate(lines, 1):
            if option := _option(line):
                self._found.setdefault(option[0].decode("latin-1"), (number, option[1]))

    def number(self, name: str, default: int, most: int) -> int:
        """An option's first word, 1 to `most`."""
        if name not in self._found:
            return default
        line, value = self._found[name]
        return _bounded(value.split(maxsplit=1)[:1], most, f"line {line}: {name}")

    def lenient(self, name: str, most: int) -> int:
        """An option's number as strtol reads it: 0 if there is none."""
        line, value = self._found.get(name, (0, b""))
        found = _INTEGER.match(value)
        if not found:
            return 0
        # Python itself refuses to read numbers of more than 4300 digits
        if len(found[0]) > 20 or abs(int(found[0])) > most:
            raise MalformedFile(f"line {line}: {name} is beyond {most}")
        return int(found[0])

    def rate_limit(self) -> RateLimit | None:
        """RATE_LIMIT; the times of the last logins, which follow it, are `attempts`."""
        if "RATE_LIMIT" not in self._found:
            return None
        line, value = self._found["RATE_LIMIT"]
        attempts, seconds, *times = [*value.split(), b"", b""]
        what = f"line {line}: RATE_LIMIT"
        for time in times:
            if time and not time.isdigit():
                raise MalformedFile(f"{what} has a time that is not a number")
        return RateLimit(
            _bounded([attempts], MOST_ATTEMPTS, what), _bounded([seconds], LONGEST_INTERVAL, what)
        )

    def attempts(self) -> tuple[int, ...]:
        """The times of the last logins, which follow the two numbers of RATE_LIMIT."""
        _, value = self._found.get("RATE_LIMIT", (0, b""))
        return tuple(int(time) for time in value.split()[2:] if len(time) < 20)

    def used_steps(self) -> tuple[int, ...] | None:
        """The steps of DISALLOW_REUSE; None if reuse is allowed."""
        if "DISALLOW_REUSE" not in self._found:
            return None
        line, value = self._found["DISALLOW_REUSE"]
        what = f"line {line}: DISALLOW_REUSE"
        return tuple(_bounded([word], _MOST_STEPS, what, least=0) for word in value.split())


def _bounded(words: Sequence[bytes], most: int, what: str, *, least: int = 1) -> int:
    word = words[0] if words else b""
    if not word.isdigit() or len(word) > 20 or not least <= int(word) <= most:
        raise MalformedFile(f"{what} has no number from {least} to {most} where one belongs")
    return int(word)


def _option(line: bytes) -> tuple[bytes, bytes] | None:
    found = _OPTION.fullmatch(line.rstrip(b"\r\n"))
    return (found[1], found[2]) if found else None


def _code(line: bytes) -> str:
    text = line.rstrip(b"\r\n")
    return text.decode("ascii") if _EMERGENCY.fullmatch(text) else ""


def _ended(line: bytes) -> bytes:
    return line if line.endswith(b"\n") else line + b"\n"


def _secret(line: bytes) -> bytes:
    """Base32 as the module reads it: spaces and case do not count, 0, 1 and 8 are O, L and B."""
    text = line.translate(_MISTYPED, delete=_SPACES).upper()
    bits = 0
    for at, letter in enumerate(text):
        value = _BASE32.find(letter)
        if value < 0:
            raise MalformedFile(f"line 1: letter {at + 1} of the secret is not base32")
        bits = bits << 5 | value
    size, rest = divmod(5 * len(text), 8)
    if not size:
        raise MalformedFile("line 1: there is no secret")
    return (bits >> rest).to_bytes(size, "big")
