"""Acting on a virtual token that another process serves, by its control socket."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Final, Self

from fidokit.errors import FidokitError, Malformed, TokenNotFound
from fidokit.lab.control import LONGEST_WAIT_S, PROTOCOL, Json, the_control_path
from fidokit.unix_socket import address, require_own_user
from fidokit.virtual.transports.socket import PASSED_ON

_LONGEST_ANSWER: Final = 1 << 20
_PATIENCE_S: Final = 30.0


class Hands:
    """The hands at a virtual token: `Hands("work").touch()`.

    Args:
        where: the token's name, or the path of its control socket; None for what the variable
            FIDOKIT_CONTROL names.

    Raises:
        TokenNotFound: nobody serves it.
        NoPermission: another user does.
        Malformed: whoever listens there speaks something else.
        UsageError: a name that is not valid, or none and no variable.
    """

    def __init__(self, where: str | Path | None = None) -> None:
        path = where if isinstance(where, Path) else the_control_path(where)
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._channel.settimeout(_PATIENCE_S)
        self._heard = self._channel.makefile("rb")
        try:
            with address(path) as target:
                self._channel.connect(target)
            require_own_user(self._channel)
            greeting = self._read()
        except OSError:
            self.close()
            raise TokenNotFound(
                f"no virtual token is served whose control socket is {path}",
                hint="serve it: fidokit virtual serve NAME",
            ) from None
        except BaseException:
            self.close()
            raise
        if greeting.get("fidokit-control") != PROTOCOL:
            self.close()
            raise _refused(greeting)

    def ask(self, do: str, **arguments: object) -> Json:
        """One request, as docs/control-socket.md names them; returns the members of its answer.

        Raises:
            UsageError, TokenGone, FidokitError: what stands against it.
            Malformed: the answer is none.
            TokenNotFound: the token is served no more.
        """
        try:
            self._channel.sendall(json.dumps({"do": do, **arguments}).encode() + b"\n")
            answer = self._read()
        except OSError:
            raise TokenNotFound("the virtual token is no longer served") from None
        if answer.get("ok") is not True:
            raise _refused(answer)
        return {name: value for name, value in answer.items() if name != "ok"}

    def touch(self, *, held: bool = False) -> None:
        """Touch the token: now, if it waits, or the next time that it does."""
        self.ask("touch", held=held)

    def wait_for_touch(self, seconds: int = 10) -> str | None:
        """What the token waits for, now or within so many seconds; None if nothing is.

        Returns:
            "touch", "long-touch", "finger" or "sample".
        """
        self._channel.settimeout(min(seconds, LONGEST_WAIT_S) + _PATIENCE_S)
        found = self.ask("wait-for-touch", seconds=seconds)["waiting"]
        return None if found is None else str(found)

    def close(self) -> None:
        """Hang up; the token goes on. Harmless when repeated."""
        self._heard.close()
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> Json:
        line = self._heard.readline(_LONGEST_ANSWER)
        if not line:
            raise ConnectionError
        try:
            members = json.loads(line)
        except (ValueError, RecursionError):
            members = None
        if not isinstance(members, dict):
            raise Malformed("the control socket answered with something that is not JSON")
        return members


def _refused(answer: Json) -> FidokitError:
    kind = PASSED_ON.get(str(answer.get("kind")), FidokitError)
    said = str(answer.get("error", "the control socket speaks another protocol"))
    return kind(said, hint=str(answer.get("hint", "")))
