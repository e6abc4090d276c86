"""Pages that are taken into the site from the top of the repository, and links between both."""

from __future__ import annotations

import posixpath
import re

TAKEN_IN = {
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "LICENSE": "license.txt",
    "SECURITY.md": "security-policy.md",
    "hwtests/README.md": "hwtests.md",
}
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")


def moved(text: str, source: str) -> str:
    """Return a page of the repository with its links as they are on the site.

    Args:
        text: the page.
        source: its path in the repository, which its links start from.
    """
    folder = posixpath.dirname(TAKEN_IN.get(source, source.removeprefix("docs/"))) or "."

    def link(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[1]))
        if path in TAKEN_IN:
            return posixpath.relpath(TAKEN_IN[path], folder)
        if path.startswith("docs/"):
            return posixpath.relpath(path.removeprefix("docs/"), folder)
        return match[1]

    return LINK.sub(link, text)
