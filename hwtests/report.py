"""The report of a run, in Markdown and JSON, to be attached to a bug report.

It names the model and never the token: no serial number, no key, no credential. All text of the
token's own is escaped.
"""

from __future__ import annotations

import json
import platform
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import fidokit
from fidokit.client.info import TokenInfo

SCHEMA = 1
Outcome = Literal["passed", "differs", "failed", "skipped"]
"""A token *differs* that departs from CTAP where fidokit knows what to do; it does its work."""


@dataclass(frozen=True)
class Result:
    """One test.

    Args:
        name: its file and function, without folders.
        seconds: set-up and clean-up included.
        round_trips: messages to the token and back.
        touches: how many were asked for.
        reason: why it was skipped, how the token differs, or the last line of its failure.
    """

    name: str
    outcome: Outcome
    seconds: float
    round_trips: int = 0
    touches: int = 0
    reason: str = ""


@dataclass
class Report:
    """What is known of the token, and what became of each test."""

    transport: str = ""
    product: str = ""
    model: str = ""
    options: str = ""
    info: TokenInfo = field(default_factory=lambda: TokenInfo(versions=()))
    results: list[Result] = field(default_factory=list)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    def counts(self) -> Mapping[str, int]:
        """How many tests passed, found a difference, failed and were skipped."""
        found = Counter(result.outcome for result in self.results)
        return {outcome: found[outcome] for outcome in get_args(Outcome)}

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write `report.md` and `report.json` into a folder, over those of an earlier run."""
        folder.mkdir(parents=True, exist_ok=True)
        pages = folder / "report.md", folder / "report.json"
        pages[0].write_text(self.markdown(), encoding="utf-8")
        pages[1].write_text(self.json(), encoding="utf-8")
        return pages

    def json(self) -> str:
        """The report for programs."""
        data = {
            "schema": SCHEMA,
            "fidokit": fidokit.__version__,
            "system": platform.platform(),
            "python": platform.python_version(),
            "date": self.began.isoformat(timespec="seconds"),
            "run": self.options,
            "token": {
                "transport": self.transport,
                "product": self.product,
                "model": self.model,
                **self._capabilities(),
            },
            "counts": self.counts(),
            "results": [asdict(result) for result in self.results],
        }
        return json.dumps(data, indent=2) + "\n"

    def _capabilities(self) -> dict[str, object]:
        info = self.info
        return {
            "aaguid": info.aaguid.hex(),
            "firmware": info.firmware_version,
            "versions": list(info.versions),
            "extensions": list(info.extensions),
            "options": dict(info.options),
            "algorithms": list(info.algorithms),
            "pin_protocols": list(info.pin_protocols),
            "transports": list(info.transports),
            "max_msg_size": info.max_msg_size,
            "min_pin_length": info.min_pin_length,
            "remaining_resident": info.remaining_resident,
            "max_large_blob_array": info.max_large_blob_array,
        }

    def markdown(self) -> str:
        """The report for people."""
        counts = self.counts()
        told = ", ".join(f"{number} {outcome}" for outcome, number in counts.items())
        where = f"Python {platform.python_version()}, {platform.platform()}"
        head = [
            "# fidokit on a token",
            "",
            f"- fidokit {fidokit.__version__}, {where}, {self.began:%Y-%m-%d %H:%M} UTC",
            f"- {told}; {self.options}",
            "",
            "## The token",
            "",
            "| | |",
            "|---|---|",
            f"| product | {cell(self.product)} over {cell(self.transport)} |",
            f"| certified model | {cell(self.model or 'not known')} |",
        ]
        head += [f"| {name} | {cell(_shown(value))} |" for name, value in self._known()]
        table = ["", "## Tests", "", "| test | result | time | round trips | touches | why |"]
        table += ["|---|---|---:|---:|---:|---|"]
        return "\n".join([*head, *table, *map(_row, self.results), ""])

    def _known(self) -> list[tuple[str, object]]:
        return [(name, value) for name, value in self._capabilities().items() if value is not None]


def _row(result: Result) -> str:
    return (
        f"| `{result.name}` | {result.outcome} | {result.seconds:.2f} s "
        f"| {result.round_trips} | {result.touches} | {cell(result.reason)} |"
    )


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {'yes' if on else 'no'}" for name, on in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def cell(text: str, longest: int = 400) -> str:
    """Text that may come from a token, as a cell of a Markdown table: one line, nothing active."""
    plain = "".join(c if c.isprintable() else "?" for c in text)[:longest]
    return re.sub(r"([\\`*_{}\[\]<>|~#&!])", r"\\\1", plain)
