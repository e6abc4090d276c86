"""`fidokit completion`: the script that teaches a shell fidokit's words."""

from __future__ import annotations

import click

from fidokit.cli.options import verb
from fidokit.cli.render import Lines, show
from fidokit.cli.settings import Settings


@verb()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(settings: Settings, *, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash:  fidokit completion bash > ~/.local/share/bash-completion/completions/fidokit
    zsh:   fidokit completion zsh > ~/.zfunc/_fidokit
           (with `fpath+=~/.zfunc; autoload -Uz compinit; compinit` in ~/.zshrc)
    fish:  fidokit completion fish > ~/.config/fish/completions/fidokit.fish
    """
    from click.shell_completion import ShellComplete, get_completion_class

    from fidokit.cli.app import COMPLETION_VARIABLE, PROGRAM, root

    completer = get_completion_class(shell)
    assert completer is not None  # noqa: S101  click has these three
    # ShellComplete's own source(): that of bash runs bash to look at its version.
    script = ShellComplete.source(completer(root, {}, PROGRAM, COMPLETION_VARIABLE))
    show(settings, {"shell": shell, "script": script}, Lines(script.splitlines()))
