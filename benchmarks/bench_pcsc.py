"""getInfo over a real pcscd, to a virtual token that another process lays on vpcd's reader.

The client is python-fido2's, which asks by short APDUs: four round trips for the information of a
CTAP 2.3 token, each through the service, the reader's driver and TCP. By one extended APDU it is
one. A round is the mean of many; the best round counts, as everywhere.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks.place import FIDOKIT, Place
from benchmarks.timing import Result

if TYPE_CHECKING:
    from fido2.pcsc import CtapPcscDevice

ROUNDS = 20
REQUESTS = 100
CEILING_S = 0.001
GET_INFO = b"\x04"


def run(here: Place, rounds: int = ROUNDS, count: int = REQUESTS) -> Iterator[Result]:
    """Measure both; where pcscd cannot run, say so and go on."""
    from tests.support import pcscd  # large, and memory of this process is a floor for its children

    try:
        with pcscd.reserved(), pcscd.running() as service, _served(here, service.port):
            (device,) = _devices()
            for title, extended in (("short APDUs", False), ("one extended APDU", True)):
                device.use_ext_apdu = extended
                best = min(_round_trip(device, count) for _ in range(rounds + 1))
                yield Result(f"getInfo over pcscd, {title}", best, "ceiling", CEILING_S, 1.0)
            device.close(release=True)
    except pcscd.Missing as error:
        print(f"not measured over pcscd: {error}", file=sys.stderr)


def _devices() -> list[CtapPcscDevice]:
    from fido2.pcsc import CtapPcscDevice

    return list(CtapPcscDevice.list_devices())


def _round_trip(device: CtapPcscDevice, count: int) -> float:
    from fido2.hid import CTAPHID

    began = time.perf_counter()
    for _ in range(count):
        device.call(CTAPHID.CBOR, GET_INFO)
    return (time.perf_counter() - began) / count


@contextmanager
def _served(here: Place, port: int) -> Iterator[None]:
    from tests.support.pcscd import wait_for_card

    here.fidokit("virtual", "create", "card")
    command = [*FIDOKIT, "virtual", "serve", "card", "--vpcd", f"127.0.0.1:{port}"]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=here.environment,
    ) as process:
        try:
            wait_for_card()
            yield
        finally:
            process.terminate()
