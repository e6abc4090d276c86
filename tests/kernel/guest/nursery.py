"""Forks `fidokit virtual serve` from a process that has imported it all: starts are slow here.

Each line of the FIFO that it is given is JSON: the token's name, how it is made (or null), and
the arguments of `virtual serve`. What that prints goes to /tmp/NAME.log, its process to
/tmp/NAME.pid; /tmp/NAME.ended says that it has ended.
"""

import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any

from fidokit.cli.main import main
from fidokit.lab.named_tokens import create_virtual
from fidokit.virtual.token import VirtualToken

with VirtualToken() as token:  # imports what is imported late
    token.link().cbor(b"\x04", lambda _status: None, lambda: False)


def bear(order: dict[str, Any]) -> int:
    """One server; returns its process."""
    name = order["name"]
    child = os.fork()
    if child:
        return child
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    log = os.open(f"/tmp/{name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if order["create"] is not None:
        create_virtual(name, **order["create"])
    sys.argv = ["fidokit", "virtual", "serve", name, *order["arguments"]]
    main()  # does not return
    return 0


def watch(child: int, name: str) -> None:
    """Bury it, and say how it ended."""
    Path(f"/tmp/{name}.pid").write_text(f"{child}\n")
    if os.fork() == 0:
        pidfd = os.pidfd_open(child)
        select.select([pidfd], [], [])
        Path(f"/tmp/{name}.ended").write_text("ended\n")
        os._exit(0)


signal.signal(signal.SIGCHLD, signal.SIG_IGN)
orders_at = sys.argv[1]
while True:
    with Path(orders_at).open() as orders:
        for line in orders:
            order = json.loads(line)
            watch(bear(order), order["name"])
