"""Getting what a web address answers with: bounded in time and size, and led nowhere inside.

Whoever answers is a stranger, and so is whoever an answer points to: a redirection goes to https
alone, and to no address that only this machine or its network can reach.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from fidokit.errors import FidokitError, UsageError

MAX_ANSWER: Final = 1 << 20
"""Bytes of an account's keys; GitHub's busiest have under 100 KB."""

TIMEOUT_S: Final = 20.0
"""Seconds for all of it: names, connections, redirections and the answer."""

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_MOST_STEPS: Final = 5
_PIECE: Final = 1 << 16


def require_safe(url: str) -> None:
    """Return for an https address, or for one on this machine itself.

    Raises:
        UsageError: whoever is on the way could put a key of theirs in.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise UsageError(f"{url!r} is not an address", hint="use an https address") from None
    if parts.scheme == "https" and host:
        return
    if parts.scheme == "http" and host in LOOPBACK_NAMES:
        return
    raise UsageError(
        f"{url!r} is not fetched: an attacker on the network could replace the keys",
        hint="use an https address",
    )


def fetch(url: str, seconds: float = TIMEOUT_S) -> bytes:
    """What an address answers with.

    Args:
        url: see `require_safe`.
        seconds: for all of it.

    Raises:
        FidokitError: nobody answers in time, refuses, sends less than announced or more than any
            account has; or it leads elsewhere without encryption, or into a private network.
    """
    require_safe(url)
    request = urllib.request.Request(url, headers={"User-Agent": "fidokit"})  # noqa: S310  checked
    clock = _Deadline(seconds)
    try:
        with clock.running(), _opener(url, clock).open(request, timeout=seconds) as answer:
            return _read(answer, url, clock)
    except urllib.error.HTTPError as error:
        error.close()
        unknown = error.code == 404
        raise FidokitError(
            f"{url} does not exist" if unknown else f"{url} answers with status {error.code}",
            hint="check the account's name" if unknown else "try again later",
        ) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = "it took too long" if clock.is_over else getattr(error, "reason", error)
        raise FidokitError(
            f"{url} cannot be reached: {reason}", hint="check the network, or save it to a file"
        ) from None


def _read(answer: Any, url: str, clock: _Deadline) -> bytes:
    announced = answer.headers.get("Content-Length")
    kept = bytearray()
    while piece := answer.read(_PIECE):
        kept += piece
        if len(kept) > MAX_ANSWER:
            raise FidokitError(
                f"{url} sends more than {MAX_ANSWER} bytes", hint="check the address"
            )
    clock.require_time()  # what was cut off by it looks like an end
    if announced is not None and announced.strip() != str(len(kept)):
        raise FidokitError(
            f"{url} announced {announced[:20]} bytes and sent {len(kept)}", hint="try again"
        )
    return bytes(kept)


class _Deadline:
    """Ends what is under way when the time is over, however slowly it trickles."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._socket: socket.socket | None = None
        self.is_over = False

    @contextmanager
    def running(self) -> Iterator[None]:
        timer = threading.Timer(max(self._until - time.monotonic(), 0), self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self._forget()

    def watch(self, connection: socket.socket) -> None:
        """Have this connection end with the time; TLS takes the socket over, so a copy is kept."""
        self._forget()
        self._socket = connection.dup()
        self.require_time()

    def require_time(self) -> None:
        """Return before the time is over.

        Raises:
            TimeoutError: it is.
        """
        if self.is_over:
            raise TimeoutError("it took too long")

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def _end(self) -> None:
        self.is_over = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


def _opener(url: str, clock: _Deadline) -> urllib.request.OpenerDirector:
    """Proxies of the environment count for addresses outside alone."""
    first = urllib.parse.urlsplit(url)
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler({} if first.hostname in LOOPBACK_NAMES else None),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirections(first),
        _Http(clock, first),
        _Https(clock, first),
    ):
        opener.add_handler(handler)
    return opener


def _same_server(a: urllib.parse.SplitResult, b: urllib.parse.SplitResult) -> bool:
    return (a.scheme, a.hostname, a.port) == (b.scheme, b.hostname, b.port)


class _Redirections(urllib.request.HTTPRedirectHandler):
    """Follows a redirection to the same server, or to an https address outside."""

    max_redirections = _MOST_STEPS

    def __init__(self, first: urllib.parse.SplitResult) -> None:
        self._first = first

    def redirect_request(self, *args: Any) -> urllib.request.Request | None:
        """As the standard one, for safe addresses; the last argument is the new one."""
        new = urllib.parse.urlsplit(args[-1])
        if not _same_server(new, self._first):
            if new.scheme != "https":
                raise UsageError(
                    f"{args[-1]!r}, where it leads, is not followed: it is not an https address",
                    hint="check the address",
                )
            _require_outside(new.hostname or "")
        return super().redirect_request(*args)


def _require_outside(host: str) -> None:
    """Raise for a host that is written as an inside address; names are judged once connected."""
    with suppress(ValueError):
        _refuse_inside(host, ipaddress.ip_address(host.partition("%")[0]))
        return
    if host.rstrip(".").lower() in LOOPBACK_NAMES or host.lower().endswith(".localhost"):
        raise _leads_inside(host)
    with suppress(OSError):  # such as 127.1, which the C library reads as an address
        _refuse_inside(host, ipaddress.ip_address(socket.inet_aton(host)))


def _refuse_inside(host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None) or address
    if not inner.is_global or inner.is_multicast:
        raise _leads_inside(host)


def _leads_inside(host: str) -> FidokitError:
    return UsageError(
        f"it redirects to {host}, which is on this machine or its network",
        hint="check the address; give the new one yourself if you trust it",
    )


class _Watched:
    """What both kinds of connections share: the clock, and a look at where they ended up."""

    def __init__(self, clock: _Deadline, first: urllib.parse.SplitResult) -> None:
        super().__init__()
        self._clock, self._first = clock, first

    def _connection(self, kind: Any, host: str, **options: Any) -> Any:
        made = kind(host, **options)
        connect = made._create_connection

        def watched(*args: Any, **named: Any) -> socket.socket:
            found: socket.socket = connect(*args, **named)
            try:
                self._clock.watch(found)
                self._judge(made, found)
            except BaseException:
                found.close()
                raise
            return found

        made._create_connection = watched
        return made

    def _judge(self, made: Any, connection: socket.socket) -> None:
        """Only who was named may be inside; a proxy is where its owner put it."""
        named = self._first.hostname in {made.host.strip("[]"), made.host}
        if named or made._tunnel_host or _is_proxy(made.host):
            return
        address = str(connection.getpeername()[0]).partition("%")[0]
        _refuse_inside(made.host, ipaddress.ip_address(address))


def _is_proxy(host: str) -> bool:
    proxies = urllib.request.getproxies().values()
    return any(host == (urllib.parse.urlsplit(proxy).hostname or "") for proxy in proxies)


class _Http(_Watched, urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> Any:
        """Open an address without encryption, on this machine alone."""
        return self.do_open(
            lambda host, **o: self._connection(http.client.HTTPConnection, host, **o), request
        )


class _Https(_Watched, urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> Any:
        """Open an address by TLS."""
        return self.do_open(
            lambda host, **o: self._connection(http.client.HTTPSConnection, host, **o), request
        )
