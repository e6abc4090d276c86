"""A bench for the token's CTAPHID machine: messages and milliseconds in, actions out."""

from __future__ import annotations

from fidokit.virtual.core.profile import TEXTBOOK_MANNERS, HidManners
from fidokit.virtual.framing.ctaphid import BROADCAST, HidCommand, Message
from fidokit.virtual.framing.ctaphid_device import Action, HidDevice, RunCommand

CHANNELS = (1, 2)
"""Given out before a test begins."""


class Bench:
    """One device and its clock.

    Args:
        capabilities: as INIT shows them.
        channels: how many are given out at once.
        last_channel, manners: as `HidDevice`.
    """

    def __init__(
        self,
        capabilities: int = 5,
        *,
        channels: int = len(CHANNELS),
        last_channel: int = 0,
        manners: HidManners = TEXTBOOK_MANNERS,
    ) -> None:
        self.device = HidDevice(capabilities, last_channel=last_channel, manners=manners)
        self.now_ms = 1_000_000
        for _ in range(channels):
            self.open()

    def open(self) -> int:
        """Another channel."""
        (reply,) = self.send(Message(BROADCAST, HidCommand.INIT, bytes(8)))
        assert isinstance(reply, Message)
        return int.from_bytes(reply.payload[8:12])

    def write(self, report: bytes) -> list[Action]:
        """What one report leads to."""
        return self.device.receive(report, self.now_ms)

    def send(self, message: Message) -> list[Action]:
        """What a message leads to, all of its reports sent."""
        return [action for report in message.reports() for action in self.write(report)]

    def begin(
        self, channel: int, command: HidCommand = HidCommand.CBOR, payload: bytes = b"\x0b"
    ) -> int:
        """The ticket of a command that the token works on from now on."""
        (action,) = self.send(Message(channel, command, payload))
        assert isinstance(action, RunCommand)
        return action.ticket

    def wait(self, milliseconds: int) -> list[Action]:
        """What so much time leads to."""
        self.now_ms += milliseconds
        return self.device.tick(self.now_ms)
