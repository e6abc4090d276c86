"""Which token the person means: the environment, then the configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def configured_selector(
    environ: Mapping[str, str] | None = None, config: Path | None = None
) -> str | None:
    """FIDOKIT_TOKEN, else `token` in `~/.config/fidokit/config.toml`, else None.

    Args:
        environ: os.environ when None.
        config: the file; under XDG_CONFIG_HOME when None.

    Raises:
        MalformedFile when the file is not TOML or `token` is not a string.
    """
    raise NotImplementedError
