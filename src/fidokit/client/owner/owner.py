"""What the owner of an open token has proved: pinUvAuthTokens, asked for once each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from fidokit.client.connection import Connection
from fidokit.client.owner import proofs
from fidokit.client.owner.proofs import BuiltInUv, Permission, PinToken, Proof, Wish
from fidokit.client.status import CtapRefusal
from fidokit.client.tolerance import ALWAYS_UV_IDLE, MADE_UP_ASSERTION, PROOF_DIED
from fidokit.types import CtapCommand, CtapStatus

if TYPE_CHECKING:
    import threading

    from fidokit.client.answer import Answer
    from fidokit.client.owner.persistent import Reading

_T = TypeVar("_T")
_STALE: Final = frozenset({CtapStatus.PIN_AUTH_INVALID, CtapStatus.PIN_TOKEN_EXPIRED})
"""How a token refuses a proof that it does not know any more."""


class Use(NamedTuple):
    """One makeCredential or getAssertion, without its proof.

    Args:
        command: which of the two.
        request: its map.
        digest: the clientDataHash in it, which the proof is over.
        wish: the permissions, the RP, and what is under way.
        stop: set by somebody else to cancel on the token.
    """

    command: CtapCommand
    request: dict[int, object]
    digest: bytes
    wish: Wish
    stop: threading.Event | None = None


_MEMBERS: Final = {CtapCommand.MAKE_CREDENTIAL: (7, 8), CtapCommand.GET_ASSERTION: (5, 6)}
"""Numbers of options and pinUvAuthParam in the request's map."""


_ALLOW_LIST: Final = 3
_CREDENTIAL: Final = 1
"""getAssertion's allow list, and the one of its keys that the answer is about."""


def _wants_touch(use: Use) -> bool:
    options = use.request.get(_MEMBERS[use.command][0])
    return not (isinstance(options, dict) and options.get("up") is False)


def _is_of_another_key(use: Use, answer: Answer) -> bool:
    """Whether an assertion names a key that was not asked for, so that it is good for nothing."""
    allowed = use.request.get(_ALLOW_LIST)
    if use.command is not CtapCommand.GET_ASSERTION or not isinstance(allowed, list):
        return False
    named = answer.optional_map(_CREDENTIAL)
    ids = [one["id"] for one in allowed]
    return named is not None and named.octets("id", longest=1023) not in ids


class Owner:
    """The owner's proofs on one open token.

    Args:
        connection: to the token.
    """

    reading: Reading | None = None
    """How credentials are read without PIN; None: not at all."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._token: PinToken | None = None

    def authorize(self, permissions: Permission, rp_id: str | None, why: str) -> PinToken:
        """A pinUvAuthToken for this command; asked for once, used as long as it covers.

        Raises:
            PinError and others: see `proofs.obtain`.
        """
        if self._token is None or not self._token.covers(permissions, rp_id):
            self._token = proofs.obtain(self._connection, Wish(permissions, rp_id, why))
        return self._token

    def proved(self, wish: Wish, send: Callable[[PinToken], _T]) -> _T:
        """What `send` returns for a pinUvAuthToken; a stale one is renewed once.

        Args:
            wish: permissions, RP, and what is under way.
            send: shows the proof to the token; called a second time where that has died.

        Raises:
            CtapRefusal: the token refused what was sent.
            PinError and others: see `proofs.obtain`.
        """
        try:
            return send(self.authorize(*wish))
        except CtapRefusal as refusal:
            if refusal.status not in _STALE:
                raise
        self._renew()
        return send(self.authorize(*wish))

    def _renew(self) -> None:
        self.forget()
        self._connection.notes.note(PROOF_DIED)

    def read(self, wish: Wish, send: Callable[[PinToken], _T]) -> _T:
        """What `send`, which lists credentials, returns for a proof, renewed as `proved` does.

        A right to read that was kept is used first; one that died is forgotten.

        Raises:
            CtapRefusal: the token refused what was sent.
            PinError and others: see `proofs.obtain`.
        """
        while True:
            proof = self._kept_proof(wish)
            if proof is None:
                return self.proved(wish, send)
            try:
                return send(proof)
            except CtapRefusal as refusal:
                if not self.reading_died(refusal.status, proof):
                    raise

    def perform(self, use: Use, *, at_once: bool) -> tuple[Answer, bool]:
        """Send a makeCredential or getAssertion; prove the owner if that is wanted.

        Args:
            use: what is sent.
            at_once: prove before the token is asked. Else only if the token demands it: what it
                says of itself (alwaysUv) may be untrue, and asking costs nothing.

        Returns the answer, and whether the owner was proved.

        Raises:
            CtapRefusal: the token refused.
            PinError and others: see `proofs.obtain`.
        """
        if at_once:
            return self._perform_proved(use), True
        try:
            answer = self._send(use, use.request)
        except CtapRefusal as refusal:
            if refusal.status != CtapStatus.PUAT_REQUIRED:
                raise
            return self._perform_proved(use), True
        info = self._connection.info
        if info.always_uv and _is_of_another_key(use, answer):
            return self._perform_unlocked(use)
        if info.always_uv and not info.uv_configured and _wants_touch(use):
            self._connection.notes.note(ALWAYS_UV_IDLE)
        return answer, False

    def _perform_unlocked(self, use: Use) -> tuple[Answer, bool]:
        """Prove the owner, and ask again as before: some want that once after power came, and what
        they answer then is as if it had not been (a secret is another with verification)."""
        self._connection.notes.note(MADE_UP_ASSERTION)
        self.authorize(*use.wish)
        answer = self._send(use, use.request)
        if not _is_of_another_key(use, answer):
            return answer, False
        self.spent()
        return self._perform_proved(use), True

    def _perform_proved(self, use: Use) -> Answer:
        if self._verifies_itself:
            return self._send(use, self._with_proof(use, BuiltInUv()))
        return self.proved(use.wish, lambda proof: self._send(use, self._with_proof(use, proof)))

    def _with_proof(self, use: Use, proof: Proof) -> dict[int, object]:
        request = dict(use.request)
        option, param = _MEMBERS[use.command]
        proofs.prove(request, proof, use.digest, option=option, param=param)
        return request

    def _send(self, use: Use, request: dict[int, object]) -> Answer:
        made = use.command is CtapCommand.MAKE_CREDENTIAL
        what = "new credential" if made else "assertion"
        return self._connection.attempt(use.command, request, what, why=use.wish.why, stop=use.stop)

    @property
    def _verifies_itself(self) -> bool:
        """Whether the token has a sensor and gives no proof of it (CTAP 2.0's option `uv`)."""
        info = self._connection.info
        return info.uv_configured and not info.has_pin_token_permissions

    def _kept_proof(self, wish: Wish) -> PinToken | None:
        """The right to read that lasts, where one was kept and there is nothing better."""
        there = self._token
        if self.reading is None or (there is not None and there.covers(*wish[:2])):
            return None
        return self.reading.token(self._connection, wish.why)

    def reading_died(self, status: int, proof: PinToken) -> bool:
        """Whether a refusal means that the right that lasts is dead, and another try makes sense.

        Args:
            status: the CTAP status of the refusal.
            proof: what was shown.
        """
        refused = status in _STALE
        return refused and self.reading is not None and self.reading.died(proof)

    def forget(self) -> None:
        """Drop what was proved: the PIN or the policy just changed, or the token is let go of."""
        self._token = None

    def spent(self) -> None:
        """Forget the pinUvAuthToken: a touch used up its permissions (CTAP 2.1 6.1.2 step 17)."""
        if self._connection.info.has_pin_token_permissions:
            self._token = None
