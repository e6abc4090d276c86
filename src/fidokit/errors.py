"""The one exception tree: each error is a sentence, a hint what to do next, and an exit code.

Only `cli/main.py` turns these into text and an exit status. Everything below raises them and
lets them pass.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the command's exit status means; stable, documented in docs/exit-codes.md."""

    OK = 0
    OTHER = 1
    USAGE = 2
    NO_TOKEN = 3
    MALFORMED = 4
    PIN = 5
    PIN_BLOCKED = 6
    TOUCH = 7
    UNSUPPORTED = 8
    WOULD_OVERWRITE = 9
    POLICY = 10
    INTERRUPTED = 130


class FidokitError(Exception):
    """Something went wrong that a user can understand.

    Args:
        message: one sentence that says what happened, without a full stop at its end.
        hint: what to do next; where empty, the class's usual one.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.OTHER
    usual_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.usual_hint


class UsageError(FidokitError):
    """The command or call was given something that is not valid."""

    exit_code = ExitCode.USAGE


class Interrupted(FidokitError):
    """The user pressed Ctrl-C; the token no longer waits."""

    exit_code = ExitCode.INTERRUPTED


# --- which token ---------------------------------------------------------------------------


class TokenNotFound(FidokitError):
    """No token, or none that answers to the selector or holds the key."""

    exit_code = ExitCode.NO_TOKEN


class SeveralTokens(FidokitError):
    """More than one token fits and nobody can be asked which one is meant."""

    exit_code = ExitCode.NO_TOKEN


class TokenBusy(FidokitError):
    """Another program holds the token."""

    exit_code = ExitCode.NO_TOKEN


class NoPermission(FidokitError):
    """The system does not let this user open the token or the file."""

    exit_code = ExitCode.OTHER


class TokenGone(FidokitError):
    """The token was unplugged, or its transport broke, in the middle of an operation."""

    exit_code = ExitCode.NO_TOKEN


class NoFidoCard(TokenGone):
    """The card on a reader answered that it has no FIDO application."""


class ReaderGone(TokenGone):
    """The card reader that a virtual token lay on went away, and did not come back."""


class TokenMisbehaved(FidokitError):
    """The token answered something the specification does not allow."""


class TokenSilent(FidokitError):
    """The token did not answer in time; what it would have said, nobody knows."""


class TokenRefused(FidokitError):
    """The token refused with a status that no more precise error covers.

    Args:
        status: the CTAP status byte, 0x01 to 0xff.
    """

    def __init__(self, message: str, *, status: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class NotTaken(FidokitError):
    """The token accepted a setting and, read back, has not changed it."""


class NotTried(FidokitError):
    """One of several things was not tried, after an error of another one that concerns all."""


class CredentialNotFound(FidokitError):
    """The token does not hold the credential that was named."""

    exit_code = ExitCode.NO_TOKEN


class NotStored(FidokitError):
    """The token holds no fingerprint or blob of that name."""


# --- malformed input -----------------------------------------------------------------------


class Malformed(FidokitError):
    """Bytes or text that do not follow their format."""

    exit_code = ExitCode.MALFORMED
    usual_hint = "check that this is the right file, or make or copy it again"


class MalformedKey(Malformed):
    """A public key, private key, signature, certificate or attestation that cannot be read."""


class MalformedCbor(Malformed):
    """CBOR outside CTAP's canonical form."""


class MalformedFile(Malformed):
    """A text file (authorized_keys, allowed_signers, configuration) with a line of no meaning."""


class SshdNotAsked(FidokitError):
    """An sshd did not tell its settings, so they are not known; never taken for its defaults."""


class SshdMissing(SshdNotAsked):
    """There is no sshd to be asked, or it cannot be run."""

    exit_code = ExitCode.UNSUPPORTED


class SshdConfigRefused(SshdNotAsked):
    """An sshd does not take its configuration, and would not start."""

    exit_code = ExitCode.MALFORMED


class SshdHidesSettings(SshdNotAsked):
    """An sshd tells its settings to root alone."""


class SignatureInvalid(FidokitError):
    """A signature does not verify; exit code 1, as `ssh-keygen -Y verify` has it."""


class PassphraseWrong(FidokitError):
    """The passphrase does not open the private key file."""


class PassphraseRequired(FidokitError):
    """The private key file is under a passphrase and nobody can be asked for it."""


# --- PIN and touch -------------------------------------------------------------------------


class PinError(FidokitError):
    """Anything about the PIN that another PIN or a prompt would fix."""

    exit_code = ExitCode.PIN


class PinRequired(PinError):
    """The operation needs the PIN and nobody can be asked for it."""


class PinNotSet(PinError):
    """The operation needs a PIN and the token has none yet."""


class PinWrong(PinError):
    """The token did not accept the PIN.

    Args:
        retries: tries left before the token locks itself, or None if it does not say.
    """

    def __init__(self, message: str, *, retries: int | None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retries = retries


class PinLastTry(PinError):
    """One try is left and the caller did not allow it to be spent."""


class PinPolicy(PinError):
    """A new PIN that is too short, too long, or against the token's policy."""


class PinBlocked(FidokitError):
    """No tries are left; only a reset helps."""

    exit_code = ExitCode.PIN_BLOCKED


class PinAuthBlocked(FidokitError):
    """Three wrong PINs in a row; the token must be unplugged first."""

    exit_code = ExitCode.PIN_BLOCKED


class UvBlocked(FidokitError):
    """The built-in sensor is locked; the PIN unlocks it."""

    exit_code = ExitCode.PIN_BLOCKED


class TouchRefused(FidokitError):
    """The user, or the token's own check, refused."""

    exit_code = ExitCode.TOUCH


class TouchTimedOut(FidokitError):
    """Nobody touched the token in time."""

    exit_code = ExitCode.TOUCH


# --- what the token or the disk cannot do ---------------------------------------------------


class Unsupported(FidokitError):
    """The token, or this machine's software, cannot do this."""

    exit_code = ExitCode.UNSUPPORTED


class StoreFull(Unsupported):
    """The token has no room for another resident credential."""


class WouldOverwrite(FidokitError):
    """A file or a credential on the token is in the way, and nothing was changed."""

    exit_code = ExitCode.WOULD_OVERWRITE


class NotEnrolled(FidokitError):
    """The user has no secret for one-time codes on this machine."""


class FileInTheWay(WouldOverwrite):
    """Files have the names that new ones were to get; they can be replaced where that is meant."""


class CredentialInTheWay(WouldOverwrite):
    """The token holds a resident key of this application and user, which a new one replaces."""


class StateUnusable(FidokitError):
    """A virtual token's file is corrupt, read-only, of a newer version, or the disk is full."""
