#!/usr/bin/python
# Copyright (c) The fidokit developers
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Ansible module: keys that get in nowhere on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: revoked
short_description: Keep the list of keys that sshd refuses for every account
version_added: 0.1.0
description:
  - Puts keys on a key revocation list (KRL), makes sshd read it (C(RevokedKeys)), and asks sshd about every user whose
    files still have such a key. A list of another form than a KRL keeps its form.
  - A key on the list gets in nowhere on the host, whatever file, command or certificate lets it in.
  - The task fails if sshd still accepts a key as some user.
author:
  - The fidokit developers (!UNKNOWN)
options:
  key:
    description:
      - The keys. Each item is the text of public keys, a fingerprint C(SHA256:...), or V(gh:NAME), V(gl:NAME),
        V(lp:NAME) or an https address, which the controller fetches.
      - sshd cannot be asked about a key of which only the fingerprint is given; a warning says so.
    type: list
    elements: str
  src:
    description:
      - Files with public keys on the controller, searched as M(ansible.builtin.copy) does.
    type: list
    elements: str
  state:
    description:
      - Whether the keys are on the list.
    type: str
    choices: [present, absent]
    default: present
  path:
    description:
      - The list. By default the one that sshd's configuration names, or C(/etc/ssh/revoked_keys).
    type: path
  reload:
    description:
      - Make the running sshds read the list if they do not yet.
    type: bool
    default: true
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
    description: Can run in check_mode and report what would change.
  diff_mode:
    support: full
    description: Shows the fingerprints that come and go, and the lines of sshd's configuration.
"""

EXAMPLES = r"""
- name: Let a lost key in nowhere
  fidokit.ssh.revoked:
    src: [keys/lost.pub]

- name: Take it off the list again
  fidokit.ssh.revoked:
    src: [keys/lost.pub]
    state: absent
"""

RETURN = r"""
revoked:
  description: The list, as the JSON of C(fidokit server revoke-list).
  returned: success, and failure if something was done
  type: dict
  contains:
    path:
      description: The file.
      type: str
    keys:
      description: Fingerprints of the keys on it.
      type: list
      elements: str
    added:
      description: Fingerprints of the keys that were put on it.
      type: list
      elements: str
    removed:
      description: Fingerprints of the keys that were taken off it.
      type: list
      elements: str
proved:
  description: Users whose files have one of the keys, and as whom sshd takes none of them.
  returned: success, and failure if something was done
  type: list
  elements: str
failures:
  description: Why a key may still get in.
  returned: failure
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
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.cli.schema import revocation_list
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.server.desired.account_keys import (
    blobs_by_print,
)
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.server.desired.revocation import (
    DesiredRevocation,
    revoke_as_desired,
)
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.server.harden.plan import (
    HardeningTarget,
)


def reached_by(given, check_mode):
    """What the task wants, done."""
    named = {"config": Path(given["config"])} if given["config"] else {}
    wish = DesiredRevocation(
        blobs_by_print(given["key"] or ()),
        revoked=given["state"] == "present",
        path=Path(given["path"]) if given["path"] else None,
        target=HardeningTarget(sshd=given["sshd"], **named),
        reload=given["reload"],
    )
    return revoke_as_desired(wish, dry_run=check_mode)


def main():
    """Be the module."""
    module = AnsibleModule(
        arguments(
            key={"type": "list", "elements": "str", "no_log": False},
            src={"type": "list", "elements": "str"},
            state={"type": "str", "choices": ["present", "absent"], "default": "present"},
            path={"type": "path"},
            reload={"type": "bool", "default": True},
        ),
        supports_check_mode=True,
    )
    if module.params["src"]:
        module.fail_json(msg="src is read by the action plug-in of this name")
    reached = attempted(module, lambda: reached_by(module.params, module.check_mode))
    done = revocation_list(reached.done)
    answer(module, reached, reached.is_changed, revoked=done, proved=reached.proved)


if __name__ == "__main__":
    main()
