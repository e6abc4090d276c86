"""One virtual machine for all tests here, and virtual tokens plugged into its kernel."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from tests.kernel.image import Missing
from tests.kernel.vm import Done, Machine, booted

PIN = "314159"


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The guest. Where there can be none, CI fails; elsewhere tests are skipped and say why."""
    folder = tmp_path_factory.mktemp("vm")
    try:
        with booted(folder) as found:
            yield found
    except Missing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


@dataclass
class Plugged:
    """A token in the guest's kernel.

    Args:
        name: of the virtual token.
        node: such as /dev/hidraw0.
        serial: HID_UNIQ.
    """

    machine: Machine
    name: str
    node: str
    serial: str

    @property
    def path(self) -> str:
        """Its folder in the guest, for files of the test; root's and charlie's."""
        return f"/tmp/{self.name}"

    def fidokit(self, arguments: str, **options: object) -> Done:
        """Our command on this token, over its node."""
        return self.machine.run(
            f"cd {self.path}; fidokit --token usb:{self.node} {arguments}",
            **options,  # type: ignore[arg-type]
        )


Plug = Callable[..., object]
_numbers = itertools.count(1)


@contextmanager
def plugged_in(
    machine: Machine, *flags: str, way: str = "--uhid", **create: str
) -> Iterator[Plugged]:
    """Plug a new virtual token into the guest's kernel.

    Args:
        flags: further ones for `virtual serve`.
        way: how it is plugged in.
        create: its profile, its presence, as `fidokit.lab.create_virtual` takes them.
    """
    name = f"t{next(_numbers)}"
    said = machine.run(
        f"mkdir -m 777 /tmp/{name}; CREATE='{json.dumps(create)}' "
        f"/opt/fidokit/guest/serve {name} {way} {' '.join(flags)}"
    ).ok()
    node = next((word for word in said.split() if word.startswith("/dev/hidraw")), "")
    serial = said.partition("usb:")[2].split(")")[0]
    assert node or way != "--uhid", said
    try:
        yield Plugged(machine, name, node, serial)
    finally:
        unplug(machine, name)


def unplug(machine: Machine, name: str) -> None:
    """End the process that serves it, and wait for that."""
    machine.run(f"/opt/fidokit/guest/unplug {name}")


@pytest.fixture
def token(machine: Machine) -> Iterator[Plugged]:
    """A new token whose owner touches at once."""
    with plugged_in(machine) as found:
        yield found


@pytest.fixture
def owned(token: Plugged) -> Plugged:
    """One with a PIN, set by libfido2."""
    answers = [("new PIN", PIN), ("again", PIN)]
    token.machine.typed(f"fido2-token -S {token.node}", *answers).ok()
    return token
