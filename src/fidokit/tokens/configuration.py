"""What the user configured: which token is meant, by the environment or the file; and the rest of
the file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fidokit.errors import MalformedFile, UsageError
from fidokit.system.host import xdg_folder

VARIABLE: Final = "FIDOKIT_TOKEN"
MAX_CONFIG: Final = 1 << 16
"""Bytes; a configuration file longer than this is none of ours."""


def configured_selector(
    environ: Mapping[str, str] | None = None, config: Path | None = None
) -> str | None:
    """FIDOKIT_TOKEN, else `token` in `~/.config/fidokit/config.toml`, else None.

    Args:
        environ: os.environ when None.
        config: the file; under XDG_CONFIG_HOME when None. A missing file is not an error.

    Raises:
        MalformedFile: the file is not TOML, or `token` is not a string.
        NoPermission: it cannot be read.
    """
    environ = os.environ if environ is None else environ
    chosen = environ.get(VARIABLE)
    if chosen:
        return chosen
    return _from_file(config or config_path(environ))


def config_path(environ: Mapping[str, str]) -> Path:
    """Where the configuration file is: `$XDG_CONFIG_HOME/fidokit/config.toml`."""
    return xdg_folder(environ, "XDG_CONFIG_HOME", ".config") / "fidokit" / "config.toml"


def configured_remember(
    environ: Mapping[str, str] | None = None, config: Path | None = None
) -> bool:
    """`remember` in the configuration file: keep rights to read that last; False by default.

    Raises:
        MalformedFile: the file is not TOML, or `remember` is neither true nor false.
        NoPermission: it cannot be read.
    """
    path = config or config_path(os.environ if environ is None else environ)
    remember = _settings(path).get("remember", False)
    if not isinstance(remember, bool):
        raise MalformedFile(
            f"{path}: `remember` is neither true nor false", hint="write: remember = true"
        )
    return remember


def configured_inventory(
    environ: Mapping[str, str] | None = None, config: Path | None = None
) -> bool:
    """`inventory` in the configuration file: note down who knows which key; True by default.

    Raises:
        MalformedFile: the file is not TOML, or `inventory` is neither true nor false.
        NoPermission: it cannot be read.
    """
    path = config or config_path(os.environ if environ is None else environ)
    inventory = _settings(path).get("inventory", True)
    if not isinstance(inventory, bool):
        raise MalformedFile(
            f"{path}: `inventory` is neither true nor false", hint="write: inventory = false"
        )
    return inventory


def configured_folders(
    environ: Mapping[str, str] | None = None, config: Path | None = None
) -> list[Path]:
    """`certificates` in the configuration file: folders of certificates for keys on tokens.

    Raises:
        MalformedFile: the file is not TOML, or `certificates` is not a list of folders.
        NoPermission: it cannot be read.
    """
    path = config or config_path(os.environ if environ is None else environ)
    listed = _settings(path).get("certificates", [])
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise MalformedFile(
            f"{path}: `certificates` is not a list of folders",
            hint='write: certificates = ["~/certificates"]',
        )
    return [Path(os.path.expanduser(one)) for one in listed]  # noqa: PTH111  hostile text


def _from_file(path: Path) -> str | None:
    token = _settings(path).get("token")
    if token is not None and not isinstance(token, str):
        raise MalformedFile(f"{path}: `token` is not a string", hint='write: token = "usb:SERIAL"')
    return token or None


def _settings(path: Path) -> Mapping[str, object]:
    if not path.exists():
        return {}
    import tomllib

    from fidokit.files.keyfile import read_bounded

    try:
        return tomllib.loads(read_bounded(path, MAX_CONFIG).decode("utf-8"))
    except ValueError as error:  # not UTF-8, or not TOML
        raise MalformedFile(
            f"{path} is not a TOML file: {error}", hint='write: token = "usb:SERIAL"'
        ) from None
    except UsageError as error:
        raise MalformedFile(error.message, hint=error.hint) from None
