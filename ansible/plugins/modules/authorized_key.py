#!/usr/bin/python
# Copyright (c) The fidokit developers
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Ansible module: keys that get into an account, or do not."""

from __future__ import annotations

DOCUMENTATION = r"""
module: authorized_key
short_description: Let keys into an account, or take them out, and ask sshd about it
version_added: 0.1.0
description:
  - Adds keys to the file that the installed sshd reads for an account, or removes them, and then asks a throw-away
    instance of that sshd whether it accepts them.
  - Other lines stay byte for byte. A key that is there already is not added twice, whatever its comment is.
  - The task fails if sshd refuses a key that is to get in, or still accepts one that is to go. What cannot be known,
    such as whether a key asks for the PIN that sshd demands, is a warning.
  - Keys can be read, and attestations can be checked, on the controller.
author:
  - The fidokit developers (!UNKNOWN)
options:
  user:
    description:
      - The account on the managed host. It has to exist.
    type: str
    required: true
  key:
    description:
      - Public keys. Each item is one of the following.
      - The text of a public key file, or lines of an authorized_keys file with their options.
      - V(gh:NAME), V(gl:NAME), V(lp:NAME) or an https address. The controller fetches the keys that an account on
        GitHub, GitLab or Launchpad publishes, and keeps of their options those that narrow what a key may do.
      - With O(state=absent), a fingerprint C(SHA256:...).
    type: list
    elements: str
  src:
    description:
      - Files with public keys on the controller, searched as M(ansible.builtin.copy) does.
    type: list
    elements: str
  state:
    description:
      - Whether the keys get in.
    type: str
    choices: [present, absent]
    default: present
  key_options:
    description:
      - Options for each key, as they stand before a key in authorized_keys, such as
        C(verify-required,from="192.0.2.0/24").
      - Options of other names on the line of a key stay, because they restrict it.
    type: str
  exclusive:
    description:
      - Remove every other key of the account, after one of these is proved to get in.
      - Name all keys in one task. A loop would remove the keys of the round before.
    type: bool
    default: false
  yes_unproved:
    description:
      - With O(exclusive=true), continue if nothing proves that one of the keys gets in.
    type: bool
    default: false
  attested:
    description:
      - Add a key only if an attestation proves that a token made it. Keys that are in the account already stay.
      - The controller checks this with the C(fidokit) program, before the managed host is asked for anything.
    type: dict
    suboptions:
      evidence:
        description:
          - Attestations and their challenges, which are files on the controller, in any order.
        type: list
        elements: dict
        default: []
        suboptions:
          attestation:
            description:
              - What C(ssh-keygen -O write-attestation=FILE) or C(fidokit key generate) wrote.
            type: str
            required: true
          challenge:
            description:
              - The file that was given as C(-O challenge=FILE).
            type: str
            required: true
      fingerprints:
        description:
          - Fingerprints of keys that somebody else has judged, C(SHA256:...). What O(attested.evidence) proves is added.
        type: list
        elements: str
        default: []
      certified:
        description:
          - Also require that the roots of a certified model vouch for the token.
          - Needs the FIDO metadata on the controller, C(pip install 'fidokit[mds]').
        type: bool
        default: true
      models:
        description:
          - The models that are allowed, by AAGUID or by their description in the FIDO metadata. Every model if empty.
          - Implies O(attested.certified=true).
        type: list
        elements: str
        default: []
      program:
        description:
          - The C(fidokit) program on the controller.
        type: str
        default: fidokit
  path:
    description:
      - Use this file instead of the one that sshd reads, below the home folder or absolute.
    type: str
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
    description: Shows the lines of files that change.
seealso:
  - module: ansible.posix.authorized_key
"""

EXAMPLES = r"""
- name: Let the key of a token in, with its PIN each time
  fidokit.ssh.authorized_key:
    user: deploy
    src: [keys/deploy.pub]
    key_options: verify-required

- name: Let in what is on GitHub, and nothing else
  fidokit.ssh.authorized_key:
    user: octo
    key: ["gh:octocat"]
    exclusive: true

- name: Add a key only if a certified token made it
  fidokit.ssh.authorized_key:
    user: deploy
    src: [keys/new.pub]
    attested:
      evidence:
        - attestation: keys/new.attestation
          challenge: keys/new.challenge
      models: [2fc0579f-8113-47ea-b116-bb5a8db9202a]

- name: Take a key out
  fidokit.ssh.authorized_key:
    user: deploy
    key: ["SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"]
    state: absent
"""

RETURN = r"""
authorized:
  description: What was done and what is proved, as the JSON of C(fidokit server authorize).
  returned: success, and failure if something was done
  type: dict
  contains:
    added:
      description: Keys that were not there.
      type: list
      elements: str
    changed:
      description: Keys whose lines got other options.
      type: list
      elements: str
    removed:
      description: Lines that were taken out.
      type: list
      elements: str
    files:
      description: The files, and whether they changed.
      type: list
      elements: dict
    keys:
      description: What sshd says of each key. Empty in check mode.
      type: list
      elements: dict
    proved:
      description: With O(state=absent), users as whom sshd takes none of the keys.
      type: list
      elements: str
failures:
  description: Why the account is not as it is wanted.
  returned: failure
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.fidokit.ssh.plugins.module_utils.answers import (
    answer,
    arguments,
    attempted,
)
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.cli.schema import authorized
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.server.authorize.authorization import (
    AuthorizeTarget,
)
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.server.desired.account_keys import (
    DesiredKeys,
    let_keys_in,
    take_keys_out,
)

EVIDENCE = {
    "attestation": {"type": "str", "required": True},
    "challenge": {"type": "str", "required": True},
}
ATTESTED = {
    "evidence": {"type": "list", "elements": "dict", "default": [], "options": EVIDENCE},
    "fingerprints": {"type": "list", "elements": "str", "default": []},
    "certified": {"type": "bool", "default": True},
    "models": {"type": "list", "elements": "str", "default": []},
    "program": {"type": "str", "default": "fidokit"},
}


def wish_of(given):
    """What the task wants."""
    place = AuthorizeTarget(
        given["user"], path=given["path"], sshd=given["sshd"], config=given["config"]
    )
    return DesiredKeys(
        tuple(given["key"] or ()),
        place,
        options=given["key_options"] or "",
        exclusive=given["exclusive"],
        unproved=given["yes_unproved"],
        attested=given["attested"] and tuple(given["attested"]["fingerprints"]),
    )


def main():
    """Be the module."""
    module = AnsibleModule(
        arguments(
            user={"type": "str", "required": True},
            key={"type": "list", "elements": "str", "no_log": False},
            src={"type": "list", "elements": "str"},
            state={"type": "str", "choices": ["present", "absent"], "default": "present"},
            key_options={"type": "str", "no_log": False},
            exclusive={"type": "bool", "default": False},
            yes_unproved={"type": "bool", "default": False},
            attested={"type": "dict", "options": ATTESTED},
            path={"type": "str"},
        ),
        supports_check_mode=True,
    )
    given = module.params
    evidence = (given["attested"] or {}).get("evidence")
    if given["src"] or evidence or any(is_far(key) for key in given["key"] or ()):
        module.fail_json(
            msg="src, addresses and evidence are read by the action plug-in of this name"
        )
    absent = given["state"] == "absent"
    if absent and (given["exclusive"] or given["attested"]):
        module.fail_json(msg="exclusive and attested go with state=present")
    work = take_keys_out if absent else let_keys_in
    reached = attempted(module, lambda: work(wish_of(given), dry_run=module.check_mode))
    done = authorized(reached.done, module.check_mode)
    answer(module, reached, bool(reached.edits), authorized=done)


def is_far(key):
    """Whether a key is an address, which the controller fetches."""
    return key.startswith(("gh:", "gl:", "lp:", "https:", "http:"))


if __name__ == "__main__":
    main()
