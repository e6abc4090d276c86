"""One call of sk-api.h, answered by the token layer: what OpenSSH asks for, and errors it knows.

OpenSSH's programs turn an error number into a few words of their own; what really happened is one
sentence for the user, through `tell`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, Protocol

from fidokit.errors import (
    CredentialInTheWay,
    CredentialNotFound,
    ExitCode,
    FidokitError,
    NoPermission,
    PinRequired,
    PinWrong,
    Unsupported,
    UvBlocked,
)
from fidokit.provider import abi
from fidokit.provider.abi import Operation, SkError
from fidokit.types import Application, KeyHandle, KeyType, SkApiAlg, SkFlag

if TYPE_CHECKING:
    from fidokit.client.credentials.resident import ResidentCredential
    from fidokit.client.session import Session
    from fidokit.openssh.keys.public import SkPublic

DEVICE: Final = "device"
USER: Final = "user"
_KNOWN: Final[Mapping[Operation, frozenset[str]]] = {
    Operation.ENROLL: frozenset({DEVICE, USER}),
    Operation.SIGN: frozenset({DEVICE}),
    Operation.LOAD_RESIDENT_KEYS: frozenset({DEVICE}),
}
"""Options that OpenSSH's own sk-usbhid.c knows; ssh-keygen keeps the others to itself."""
_TYPES: Final = {SkApiAlg.ECDSA: KeyType.ECDSA_SK, SkApiAlg.ED25519: KeyType.ED25519_SK}
_NUMBERS: Final = {key_type: alg for alg, key_type in _TYPES.items()}


class Tokens(Protocol):
    """Where tokens come from, and a word to the user about them."""

    def warn(self, sentence: str) -> None:
        """Show a sentence before the touch."""

    def open(self, selector: str | None) -> AbstractContextManager[Session]:
        """The token that is meant: the one selected, the only one, or the one touched."""

    def holding(
        self, key_handle: KeyHandle, application: Application, selector: str | None
    ) -> AbstractContextManager[Session]:
        """The token that is selected, or holds this key."""


def answer(
    message: bytes,
    tokens: Callable[[str | None], Tokens],
    *,
    who: Callable[[], str],
    tell: Callable[[FidokitError], None],
) -> bytes:
    """The reply to one request; every fault is a reply too.

    Args:
        message: what the library wrote, see `abi.Request`.
        tokens: where tokens come from, given the PIN that OpenSSH asked for, or None.
        who: user@host, stored beside a resident key.
        tell: shows what went wrong, in words that may have come from a token.
    """
    api = abi.NEWEST
    try:
        request = abi.parse_request(message)
        api = request.api
        _check_options(request)
        return _WORK[request.operation](request, tokens(request.pin), who).encode()
    except FidokitError as error:
        said = _in_words_of(api, error)
        if not isinstance(said, _ASKED_BY_OPENSSH):
            tell(said)
        return abi.ErrorReply(error_number(said)).encode()
    except Exception as defect:  # noqa: BLE001  the boundary: OpenSSH gets an answer in any case
        tell(FidokitError(f"unexpected {type(defect).__name__}", hint="this is a bug in fidokit"))
        return abi.ErrorReply(SkError.GENERAL).encode()


def _check_options(request: abi.Request) -> None:
    unknown = [
        option.name
        for option in request.options
        if option.required and option.name not in _KNOWN[request.operation]
    ]
    if unknown:
        raise Unsupported(f"there is no option {unknown[0]!r} here", hint="leave it out of -O")


def _option(request: abi.Request, name: str) -> str | None:
    values = [option.value for option in request.options if option.name == name]
    return values[-1] if values else None


def _selector(request: abi.Request) -> str | None:
    """The token named by -O device: a device node, as OpenSSH has it, or a selector of ours."""
    device = _option(request, DEVICE)
    return f"usb:{device}" if device and device.startswith("/") else device or None


# --- the three functions -----------------------------------------------------------------------


# Each imports what it needs: a signature waits for nothing else.


def _enroll(request: abi.Request, tokens: Tokens, who: Callable[[], str]) -> abi.Reply:
    from fidokit.client.credentials.enrollment import Enrollment, enroll, long_application

    flags = SkFlag(request.flags)
    enrollment = Enrollment(
        key_type=_key_type(request),
        application=Application(request.application),
        user=_option(request, USER) or "",
        resident=SkFlag.RESIDENT_KEY in flags,
        verify_required=SkFlag.USER_VERIFICATION_REQUIRED in flags,
        touch_required=SkFlag.USER_PRESENCE_REQUIRED in flags,
        challenge=request.data,
        user_name=who(),
        replace=SkFlag.FORCE_OPERATION in flags,
        allow_any_application=True,  # ssh-keygen has its own mind about that
    )
    late = long_application(request.application) if enrollment.resident else None
    if late:
        tokens.warn(late)
    with tokens.open(_selector(request)) as session:
        made = enroll(session, enrollment)
    attestation = made.attestation
    return abi.EnrollReply(
        flags=int(made.flags),
        public_key=made.public.point,
        key_handle=made.key_handle,
        signature=attestation.signature,
        attestation_cert=attestation.leaf_der,
        auth_data=attestation.auth_data_cbor or b"",
    )


def _sign(request: abi.Request, tokens: Tokens, _who: Callable[[], str]) -> abi.Reply:
    from fidokit.client.credentials.signature import Wanted, sign_unverified
    from fidokit.openssh.signatures.signature import SkEcdsaSignature

    application, handle = Application(request.application), KeyHandle(request.key_handle)
    wanted = Wanted(_key_type(request), application, handle, SkFlag(request.flags))
    with tokens.holding(handle, application, _selector(request)) as session:
        made = sign_unverified(session, wanted, request.data)
    if isinstance(made, SkEcdsaSignature):
        return abi.SignReply(made.flags, made.counter, _number(made.r), _number(made.s))
    return abi.SignReply(made.flags, made.counter, made.signature)


def _load(request: abi.Request, tokens: Tokens, _who: Callable[[], str]) -> abi.Reply:
    from fidokit.client.credentials.resident import list_credentials

    with tokens.open(_selector(request)) as session:
        held = list_credentials(session)
    keys = [_resident(key, key.public) for key in held if key.public is not None]
    return abi.LoadReply(keys)


_WORK: Final[Mapping[Operation, Callable[[abi.Request, Tokens, Callable[[], str]], abi.Reply]]] = {
    Operation.ENROLL: _enroll,
    Operation.SIGN: _sign,
    Operation.LOAD_RESIDENT_KEYS: _load,
}


def _key_type(request: abi.Request) -> KeyType:
    try:
        return _TYPES[SkApiAlg(request.alg)]
    except ValueError:
        raise Unsupported(f"there is no key algorithm {request.alg} here") from None


def _resident(key: ResidentCredential, public: SkPublic) -> abi.ResidentKey:
    return abi.ResidentKey(
        alg=_NUMBERS[public.key_type],
        application=key.application,
        flags=int(key.flags),
        user_id=key.user_id,
        public_key=public.point,
        key_handle=key.credential_id,
    )


def _number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


# --- errors ------------------------------------------------------------------------------------

_NUMBER_OF: Final[tuple[tuple[type[FidokitError], SkError], ...]] = (
    (CredentialInTheWay, SkError.CREDENTIAL_EXISTS),
    (PinRequired, SkError.PIN_REQUIRED),
    (PinWrong, SkError.PIN_REQUIRED),
    (UvBlocked, SkError.PIN_REQUIRED),
    (CredentialNotFound, SkError.DEVICE_NOT_FOUND),
    (NoPermission, SkError.DEVICE_NOT_FOUND),
    (Unsupported, SkError.UNSUPPORTED),
)
"""PinLastTry, PinNotSet and the blocked ones are general: another PIN would not help, and
OpenSSH would ask for one."""

_ASKED_BY_OPENSSH: Final = (PinRequired, CredentialInTheWay)
"""Ordinary turns of the conversation, after which OpenSSH's programs ask the user."""

_NOBODY_ASKS: Final = (
    "OpenSSH before 9.1 cannot ask whether to replace it: make the new one with another -O user= "
    "or -O application=, or delete the old one first: fidokit key delete"
)


def _in_words_of(api: int, error: FidokitError) -> FidokitError:
    """The error; another one where programs of this sk-api have no number to ask about it."""
    if isinstance(error, CredentialInTheWay) and api < abi.CAN_ASK:
        return FidokitError(error.message, hint=_NOBODY_ASKS)
    return error


def error_number(error: FidokitError) -> SkError:
    """What OpenSSH's programs are told."""
    for kind, number in _NUMBER_OF:
        if isinstance(error, kind):
            return number
    if error.exit_code is ExitCode.NO_TOKEN:
        return SkError.DEVICE_NOT_FOUND
    return SkError.GENERAL
