#!/usr/bin/python
# Copyright (c) The fidokit developers
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Ansible module: who gets into a host, and by what."""

from __future__ import annotations

DOCUMENTATION = r"""
module: check
short_description: Report who gets in over ssh and by what, and hold that to rules
version_added: 0.1.0
description:
  - Asks the installed sshd for the settings of each user, and reads their keys as sshd does.
  - With O(require), the task fails if a login that breaks a rule is possible, or if that cannot be known.
  - Changes nothing.
author:
  - The fidokit developers (!UNKNOWN)
options:
  require:
    description:
      - Rules that every login has to keep.
      - V(hardware), every key is on a token.
      - V(hardware-or-certified), or is certified by a bounded authority on a token.
      - V(verify), every login needs the PIN or a fingerprint.
      - V(no-password), no login needs only a password.
      - V(break-glass=[USER:]SHA256:...), this key gets in.
    type: list
    elements: str
    default: []
  report_only:
    description:
      - Do not fail if a rule does not hold; RV(policy.holds) says whether it does.
    type: bool
    default: false
  users:
    description:
      - Check only these users.
    type: list
    elements: str
    default: []
  details:
    description:
      - Also return every user, file and key, as RV(users) and RV(server).
    type: bool
    default: false
  connection:
    description:
      - Where logins come from, as for C(sshd -C), such as C(host=NAME,addr=ADDRESS).
    type: str
    default: ""
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
    description: Does the same in check_mode.
  diff_mode:
    support: none
    description: Changes nothing.
  facts:
    support: full
    description: Returns RV(ansible_facts.fidokit_ssh).
"""

EXAMPLES = r"""
- name: Look who gets in
  fidokit.ssh.check:

- name: Show them
  ansible.builtin.debug:
    msg: "by a key on a token: {{ fidokit_ssh.ways['token-key'] | join(', ') }}"

- name: Fail unless every login is by a token, and the key in the safe gets in as root
  fidokit.ssh.check:
    require:
      - hardware
      - no-password
      - break-glass=root:SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU
"""

RETURN = r"""
ansible_facts:
  description: Facts that later tasks use.
  returned: always, unless sshd cannot be asked
  type: dict
  contains:
    fidokit_ssh:
      description: RV(ways), RV(tally) and RV(policy) of this host.
      type: dict
ways:
  description: Users by what they get in by, C(token-key), C(file-key), C(certificate), C(password) or C(unknown).
  returned: always, unless sshd cannot be asked
  type: dict
tally:
  description: Numbers of users and keys.
  returned: always, unless sshd cannot be asked
  type: dict
policy:
  description: The rules, whether they hold, and what breaks them.
  returned: always, unless sshd cannot be asked
  type: dict
  contains:
    require:
      description: The rules.
      type: list
      elements: str
    holds:
      description: Whether all of them hold.
      type: bool
    violations:
      description: What breaks a rule, or may break it (C(doubt)).
      type: list
      elements: dict
findings:
  description: What is wrong, each with a stable C(id) and what to do next.
  returned: always, unless sshd cannot be asked
  type: list
  elements: dict
users:
  description: Every user with their files and keys, as in the JSON of C(fidokit server check).
  returned: O(details=true)
  type: list
  elements: dict
server:
  description: The settings that decide who gets in.
  returned: O(details=true)
  type: dict
"""

import json

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.fidokit.ssh.plugins.module_utils.answers import (
    arguments,
    attempted,
    clean,
)
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.cli.commands.server.check_json import (
    document,
)
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.server.check.findings.advice import (
    Advice,
)
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.server.check.findings.tally import (
    CheckTally,
    LoginWay,
)
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.server.check.policy import (
    parse_rule,
)
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.server.check.report import (
    CheckRequest,
    check_server,
)

SHORT = ("ways", "tally", "policy")
DETAILS = ("users", "server")
MOST_TOLD = 5


def report_of(given):
    """The document of `fidokit server check --json`."""
    rules = tuple(parse_rule(text) for text in dict.fromkeys(given["require"]))
    request = CheckRequest(
        tuple(given["users"]), rules, given["sshd"], given["config"], given["connection"]
    )
    tally = CheckTally(tuple(str(rule) for rule in rules))

    def advice():
        token, any_key = (LoginWay.TOKEN,), (LoginWay.TOKEN, LoginWay.FILE)
        return Advice(tally.with_keys(*token), tally.with_keys(*any_key))

    return json.loads("".join(document(tally.watch(check_server(request)), tally, advice)))


def broken(policy):
    """Why the rules do not hold, in one sentence."""
    found = policy["violations"]
    told = ["{}: {}{}".format(one["rule"], _user(one), one["why"]) for one in found[:MOST_TOLD]]
    more = len(found) - len(told)
    return "does not hold: " + "; ".join([*told, *([f"and {more} more"] if more else [])])


def _user(one):
    return "{}: ".format(one["user"]) if one["user"] else ""


def main():
    """Be the module."""
    module = AnsibleModule(
        arguments(
            require={"type": "list", "elements": "str", "default": []},
            report_only={"type": "bool", "default": False},
            users={"type": "list", "elements": "str", "default": []},
            details={"type": "bool", "default": False},
            connection={"type": "str", "default": ""},
        ),
        supports_check_mode=True,
    )
    report = clean(attempted(module, lambda: report_of(module.params)))
    shown = (*SHORT, "findings", *(DETAILS if module.params["details"] else ()))
    found = {name: report[name] for name in shown}
    found["ansible_facts"] = {"fidokit_ssh": {name: report[name] for name in SHORT}}
    if not report["policy"]["holds"] and not module.params["report_only"]:
        module.fail_json(msg=broken(report["policy"]), changed=False, **found)
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
