"""How an agent was started."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from fidokit.agent.core.policy import Policy
from fidokit.agent.core.ports import Upstream


@dataclass(frozen=True, slots=True)
class Settings:
    """How this agent was started.

    Args:
        read_only: clients can add and remove no keys.
        lifetime: seconds for keys that come without a lifetime, None for ever.
        providers: the libraries that keys on tokens may name, by real path; each means us.
        policy: the owner's rules.
        host_name: names a host key blob for the person.
        say: takes a line for the log.
        connect: opens a connection to the agent behind this one, None where there is none.
        clock: monotonic seconds; `wall` seconds since 1970.
        random: gives random bytes.
    """

    say: Callable[[str], None]
    clock: Callable[[], float]
    wall: Callable[[], float]
    read_only: bool = False
    lifetime: int | None = None
    providers: Callable[[str], bool] = lambda _path: False
    policy: Policy = field(default_factory=Policy)
    host_name: Callable[[bytes], str] = lambda _blob: ""
    connect: Callable[[], Upstream] | None = None
    random: Callable[[int], bytes] = os.urandom
