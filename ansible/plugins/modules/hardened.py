#!/usr/bin/python
# Copyright (c) The fidokit developers
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Ansible module: what sshd demands of everybody who logs in."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hardened
short_description: Tighten sshd after proving that everyone can still log in
version_added: 0.1.0
description:
  - Makes sshd require touches, PINs, keys on tokens, or one-time codes, or undoes that.
  - Before anything is written, a throw-away sshd with the new configuration is asked whether it accepts the keys of
    all users. If a user would be locked out, nothing changes and the task fails.
  - The lines stand in a drop-in file of their own. What was there before is kept beside it.
  - If the running sshd does not answer after the reload, everything is restored.
author:
  - The fidokit developers (!UNKNOWN)
options:
  level:
    description:
      - What sshd requires. Several levels can be combined; they replace those of an earlier run.
      - V(touch) requires a touch for each login with a token.
      - V(verify) also requires the PIN or a fingerprint.
      - V(hardware-only) allows only keys on tokens, and no passwords.
      - V(second-factor) requires a key and a one-time code (TOTP), and allows no passwords.
    type: list
    elements: str
    choices: [touch, verify, hardware-only, second-factor]
  undo:
    description:
      - Undo every hardening instead.
    type: bool
    default: false
  users:
    description:
      - The users whose keys must still get in. All users with keys by default.
    type: list
    elements: str
    default: []
  yes_unproved:
    description:
      - Continue if it is not known whether a user would get in, and nothing speaks against it.
    type: bool
    default: false
  reload:
    description:
      - Make the running sshds use the files now, also where somebody else changed them since they were read.
      - Without it, a warning says that they do not yet.
    type: bool
    default: true
  secret_file:
    description:
      - For V(second-factor), the file where root keeps the secrets of codes, such as C(/var/lib/otp/${USER}).
    type: str
  pam_file:
    description:
      - For V(second-factor), the PAM service. sshd's own by default.
    type: path
  sshd:
    description:
      - The sshd program. The installed one by default.
    type: path
  config:
    description:
      - Use this sshd_config instead of the default one.
    type: path
requirements:
  - Python 3.9 or newer on the managed host
attributes:
  check_mode:
    support: full
    description: Can run in check_mode; it proves that users get in, and changes nothing.
  diff_mode:
    support: full
    description: Shows the lines of files that change.
"""

EXAMPLES = r"""
- name: Let nobody in without a security key
  fidokit.ssh.hardened:
    level: [hardware-only]

- name: Require the PIN or a fingerprint of two users, and leave the others out
  fidokit.ssh.hardened:
    level: [verify]
    users: [alice, bob]

- name: Put everything back
  fidokit.ssh.hardened:
    undo: true
"""

RETURN = r"""
hardening:
  description: The plan and its proofs, as the JSON of C(fidokit server harden).
  returned: success
  type: dict
  contains:
    level:
      description: The level; null for none.
      type: str
    files:
      description: The files that change.
      type: list
      elements: str
    directives:
      description: The lines that hold afterwards.
      type: list
      elements: str
    users:
      description: Users, and what is proved of their keys.
      type: list
      elements: dict
standings:
  description: How each user stands after the change, and why, as in C(alice, would get in).
  returned: success
  type: list
  elements: dict
stale:
  description: Why a running sshd did otherwise than its files said before.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.fidokit.ssh.plugins.module_utils.answers import (
    answer,
    arguments,
    attempted,
)
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.cli.schema import hardening
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.server.desired.hardening import (
    DesiredHardening,
    harden_as_desired,
)
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.server.harden.plan import (
    HardeningRequest,
    HardeningTarget,
)
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.server.harden.standing import (
    standings,
)

LEVELS = ["touch", "verify", "hardware-only", "second-factor"]


def wish_of(given):
    """What the task wants."""
    pam = given["pam_file"]
    named = {"config": Path(given["config"])} if given["config"] else {}
    target = HardeningTarget(sshd=given["sshd"], pam_file=Path(pam) if pam else None, **named)
    if given["undo"]:
        return DesiredHardening(None, target, reload=given["reload"])
    request = HardeningRequest(
        " ".join(given["level"]),
        tuple(given["users"]),
        yes_unproved=given["yes_unproved"],
        secret_file=given["secret_file"],
    )
    return DesiredHardening(request, target, reload=given["reload"])


def main():
    """Be the module."""
    module = AnsibleModule(
        arguments(
            level={"type": "list", "elements": "str", "choices": LEVELS},
            undo={"type": "bool", "default": False},
            users={"type": "list", "elements": "str", "default": []},
            yes_unproved={"type": "bool", "default": False},
            reload={"type": "bool", "default": True},
            secret_file={"type": "str", "no_log": False},
            pam_file={"type": "path"},
        ),
        supports_check_mode=True,
    )
    given = module.params
    if given["undo"] == bool(given["level"]):
        module.fail_json(msg="give either level or undo=true")
    reached = attempted(
        module, lambda: harden_as_desired(wish_of(given), dry_run=module.check_mode)
    )
    done = reached.is_changed and not module.check_mode
    answer(
        module,
        reached,
        reached.is_changed,
        hardening=hardening(reached.plan, done=done, reloaded=done and given["reload"]),
        standings=[
            {"user": user, "standing": str(how), "why": why}
            for user, how, why in standings(reached.plan)
        ],
        stale=reached.stale,
    )


if __name__ == "__main__":
    main()
