# Copyright (c) The fidokit developers
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Keys and their attestations, read and judged on the controller."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.fidokit.ssh.plugins.module_utils.answers import sentence
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.errors import FidokitError
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.openssh.lines.authorized_keys import (
    encode_line,
)
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.prompt.text import escape
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.server.authorize import download
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.server.authorize.sources import (
    address_of,
    is_remote,
    keys_from,
)
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.server.desired.account_keys import (
    prints_of,
)

MOST_BYTES = 1 << 20
"""Of a file of keys."""
PATIENCE_S = 120
"""For one attestation."""
MODEL = "model"
"""The word of `attestation verify` for a token that a certified model's roots vouch for."""

display = Display()


class KeyAction(ActionBase):
    """An action plug-in whose module gets the texts of keys, and nothing that it has to fetch."""

    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        """Read the keys, then run the module on the managed host."""
        super().run(tmp, task_vars)
        given = dict(self._task.args)
        try:
            texts = self.texts_of(given)
            given.update(key=texts)
            given.pop("src", None)
            if given.get("attested") and given.get("state", "present") == "present":
                given["attested"] = self.judged(texts, given["attested"])
        except FidokitError as error:
            raise AnsibleActionFail(sentence(error)) from None
        except OSError as error:
            raise AnsibleActionFail(escape(str(error))) from None
        return self._execute_module(
            module_name=self._task.action, module_args=given, task_vars=task_vars
        )

    def texts_of(self, given):
        """The texts of all keys that a task names."""
        texts = []
        for text in listed(given.get("key")):
            texts += self._fetched(text) if is_remote(text.strip()) else [text]
        return texts + [self._file(name) for name in listed(given.get("src"))]

    def _fetched(self, source):
        found = keys_from(source.strip(), download.fetch(address_of(source.strip())))
        for warning in found.warnings:
            display.warning(escape(warning))
        lines = (encode_line(key.key, key.options, key.comment) for key in found.keys)
        return [line.decode("utf-8", "backslashreplace") for line in lines]

    def _file(self, name):
        path = Path(self._find_needle("files", name))
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise AnsibleActionFail(f"{escape(str(path))} is too large for public keys")
        if b"PRIVATE KEY-----" in data:
            raise AnsibleActionFail(
                f"{escape(str(path))} is a private key. Hint: name the public file beside it"
            )
        return data.decode("utf-8", "surrogateescape")

    # --- attestations ------------------------------------------------------------------------

    def judged(self, texts, wanted):
        """What a task wants of keys, with the fingerprints of those that a token made as it wants."""
        if not isinstance(wanted, dict):
            raise AnsibleActionFail("attested has to be a mapping")
        lines = dict(prints_of(texts))
        proved = listed(wanted.get("fingerprints"))
        for evidence in wanted.get("evidence") or ():
            names = [str(evidence[name]) for name in ("attestation", "challenge")]
            files = [self._find_needle("files", name) for name in names]
            left = {print_: line for print_, line in lines.items() if print_ not in proved}
            proved += self._proved(left, files, wanted)
        return {**wanted, "evidence": [], "fingerprints": proved}

    def _proved(self, lines, files, wanted):
        """Of some keys the one that an attestation is about, if it is what the task wants."""
        said = "it is about another key"
        for print_, line in lines.items():
            found, said = verified(str(wanted.get("program") or "fidokit"), line, *files)
            if found is None:
                continue
            why = unfit(found, wanted)
            if not why:
                return [print_]
            display.warning(f"{print_}: {escape(why)}")
            return []
        display.warning(f"{escape(files[0])} attests none of these keys: {escape(said)}")
        return []


def listed(value):
    """A list, of one text if that is all there is."""
    if value is None:
        return []
    found = value if isinstance(value, (list, tuple)) else [value]
    return [str(one) for one in found]


def verified(program, line, attestation, challenge):
    """What the controller's fidokit finds of a key and its attestation; or None, and why."""
    with tempfile.TemporaryDirectory(prefix="fidokit-") as folder:
        key = Path(folder, "key.pub")
        key.write_text(line + "\n", encoding="utf-8")
        words = ["--json", "attestation", "verify", attestation]
        command = [program, *words, "--key", str(key), "--challenge", challenge]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PATIENCE_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise AnsibleActionFail(
                f"attestations cannot be checked: {escape(str(error))}. Hint: install fidokit on the controller, or "
                "name it as attested.program"
            ) from None
    try:
        return json.loads(done.stdout)["attestation"], ""
    except (ValueError, KeyError, TypeError):
        return None, done.stderr.decode("utf-8", "replace").strip()[:300]


def unfit(found, wanted):
    """Why an attestation that is good is not what a task wants; empty if it is."""
    models = [str(name).lower() for name in wanted.get("models") or ()]
    certified = wanted.get("certified", True)
    if str(certified).lower() in {"false", "no", "0", "off"} and not models:
        return ""
    if found["origin"] != MODEL:
        return "no certified model's roots vouch for the token that made it ({})".format(
            found["origin"]
        )
    if found["untrusted"]:
        return "its model is reported as %s" % (found["certification"] or "broken or revoked")
    known = [str(found[name]).lower() for name in ("aaguid", "model") if found[name]]
    if models and not set(known) & set(models):
        return "its model, %s, is not among those that are allowed" % (found["model"] or "unnamed")
    return ""
