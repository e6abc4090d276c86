"""`fidokit provider`: the library by which OpenSSH's programs reach the tokens that we reach."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from fidokit.cli.options import verb
from fidokit.cli.render import Lines, show
from fidokit.cli.settings import Settings, with_sudo
from fidokit.errors import NoPermission
from fidokit.prompt.text import note
from fidokit.provider.abi import API_VERSIONS

_sk_api_option = click.option(
    "--sk-api",
    type=click.Choice(list(map(str, API_VERSIONS))),
    help="Version of OpenSSH's interface: 10 for 9.1 and later, 9 for 8.9 and 9.0.  "
    "[default: as the ssh here]",
)


@verb()
@_sk_api_option
def path(settings: Settings, *, sk_api: str | None) -> None:
    """Print the path of the library for ssh-keygen and ssh.

    ssh-keygen and ssh-add read SSH_SK_PROVIDER; ssh reads SecurityKeyProvider in ~/.ssh/config:

    \b
    export SSH_SK_PROVIDER=$(fidokit provider path)
    ssh-keygen -t ed25519-sk
    ssh -o SecurityKeyProvider=$SSH_SK_PROVIDER HOST
    """
    from fidokit.provider.library import provider_api, provider_path

    version = int(sk_api) if sk_api else provider_api()
    library = str(provider_path(version))
    show(settings, {"provider": {"path": library, "sk_api": version}}, Lines([library]))


@verb()
@_sk_api_option
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder for the copy.  [default: /usr/local/lib/fidokit]",
)
def install(settings: Settings, *, sk_api: str | None, into: Path | None) -> None:
    """Copy the library to where ssh-agent trusts it.

    Needs root for the default folder. ssh-agent loads libraries only from its allow list (-P), by
    default /usr/lib*/* and /usr/local/lib*/*, and does not follow links out of these folders. If
    the library is in one of them already, as that of the Debian package is, nothing is copied
    unless --into names a folder.
    """
    from fidokit.provider.library import install_provider

    try:
        done = install_provider(into, sk_api=int(sk_api) if sk_api else None)
    except NoPermission as error:
        named = ["--sk-api", sk_api] if sk_api else []
        folder = ["--into", str(into)] if into else []
        command = ["provider", "install", *folder, *named]
        raise NoPermission(error.message, hint=f"run: {with_sudo(*command)}") from None
    data = {"path": str(done.path), "python": done.python, "written": done.written}
    said = f"Wrote {done.path}." if done.written else f"{done.path} is already there."
    show(settings, {"provider": data}, Lines([said]))
    if done.closed is not None:
        note(
            f"It runs {done.python}, and other users may not enter {done.closed}: for them, "
            "install fidokit where all may read it."
        )
    note(
        f"Now: export SSH_SK_PROVIDER={shlex.quote(str(done.path))}, and in ~/.ssh/config: "
        f"SecurityKeyProvider {done.path}"
    )
