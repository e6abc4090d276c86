"""The path of setup: its steps in order, each with the line that explains it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from fidokit.guide.setup import token_steps, use_steps
from fidokit.guide.setup.desk import SetupDesk, SetupState

if TYPE_CHECKING:
    from fidokit.client.session import Session

Title = tuple[str, str]

TITLES: Final[Mapping[str, Title]] = {
    "token": ("The security key", "Your keys live on it: nothing to copy, nothing to steal."),
    "pin": ("Its PIN", "Whoever finds the security key needs the PIN too. 8 wrong ones block it."),
    "key": ("An SSH key on it", "The file holds no secret that works without the security key."),
    "backup": ("A backup", "A key cannot be copied; a second token gets one of its own."),
    "login": ("A server", "Your public key goes into ~/.ssh/authorized_keys there."),
    "gh": ("GitHub", "For git over ssh, and for the badge Verified on your commits."),
    "gl": ("GitLab", "For git over ssh, and for the badge Verified on your commits."),
    "config": ("ssh's configuration", "`ssh HOST` then uses this key, and tries no other."),
    "try": ("A test login", "The only proof that it works is that it works."),
    "git": ("git", "Signed commits show that they are yours."),
    "test": ("A test signature", "It proves that key, token and PIN belong together."),
}
"""The heading of each step, and why one would want it."""

_WITH_KEY: Final[Mapping[str, Callable[[SetupState], None]]] = {
    "login": use_steps.authorize,
    "gh": lambda state: use_steps.publish(state, "gh"),
    "gl": lambda state: use_steps.publish(state, "gl"),
    "config": use_steps.configure_ssh,
    "try": use_steps.try_login,
    "git": use_steps.sign_commits,
    "test": use_steps.try_signature,
}


def run_setup(desk: SetupDesk) -> SetupState:
    """Take the whole path; what was done before is found and passed.

    Raises:
        TokenNotFound, SeveralTokens, TokenBusy: there is no token to begin with.
        PinError, UsageError, FidokitError: there is no key to go on with.
        Interrupted: the user ended it; another run goes on from there.
    """
    state = SetupState(desk)
    desk.begin(*TITLES["token"])
    with desk.open_token(desk.selector) as session:
        _with_token(state, session)
    if state.key is None:
        return state
    for name, step in _WITH_KEY.items():
        if not _is_needless(state, name):
            desk.begin(*TITLES[name])
            step(state)
    return state


def _with_token(state: SetupState, session: Session) -> None:
    token_steps.show_token(state, session)
    state.desk.begin(*TITLES["pin"])
    token_steps.set_pin(state, session)
    state.desk.begin(*TITLES["key"])
    token_steps.have_key(state, session)
    if state.key is not None:
        state.desk.begin(*TITLES["backup"])
        token_steps.make_backup(state, session)


def _is_needless(state: SetupState, name: str) -> bool:
    """Whether a step has nothing to be about."""
    return (name in {"config", "try"} and not state.servers) or (name == "test" and state.proved)
