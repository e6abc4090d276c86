"""The steps of setup with a key: servers, ssh's configuration, GitHub, GitLab, git, a test."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from fidokit.errors import FidokitError, Interrupted
from fidokit.guide import ssh_login
from fidokit.guide.setup.desk import StepOutcome, shown
from fidokit.keys.bookkeeping import note_authorized, note_published
from fidokit.keys.publication import SITES, Publication, Published, publish_keys
from fidokit.keys.ssh_config import install_blocks, installed_hosts, own_file
from fidokit.prompt.text import note
from fidokit.server.authorize.authorization import AuthorizeTarget, authorize_keys
from fidokit.server.authorize.standing import WORDS, Admittance
from fidokit.signing.git_config import (
    GitSigning,
    apply_plan,
    configured_key,
    email_of,
    plan_signing,
    prove_signing,
    signs_every_commit,
)
from fidokit.signing.records import note_signers
from fidokit.signing.signatures import sign_message
from fidokit.signing.signers import open_signer, private_path

if TYPE_CHECKING:
    from fidokit.guide.setup.desk import SetupState
    from fidokit.server.authorize.outcome import Authorized
    from fidokit.signing.git_config import SigningPlan

_STATES: Final = {
    Published.ADDED: "is added",
    Published.PRESENT: "was there",
    Published.UNSEEN: "is added; the public list does not show it yet",
}
NOBODY: Final = "it asks for a PIN or a passphrase, and there is nobody to ask"
NO_TOUCH: Final = "it refuses keys that sign without a touch, as this one does"


@contextmanager
def _guarded(state: SetupState, name: str, *commands: list[str]) -> Iterator[None]:
    """What fails in one step does not end the others."""
    try:
        yield
    except Interrupted:
        raise
    except FidokitError as error:
        state.note(name, StepOutcome.FAILED, error.message, *commands, hint=error.hint)


# --- logins --------------------------------------------------------------------------------------


def authorize(state: SetupState) -> None:
    """Let the key into accounts on servers."""
    asked = "Server to log in to, as user@host (Enter for none)"
    for host in installed_hosts(state.private):
        state.servers.append(host)
        sentence = f"{shown(own_file())} names the key for {host}"
        state.note("login", StepOutcome.PRESENT, sentence)
    for destination in state.desk.asker.texts("login.servers", asked):
        command = [*_ours(state, "server", "authorize"), shown(state.public), "--host", destination]
        with _guarded(state, "login", command):
            place = AuthorizeTarget(destination=destination, ssh=state.desk.ssh)
            done = authorize_keys([str(state.public)], place, fetch=state.desk.fetch)
            note_authorized(note, done, place)
            _tell_standing(state, done, destination, command)
    if not any(step.name == "login" for step in state.steps):
        words = [shown(state.public), "--host", "user@host"]
        command = [*_ours(state, "server", "authorize"), *words]
        state.note("login", StepOutcome.SKIPPED, "no server was named", command)


def _ours(state: SetupState, *words: str) -> list[str]:
    """A command of ours that calls ssh, as the user's own ssh is called."""
    given = [] if list(state.desk.ssh) == ["ssh"] else ["-e", shlex.join(state.desk.ssh)]
    return ["fidokit", *words, *given]


def _tell_standing(
    state: SetupState, done: Authorized, destination: str, command: list[str]
) -> None:
    for one in done.standings:
        what = f"{destination}: {WORDS[one.standing]}" + (f" ({one.why})" if one.why else "")
        if one.standing == Admittance.REFUSED:
            state.note("login", StepOutcome.FAILED, what, command, hint=one.how)
            continue
        added = done.change.added or done.change.changed
        state.note("login", StepOutcome.DONE if added else StepOutcome.PRESENT, what, command)
        if destination not in state.servers:
            state.servers.append(destination)


def configure_ssh(state: SetupState) -> None:
    """Have ssh use the key for the servers."""
    words = ["--install", "-f", shown(state.private), *state.servers]
    command = [*_ours(state, "ssh-config"), *words]
    with _guarded(state, "ssh-config", command):
        if {*state.servers} <= {*installed_hosts(state.private)}:
            _install(state, command)
            return
    question = "Have ssh use this key there, by a block in its configuration?"
    if not state.desk.asker.yes("login.ssh_config", question, default=True):
        state.note("ssh-config", StepOutcome.SKIPPED, "ssh's configuration stays as it is", command)
        return
    with _guarded(state, "ssh-config", command):
        _install(state, command)


def _install(state: SetupState, command: list[str]) -> None:
    blocks = [
        ssh_login.host_block(one, state.private, environ=state.desk.environ)
        for one in state.servers
    ]
    done = install_blocks(blocks, ssh=state.desk.ssh)
    for problem in done.problems:
        state.note("ssh-config", StepOutcome.OPEN, problem)
    state.configured = not done.problems
    outcome = StepOutcome.DONE if done.added else StepOutcome.PRESENT
    named = ", ".join((*done.added, *done.present))
    state.note("ssh-config", outcome, f"{shown(done.file)} names the key for {named}", command)


def try_login(state: SetupState) -> None:
    """Log in to each server by the key, once."""
    question = "Log in now? It takes a touch, and the PIN if the key wants it."
    why = NOBODY if state.is_mute else ""
    if not why and not state.desk.asker.yes("login.test", question, default=True):
        why = "not tried"
    ssh = [*state.desk.ssh, *([] if state.configured or why else _identity(state))]
    for destination in state.servers:
        command = [*ssh, destination]
        if why:
            state.note("test login", StepOutcome.SKIPPED, f"{destination}: {why}", command)
            continue
        problem = ssh_login.login_problem(ssh, destination, state.fingerprint)
        if problem:
            hint = "see what ssh says: add -v to the command"
            state.note(
                "test login", StepOutcome.FAILED, f"{destination}: {problem}", command, hint=hint
            )
        else:
            state.proved = True
            state.note("test login", StepOutcome.DONE, f"{destination} lets you in by it", command)


def _identity(state: SetupState) -> list[str]:
    """Options of ssh for the key, where the configuration does not name it."""
    options = ["-i", str(state.private), "-oIdentitiesOnly=yes"]
    block = ssh_login.host_block("x", state.private, environ=state.desk.environ)
    return [*options, *([f"-oSecurityKeyProvider={block.provider}"] if block.provider else [])]


# --- GitHub and GitLab ---------------------------------------------------------------------------


def publish(state: SetupState, prefix: str) -> None:
    """Put the key into the user's account at a site."""
    site = SITES[prefix]
    name = f"publish.{site.name.lower()}"
    command = ["fidokit", "key", "publish", f"{prefix}:", shown(state.public)]
    if not state.desk.asker.yes(name, f"Add the key to your {site.name} account?", default=False):
        state.note(site.name, StepOutcome.SKIPPED, "the account stays as it is", command)
        return
    if state.touch_required is False:
        state.note(site.name, StepOutcome.OPEN, NO_TOUCH)
    question = "For signatures of commits, too?"
    both = not site.one_list and state.desk.asker.yes("publish.signing", question, default=True)
    account = ""
    for signing in (False, True) if both else (False,):
        words = [*command, *(["--signing"] if signing else [])]
        with _guarded(state, site.name, words):
            done = _published(state, prefix, account, signing=signing)
            by_hand = [one for one in done if one.state == Published.BY_HAND]
            if by_hand and not (signing or account):
                _tell_by_hand(state, by_hand, both=both)
                account = _account(state, site.name)
                done = _published(state, prefix, account, signing=signing) if account else done
            words[3] = f"{prefix}:{account or ('NAME' if by_hand else '')}"
            for number, one in enumerate(done):
                _tell_published(state, one, *([words] if number == 0 else []))


def _published(state: SetupState, prefix: str, account: str, *, signing: bool) -> list[Publication]:
    done = publish_keys(
        f"{prefix}:{account}",
        [str(state.public)],
        signing=signing,
        environ=state.desk.environ,
        run=state.desk.run,
        fetch=state.desk.fetch,
    )
    note_published(note, done)
    return done


def _account(state: SetupState, site: str) -> str:
    """Whose list is looked at, once the user has added the key there; empty for nobody's."""
    if not state.desk.asker.is_person:
        return ""
    return state.desk.asker.text(
        "", f"Your name at {site}, once it is there (Enter: later)"
    ).strip()


def _tell_by_hand(state: SetupState, keys: Sequence[Publication], *, both: bool) -> None:
    """What to paste where, each key once."""
    for one in keys:
        kinds = "Authentication Key, then again as Signing Key" if both else "Authentication Key"
        kind = "" if one.site.one_list else f", as {kinds}"
        what = f"{one.why}: add it by hand at {one.page}{kind}"
        state.note(one.site.name, StepOutcome.OPEN, what, paste=one.text)


def _tell_published(state: SetupState, one: Publication, *command: list[str]) -> None:
    use = " for signatures" if one.signing else ""
    key = one.key.comment or one.fingerprint
    where = f"{one.site.name}{f' ({one.account})' if one.account else ''}{use}"
    if one.state == Published.BY_HAND:
        sentence = f"{where}: {key} is not seen yet"
        state.note(one.site.name, StepOutcome.OPEN, sentence, *command)
        return
    outcome = StepOutcome.PRESENT if one.state == Published.PRESENT else StepOutcome.DONE
    state.note(one.site.name, outcome, f"{where}: {key} {_STATES[one.state]}", *command)
    destination = one.site.login(state.desk.environ)
    if not one.signing and destination not in state.servers:
        state.servers.append(destination)


# --- git -----------------------------------------------------------------------------------------


def sign_commits(state: SetupState) -> None:
    """Have git sign by the key, and prove it by a commit."""
    command = ["fidokit", "git", "setup", "-f", shown(state.private)]
    with _guarded(state, "git", command):
        wish = _as_it_is(state) or _asked_wish(state, command)
        if wish is None:
            return
        git = state.desk.git
        command += [] if wish.principal == email_of(git) else ["--principal", wish.principal]
        command += [] if wish.every_commit else ["--on-request"]
        plan = plan_signing(git, wish)
        for problem in apply_plan(git, plan):
            state.note("git", StepOutcome.OPEN, problem)
        note_signers(note, wish, plan)
        outcome = StepOutcome.PRESENT if plan.is_empty else StepOutcome.DONE
        hint = "" if plan.is_empty else "to undo it: fidokit git setup --undo"
        names = ", ".join([*(one.name for one in plan.settings), *plan.present])
        state.note("git", outcome, f"{wish.principal}: {names}", command, hint=hint)
        _try_commit(state, wish, plan, [*command, "--test"])


def _as_it_is(state: SetupState) -> GitSigning | None:
    """What git was set up for, if it signs by this key already."""
    git = state.desk.git
    email, key = email_of(git), configured_key(git)
    if not email or key is None or private_path(key) != state.private:
        return None
    wish = GitSigning(state.private, email, every_commit=signs_every_commit(git))
    return wish if plan_signing(git, wish).is_empty else None


def _asked_wish(state: SetupState, command: list[str]) -> GitSigning | None:
    """What git is to be set up for; None if that is not wished."""
    asker = state.desk.asker
    if not asker.yes("git.sign", "Have git sign your commits by it?", default=True):
        state.note("git", StepOutcome.SKIPPED, "git's settings stay as they are", command)
        return None
    known = asker.given("git.email") or email_of(state.desk.git)
    email = str(known or asker.text("git.email", "Email address of your commits")).strip()
    if not email:
        state.note("git", StepOutcome.SKIPPED, "git does not know your address", command)
        return None
    every = asker.yes("git.every_commit", "All of them, not only with -S?", default=True)
    return GitSigning(state.private, email, every_commit=every)


def _try_commit(state: SetupState, wish: GitSigning, plan: SigningPlan, command: list[str]) -> None:
    question = "Sign a test commit now? It is thrown away."
    if state.is_mute or not state.desk.asker.yes("git.test", question, default=True):
        why = NOBODY if state.is_mute else "not tried"
        state.note("test commit", StepOutcome.SKIPPED, why, command)
        return
    with _guarded(state, "test commit", command):
        good = prove_signing(state.desk.git, wish, plan)
        state.proved = True
        state.note("test commit", StepOutcome.DONE, good, command)


# --- a signature ---------------------------------------------------------------------------------


def try_signature(state: SetupState) -> None:
    """Sign and verify a text, if no login and no commit proved the key."""
    if state.proved:
        return
    command = ["fidokit", "key", "sign", "-f", shown(state.private), "FILE"]
    if not state.desk.asker.yes("test", "Make a test signature?", default=True):
        state.note("test", StepOutcome.SKIPPED, "the key was not tried", command)
        return
    with (
        _guarded(state, "test", command),
        open_signer(
            state.private,
            state.desk.interaction,
            agent=False,
            passphrase=state.desk.old_passphrase,
            selector=state.desk.selector,
        ) as signer,
    ):
        sign_message(signer, b"fidokit setup")  # which verifies it
        state.proved = True
        state.note("test", StepOutcome.DONE, f"{state.fingerprint} signs, and it verifies", command)
