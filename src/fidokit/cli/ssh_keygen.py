"""`fidokit-ssh-keygen`: ssh-keygen's `-Y` operations, for git's gpg.ssh.program and for scripts.

What it prints on standard output, and its exit statuses, are ssh-keygen's; programs read both. On
standard error it says more. git runs it several times for each commit that it shows, so it does
without click if no token is asked, and imports what an operation needs when it comes to it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from fidokit.errors import FidokitError, Malformed

if TYPE_CHECKING:
    from pathlib import Path

    from fidokit.signing.signatures import VerifiedSignature
    from fidokit.signing.signers import Signer
    from fidokit.tokens import Interaction

PROGRAM: Final = "fidokit-ssh-keygen"

OK: Final = 0
USAGE: Final = 1
FAILED: Final = 255
NOBODY, UNREADABLE, BAD_FORMAT, BAD_OPTION = 210, 232, 252, 246
"""What `match-principals` ends with: OpenSSH's error numbers -46, -24, -4 and -10 as a byte."""

_FLAGS: Final = frozenset("qvU")
_VALUED: Final = frozenset("YfnsIrO")

HELP: Final = f"""\
usage: {PROGRAM} -Y find-principals -s signature_file -f allowed_signers_file
       {PROGRAM} -Y match-principals -I signer_identity -f allowed_signers_file
       {PROGRAM} -Y check-novalidate -n namespace -s signature_file
       {PROGRAM} -Y sign -f key_file -n namespace [-qU] [-O hashalg=...] file ...
       {PROGRAM} -Y verify -f allowed_signers_file -I signer_identity
              -n namespace -s signature_file [-r krl_file] [-O verify-time=...]
ssh-keygen's -Y operations, for git's gpg.ssh.program. Keys are made by `fidokit key generate`.
"""


class OperationEnded(Exception):
    """The operation ends here; its status, and what to say, which may be nothing."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Options:
    """The command line: letters to their last value, and the file names behind the options."""

    def __init__(self, args: Sequence[str]) -> None:
        self.values: dict[str, str] = {}
        self.flags: set[str] = set()
        self.listed: list[str] = []
        rest = list(args)
        while rest and rest[0].startswith("-") and rest[0] != "-":
            word = rest.pop(0)
            if word == "--":
                break
            self._cluster(word[1:], rest)
        self.files = rest

    def _cluster(self, letters: str, rest: list[str]) -> None:
        """Letters behind one dash; the value of the last may be in the next word."""
        for at, letter in enumerate(letters):
            if letter in _FLAGS:
                self.flags.add(letter)
                continue
            if letter not in _VALUED:
                raise OperationEnded(USAGE, f"unknown option -- {letter}\n{HELP}")
            value = letters[at + 1 :] or (rest.pop(0) if rest else None)
            if value is None:
                raise OperationEnded(USAGE, f"option requires an argument -- {letter}\n{HELP}")
            if letter == "O":
                self.listed.append(value)
            self.values[letter] = value
            return

    @property
    def quiet(self) -> bool:
        """Whether -q was given: nothing is said of progress."""
        return "q" in self.flags

    def need(self, operation: str, wanted: Mapping[str, str]) -> list[str]:
        """The values of these letters; each has to be there, a namespace also not empty."""
        for letter, what in wanted.items():
            if letter not in self.values or (letter == "n" and not self.values[letter]):
                raise OperationEnded(USAGE, f"Too few arguments for {operation}: missing {what}")
        return [self.values[letter] for letter in wanted]

    def taken(self, *known: str, status: int = FAILED) -> dict[str, str]:
        """The -O options, names in lower case; ssh-keygen refuses those that do nothing here."""
        found = {}
        for option in self.listed:
            name, equals, value = option.partition("=")
            if name.lower() + equals not in known:
                raise OperationEnded(status, f'Invalid option "{option}"')
            found[name.lower()] = value
        return found


def _path(name: str) -> Path:
    from pathlib import Path

    return Path(name)


def say(text: str) -> None:
    """A line on standard error."""
    print(text, file=sys.stderr, flush=True)


# --- sign ----------------------------------------------------------------------------------


def _sign(options: Options) -> int:
    from fidokit.signing.signers import open_signer

    namespace, key = options.need("sign", {"n": "namespace", "f": "key"})
    if "-" in options.files and len(options.files) > 1:
        raise OperationEnded(FAILED, "Cannot sign mix of paths and standard input")
    hash_name = options.taken("hashalg=").get("hashalg", "sha512")
    with open_signer(
        _path(key),
        _person(_purpose(namespace, options.files)),
        agent=True if "U" in options.flags else None,
        passphrase=_passphrase,
    ) as signer:
        for file in options.files or ["-"]:
            _sign_one(options, signer, file, namespace=namespace, hash_name=hash_name)
    return OK


def _sign_one(
    options: Options, signer: Signer, file: str, *, namespace: str, hash_name: str
) -> None:
    from fidokit.prompt.standard_input import standard_input
    from fidokit.signing.signatures import sign_file, sign_message

    if file == "-":
        _progress(options, "Signing data on standard input")
        message = standard_input()
        text = sign_message(signer, message, namespace=namespace, hash_name=hash_name)
        sys.stdout.write(text)
        return
    _progress(options, f"Signing file {file}")
    # asked before the touch and not behind it, as ssh-keygen does: a no costs nothing then
    if not _may_write(f"{file}.sig"):
        return
    target = sign_file(signer, _path(file), namespace=namespace, hash_name=hash_name, force=True)
    _progress(options, f"Write signature to {target}")


def _progress(options: Options, text: str) -> None:
    if not options.quiet:
        say(text)


def _may_write(name: str) -> bool:
    import os

    if not os.path.exists(name):  # noqa: PTH110  a Path would drop what `./-` has before its dash
        return True
    print(f"{name} already exists.\nOverwrite (y/n)? ", end="", flush=True)
    return sys.stdin.readline()[:1] in ("y", "Y")


def _purpose(namespace: str, files: Sequence[str]) -> str:
    """What git has signed, so that whoever is asked for a touch knows; "" for all else."""
    if namespace != "git" or len(files) != 1:
        return ""
    from fidokit.prompt.git_signing import described

    return described(_path(files[0]))


def _person(purpose: str) -> Interaction:
    from fidokit.cli.interaction import TerminalInteraction
    from fidokit.cli.settings import Settings

    return TerminalInteraction(Settings(), purpose)


def _passphrase(path: Path) -> bytes:
    from fidokit.cli.passphrase import old_passphrase

    return old_passphrase(None)(path)


# --- verify --------------------------------------------------------------------------------

Check = Callable[[str, str, dict[str, str]], "VerifiedSignature"]


def _verify(options: Options) -> int:
    wanted = {
        "n": "namespace",
        "s": "signature file",
        "f": "allowed keys file",
        "I": "principal identity",
    }
    _, _, allowed, principal = options.need("verify", wanted)

    def check(namespace: str, signature: str, taken: dict[str, str]) -> VerifiedSignature:
        from fidokit.prompt.standard_input import standard_input
        from fidokit.signing.signatures import verify_signature

        revoked = options.values.get("r")
        return verify_signature(
            standard_input(),
            _path(signature),
            allowed_signers=_path(allowed),
            principal=principal,
            namespace=namespace,
            revoked_keys=_path(revoked) if revoked is not None else None,
            at=_verify_time(taken),
            note=_note_on(allowed),
        )

    return _judge(options, check, principal)


def _note_on(file: str) -> Callable[[int, str], None]:
    """Names lines of the allowed signers that were passed over, as ssh-keygen does."""

    def note(number: int, reason: str) -> None:
        from fidokit.prompt.text import escape

        say(f"{escape(file)}:{number}: {escape(reason)}")

    return note


def _check_novalidate(options: Options) -> int:
    options.need("check-novalidate", {"s": "signature file", "n": "namespace"})

    def check(namespace: str, signature: str, taken: dict[str, str]) -> VerifiedSignature:
        from fidokit.prompt.standard_input import standard_input
        from fidokit.signing import signatures

        _verify_time(taken)
        return signatures.check_signature(standard_input(), _path(signature), namespace=namespace)

    return _judge(options, check, None)


def _judge(options: Options, check: Check, principal: str | None) -> int:
    """Run a check, and say in ssh-keygen's words how it ended."""
    try:
        taken = options.taken("verify-time=", "print-pubkey")
        good = check(options.values["n"], options.values["s"], taken)
    except (FidokitError, OperationEnded) as error:
        complain(error)
        if not options.quiet:
            print("Could not verify signature.")
        return FAILED
    if not options.quiet:
        whose = f" for {principal}" if principal is not None else ""
        kind = f"{good.type_label} key {good.fingerprint}"
        print(f'Good "{good.namespace}" signature{whose} with {kind}')
    if "print-pubkey" in taken:
        print(good.key_line)
    return OK


def _verify_time(taken: Mapping[str, str]) -> int | None:
    from fidokit.signing.signatures import verify_time

    if "verify-time" not in taken:
        return None
    try:
        return verify_time(taken["verify-time"])
    except FidokitError:
        raise OperationEnded(FAILED, 'Invalid "verify-time" option') from None


# --- principals ----------------------------------------------------------------------------


def _find_principals(options: Options) -> int:
    from fidokit.signing.signatures import find_principals

    wanted = {"s": "signature file", "f": "allowed keys file"}
    signature, allowed = options.need("find-principals", wanted)
    try:
        at = _verify_time(options.taken("verify-time="))
        found = find_principals(_path(signature), _path(allowed), at=at, note=_note_on(allowed))
    except (FidokitError, OperationEnded) as error:
        complain(error)
        found = ()
    return _list(found, FAILED)


def _match_principals(options: Options) -> int:
    from fidokit.signing.signatures import match_principals

    wanted = {"f": "allowed keys file", "I": "principal ID"}
    allowed, principal = options.need("match-principals", wanted)
    options.taken(status=BAD_OPTION)
    try:
        found, status = match_principals(_path(allowed), principal, note=_note_on(allowed)), NOBODY
    except FidokitError as error:
        complain(error)
        found, status = (), BAD_FORMAT if isinstance(error, Malformed) else UNREADABLE
    return _list(found, status)


def _list(found: Sequence[str], otherwise: int) -> int:
    if not found:
        say("No principal matched.")
        return otherwise
    for principal in found:
        print(_shown(principal))
    return OK


def _shown(text: str) -> str:
    """As it is for programs, made harmless for a terminal."""
    if not sys.stdout.isatty():
        return text
    from fidokit.prompt.text import escape

    return escape(text)


# --- the program ---------------------------------------------------------------------------

OPERATIONS: Final[Mapping[str, Callable[[Options], int]]] = {
    "find-principals": _find_principals,
    "match-principals": _match_principals,
    "sign": _sign,
    "check-novalidate": _check_novalidate,
    "verify": _verify,
}


def complain(error: FidokitError | OperationEnded) -> None:
    """Say what went wrong, and what to do next."""
    if error.message:
        from fidokit.prompt.text import escape_lines

        say(escape_lines(error.message.rstrip("\n")))
    if isinstance(error, FidokitError) and error.hint:
        say(f"hint: {error.hint}")


def operate(args: Sequence[str]) -> int:
    """Run one operation; returns ssh-keygen's exit status.

    Args:
        args: the words after the program's name.
    """
    for stream in (sys.stdout, sys.stderr):
        # names and principals go out as they came in, whatever bytes they are
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="surrogateescape")
    try:
        options = Options(args)
        return _operation(options)(options)
    except (OperationEnded, FidokitError) as error:
        complain(error)
        return error.status if isinstance(error, OperationEnded) else FAILED


def _operation(options: Options) -> Callable[[Options], int]:
    name = options.values.get("Y")
    if name is None:
        raise OperationEnded(USAGE, f"{PROGRAM} has the operations of -Y alone\n{HELP}")
    for operation, run in OPERATIONS.items():
        if name.startswith(operation):  # as ssh-keygen compares them
            return run
    raise OperationEnded(USAGE, f'Unsupported operation for -Y: "{name}"\n{HELP}')


def run(args: Sequence[str]) -> int:
    """Run one operation, and print whatever goes wrong; returns ssh-keygen's exit status."""
    from fidokit.cli.main import guarded

    return guarded(lambda: operate(args), args)


def main() -> NoReturn:
    """Run the command that the process was started with."""
    from fidokit.cli.main import process

    process(run)


if __name__ == "__main__":
    main()
