# Copyright (c) The fidokit developers
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""How a module of this collection ends: what changed, what is in doubt, and why it failed."""

from __future__ import annotations

import re

from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.errors import FidokitError
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.prompt.text import escape

_MODULES = (
    ("fidokit server authorize KEY --user NAME", "fidokit.ssh.authorized_key"),
    ("fidokit server revoke-list", "fidokit.ssh.revoked"),
    ("; --all-users", ""),
    (": --all-users", ""),
)
"""What hints say that is a task here; the command has an option for what a play does by itself."""
_OPTION = re.compile(r"fidokit [^;`]*|(?<![\w-])--([a-z]+(?:-[a-z]+)*)")
"""A whole command, which is for a fidokit on the host, or an option alone."""
_NAMES = {"user": "users"}
_SSHD = {"sshd": {"type": "path"}, "config": {"type": "path"}}


def arguments(**own):
    """The argument specification of a module: its own options, and those that say which sshd."""
    return {**own, **_SSHD}


def clean(value):
    """A value of which every text is harmless for a terminal."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, dict):
        return {clean(name): clean(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(one) for one in value]
    return value


def as_task(hint):
    """A hint for the command, with the names that things have in a task."""
    for said, here in _MODULES:
        hint = hint.replace(said, here)

    def named(found):
        option = found[1]
        return _NAMES.get(option, option.replace("-", "_")) if option else found[0]

    return _OPTION.sub(named, hint)


def sentence(error):
    """What happened, and what to do next."""
    hint = as_task(error.hint)
    return clean(error.message + (". Hint: " + hint if hint else ""))


def diffs(edits):
    """What Ansible shows of changed files with --diff."""
    return [
        {
            "before_header": escape(str(edit.path)),
            "after_header": escape(str(edit.path)),
            "before": _text(edit.before),
            "after": _text(edit.after),
        }
        for edit in edits
        if not edit.is_empty
    ]


def _text(data):
    text = (data or b"").decode("utf-8", "backslashreplace")
    return "".join(escape(line) + "\n" for line in text.splitlines())


def answer(module, reached, changed, **facts):
    """End a module.

    Args:
        reached: has `edits`, `warnings` and `failures`, as the functions of `server.desired` give
            them.
        changed: whether the host is not as it was.
        facts: what is returned besides.
    """
    for warning in dict.fromkeys(reached.warnings):
        module.warn(clean(as_task(warning)))
    found = {"changed": changed, "diff": diffs(reached.edits), **clean(facts)}
    failures = list(dict.fromkeys(getattr(reached, "failures", ())))
    if failures:
        module.fail_json(msg=clean("; ".join(failures)), failures=clean(failures), **found)
    module.exit_json(**found)


def attempted(module, work):
    """What some work returns; an error that a user can understand ends the module.

    Args:
        work: a function without arguments.
    """
    try:
        return work()
    except FidokitError as error:
        module.fail_json(msg=sentence(error))
        raise  # fail_json does not return
