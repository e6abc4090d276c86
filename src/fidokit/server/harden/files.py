"""The files of an sshd that hardening changes: where our lines go, and what it comes to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, SshdNotAsked
from fidokit.files.keyfile import read_bounded
from fidokit.server.otp import pam
from fidokit.server.sshd import config as sshd_config
from fidokit.server.sshd import drop_in
from fidokit.server.sshd.config import Include
from fidokit.server.sshd.drop_in import Edit
from fidokit.server.sshd.query import Sshd
from fidokit.server.sshd.trial import Bench

_MOST_SERVICES: Final = 1000


def pam_files(named: Path | None, sshd: Sshd, config: Path) -> tuple[Path, ...]:
    """sshd's PAM service, and whatever else has a block of ours: its name may have changed.

    Args:
        named: by the user; then there is no other.
        sshd: the program; before 9.8 its service has its name.
        config: its configuration, which it need not take.
    """
    if named is not None:
        return (named,)
    service = Path(sshd.program).name
    with suppress(SshdNotAsked):
        service = sshd.with_config(config).settings().first("pamservicename", service)
    own = pam.FOLDER / service
    with suppress(OSError):
        others = sorted(islice(pam.FOLDER.iterdir(), _MOST_SERVICES))
        return (own, *(path for path in others if path != own and _is_ours(path)))
    return (own,)


def _is_ours(path: Path) -> bool:
    try:
        return path.is_file() and bool(drop_in.title(read_bounded(path, sshd_config.MAX_FILE)))
    except (OSError, FidokitError):
        return False


@dataclass(frozen=True)
class HardenedFiles:
    """The files.

    Attributes:
        config: the main one, without symbolic links.
        pam_files: sshd's PAM service, and others that have a block of ours.
        text: what is in the main one, but for a block of ours.
        include: where a drop-in is read; None for nowhere.
    """

    config: Path
    pam_files: tuple[Path, ...]
    text: bytes
    include: Include | None

    @classmethod
    def find(cls, config: Path, pam: Sequence[Path]) -> HardenedFiles:
        """Look at the main file.

        Args:
            config: without symbolic links.
            pam: see `pam_files`.

        Raises:
            NoPermission, FidokitError: it cannot be read.
            MalformedFile: our block in it has lost its end.
        """
        text = drop_in.without_block(read_bounded(config, sshd_config.MAX_FILE), config)
        kept = drop_in.NAME + drop_in.ORIGINAL_SUFFIX
        include = sshd_config.folder_of_drop_ins(config, text, drop_in.NAME, not_taken=kept)
        return cls(config, tuple(pam), text, include)

    @property
    def pam_file(self) -> Path:
        """The PAM service of this sshd."""
        return self.pam_files[0]

    @property
    def drop_in(self) -> Path | None:
        """The drop-in, if one is read."""
        return self.include.folder / drop_in.NAME if self.include else None

    @property
    def place(self) -> Path:
        """The file in which our lines stand."""
        return self.drop_in or self.config

    def edits(self, block: bytes | None, pam_block: bytes | None) -> list[Edit]:
        """Edits that leave these blocks and no others, without those that change nothing.

        PAM's lines come first and go last: at no time does sshd ask for a code that PAM does not
        check.
        """
        edits = [drop_in.plan(self.config, None if self.drop_in else block)]
        if self.drop_in:
            edits.insert(0, drop_in.plan(self.drop_in, block))
        pam = drop_in.plan(self.pam_file, pam_block)
        rest = [drop_in.plan(path, None) for path in self.pam_files[1:]]
        ordered = [pam, *edits, *rest] if pam_block else [*edits, pam, *rest]
        return [edit for edit in ordered if not edit.is_empty]

    def late(self, edits: Sequence[Edit]) -> tuple[Edit, ...]:
        """Edits that must wait until sshd asks for no code any more."""
        pam = {Path(os.path.realpath(path)) for path in self.pam_files}
        return tuple(x for x in edits if x.path in pam and not drop_in.title(x.after or b""))

    def stage(self, bench: Bench, name: str, block: bytes | None) -> Path:
        """The configuration as it would be with a block, for a throw-away sshd."""
        old = self._old_drop_in_without_block()
        content = (block or b"") + old if block or old else None
        if self.include is None or self.drop_in is None:
            return bench.stage_config(name, (block or b"") + self.text)
        staged = None if content is None else bench.stage(f"{name}.drop-in", content)
        text = sshd_config.with_drop_in(self.text, self.include, self.drop_in, staged)
        return bench.stage_config(name, text)

    def _old_drop_in_without_block(self) -> bytes:
        """What somebody else wrote into the file that has our name."""
        if self.drop_in is None:
            return b""
        return drop_in.plan(self.drop_in, None).after or b""

    def lines(self) -> Iterator[sshd_config.Line]:
        """Other people's directives, in the order in which sshd meets them."""
        place = self.place
        text = read_bounded(place, sshd_config.MAX_FILE) if place.exists() else b""
        ours = drop_in.block_lines(text)
        for line in sshd_config.walk(self.config):
            if line.number not in ours or line.path.resolve() != place:
                yield line

    def title(self) -> str:
        """What our block says it is for now; empty if there is none."""
        there = self.place.exists()
        return drop_in.title(read_bounded(self.place, sshd_config.MAX_FILE) if there else b"")

    def edited_since(self) -> list[str]:
        """Which files are not quite what they were before we came, a sentence each."""
        return [
            f"{edit.path} was edited: only the block is removed, and {edit.original} stays"
            for edit in self.edits(None, None)
            if edit.original.exists()
            and read_bounded(edit.original, sshd_config.MAX_FILE) != edit.after
        ]
