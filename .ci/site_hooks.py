"""What mkdocs calls while it builds the site: pages that are made, and links that leave docs/.

The commands' pages come from the same help that fidokit prints, the messages from its source, and
some pages from the top of the repository.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import site_commands
import site_messages
from mkdocs.structure.files import File, Files
from site_links import TAKEN_IN, moved

TOP = Path(__file__).parents[1]
RECORDS = {"changes.md", "conformance.md", "ctap-checks.md", "models.md"}
"""Long tables, which have many of the words that somebody looks for, and seldom the answer."""


def made() -> dict[str, str]:
    """Return the pages that are in no file of docs/, by their names there."""
    taken = {page: moved((TOP / path).read_text(), path) for path, page in TAKEN_IN.items()}
    return {**site_commands.pages(), "messages.md": site_messages.page(TOP / "src"), **taken}


def on_config(config: Any) -> Any:
    """Complete the list of commands in the navigation."""
    reference = next(shelf["Reference"] for shelf in config["nav"] if "Reference" in shelf)
    commands = next(entry["Commands"] for entry in reference if "Commands" in entry)
    commands.extend(name for name in site_commands.pages() if name not in commands)
    return config


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages that are made."""
    for name, text in made().items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_rest: Any) -> str:
    """Turn links to pages at the top of the repository to where these are on the site."""
    if page.file.src_uri in RECORDS:
        page.meta["search"] = {"boost": 0.2}
    if page.is_homepage:
        page.meta["hide"] = ["navigation"]  # a shelf of its own, with nothing else on it
    if page.file.generated_by:
        return markdown
    return moved(markdown, f"docs/{page.file.src_uri}")
