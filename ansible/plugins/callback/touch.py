# Copyright (c) The fidokit developers
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Callback: announces on the terminal that a token waits for a touch, and counts touches."""

from __future__ import annotations

DOCUMENTATION = r"""
name: touch
type: notification
short_description: Announce and count touches of security keys
version_added: 0.1.0
description:
  - Ansible hides what ssh prints, so that a playbook seems to hang while a security key waits for a touch. This plug-in
    announces it on the terminal, and prints at the end how many touches the playbook took.
  - It stands between ssh and the agent that E(SSH_AUTH_SOCK) names, whichever agent that is, and passes on every
    request unchanged. Without an agent it does nothing.
  - A touch is counted if the signature of the token says that there was one.
  - With C(fidokit agent session 10m -- ansible-playbook ...), one touch before the playbook is enough for all hosts,
    and the plug-in says so.
author:
  - The fidokit developers (!UNKNOWN)
requirements:
  - Enable it as C(callbacks_enabled = fidokit.ssh.touch).
  - Keys are in an agent. ssh signs by itself with a key that only IdentityFile names.
"""

import hashlib
import os
import shutil
import socket
import struct
import tempfile
import threading
import time
from base64 import b64encode
from contextlib import nullcontext, suppress

from ansible.plugins.callback import CallbackBase
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.errors import FidokitError
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.openssh.certificates.certificate import (
    parse_certificate,
)
from ansible_collections.fidokit.ssh.plugins.module_utils.fidokit.prompt.text import escape

VARIABLE = "SSH_AUTH_SOCK"
LIST = 11
LISTED = 12
SIGN = 13
SIGNED = 14
LONGEST = 1 << 20
"""Bytes of a message; agents take a quarter of that."""
NOTICE_S = 0.3
"""A key that asks for no touch has signed by then."""
TOUCHED = 0x01
"""The flag of a signature by a token that was touched."""
ON_TOKEN = (b"sk-", b"webauthn-sk-")
SESSION = "fidokit session of "
"""How the certificates of `fidokit agent session` are named."""


class CallbackModule(CallbackBase):
    """See DOCUMENTATION."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "fidokit.ssh.touch"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, display=None):
        super().__init__(display)
        self._relay = None

    def v2_playbook_on_start(self, playbook):
        """Stand between ssh and the agent."""
        self._begin()

    def v2_playbook_on_play_start(self, play):
        """Do so for a command without a playbook."""
        self._begin()

    def _begin(self):
        upstream = os.environ.get(VARIABLE)
        if self._relay is not None or not upstream:
            return
        self._relay = Relay(upstream)
        for sentence in self._relay.sessions():
            self._display.display(sentence)
        self._relay.start()

    def v2_playbook_on_stats(self, stats):
        """Count, and give the agent back."""
        if self._relay is not None:
            self._relay.stop()
            self._display.display(self._relay.summary())


class Relay:
    """Passes messages between clients and an agent, and watches them."""

    def __init__(self, upstream):
        self.upstream = upstream
        self.touches = self.before = self.logins = 0
        self.names = {}
        self.folder = self.listener = None
        self.lock = threading.Lock()

    def start(self):
        """Listen, and have every ssh from now on come here."""
        self.folder = tempfile.mkdtemp(prefix="fidokit-")
        path = f"{self.folder}/agent"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(128)
        os.environ[VARIABLE] = path
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        """Listen no more."""
        os.environ[VARIABLE] = self.upstream
        if self.listener is not None:
            self.listener.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _accept(self):
        while True:
            try:
                client, _address = self.listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        """One client; what goes wrong with it ends it alone, as an agent that hangs up."""
        with client, suppress(OSError, ValueError), self._connected() as agent:
            while True:
                request = read_frame(client)
                agent.sendall(frame(request))
                with self._announced(request):
                    answer = read_frame(agent)
                self._note(request, answer)
                client.sendall(frame(answer))

    def _connected(self):
        agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            agent.connect(self.upstream)
        except OSError:
            agent.close()
            raise
        return agent

    def _announced(self, request):
        """Say that a touch is awaited while the agent does not answer."""
        blob = signing_key(request)
        if blob is None or not strings(blob)[0].startswith(ON_TOKEN):
            return nullcontext()
        name = self.names.get(blob) or fingerprint(blob)
        return Notice(f"Touch your security key: a signature by {escape(name)} waits")

    def _note(self, request, answer):
        if answer[:1] == bytes([LISTED]):
            self.names.update(listed(answer))
        if answer[:1] != bytes([SIGNED]):
            return
        with self.lock:
            self.logins += 1
            self.touches += was_touched(strings(answer[1:])[0])

    # --- what is said ------------------------------------------------------------------------

    def sessions(self):
        """The certificates that stand for a touch before the playbook, a sentence each."""
        try:
            with self._connected() as agent:
                agent.sendall(frame(bytes([LIST])))
                self.names = listed(read_frame(agent))
        except (OSError, ValueError) as error:
            return [f"touch: the agent does not answer: {escape(str(error))}"]
        found = [end for end in map(session_end, self.names) if end is not None]
        self.before = len(found)
        return [
            "touch: one touch is enough: a certificate is valid until {}".format(
                time.strftime("%H:%M:%S", time.localtime(end))
            )
            for end in found
        ]

    def summary(self):
        """One line for the end."""
        total = self.before + self.touches
        touches = counted(total, "touch", "touches")
        how = f"{self.before} before the playbook, {self.touches} during it"
        return f"touch: {touches} ({how}) for {counted(self.logins, 'login', 'logins')}"


def counted(number, one, many):
    """A number of things."""
    return f"{number} {one if number == 1 else many}"


class Notice:
    """Says something on the terminal if the block lasts."""

    def __init__(self, sentence):
        self.timer = threading.Timer(NOTICE_S, say, (sentence,))
        self.timer.daemon = True

    def __enter__(self):
        self.timer.start()

    def __exit__(self, *_error):
        self.timer.cancel()


def say(sentence):
    """Tell the user, where they sit: on the terminal, or else on standard error.

    Not by Ansible's display, whose lock must not be held when a worker is forked.
    """
    data = ("\r" + sentence + "\r\n").encode()
    try:
        terminal = os.open("/dev/tty", os.O_WRONLY | os.O_NOCTTY)
    except OSError:
        os.write(2, data.replace(b"\r", b""))
        return
    try:
        os.write(terminal, data)
    finally:
        os.close(terminal)


# --- the agent's protocol (draft-ietf-sshm-ssh-agent) ----------------------------------------


def frame(payload):
    """A message as it is sent."""
    return struct.pack(">I", len(payload)) + payload


def read_frame(sock):
    """The next message; ValueError at the end, or if it is too long."""
    (size,) = struct.unpack(">I", read_exactly(sock, 4))
    if not 0 < size <= LONGEST:
        raise ValueError(f"a message of {size} bytes")
    return read_exactly(sock, size)


def read_exactly(sock, size):
    """So many bytes."""
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise ValueError("it hung up")
        data += piece
    return bytes(data)


def strings(data, most=2):
    """The strings at the begin of some data, at most so many; an empty one for none."""
    found, at = [], 0
    while len(found) < most and len(data) - at >= 4:
        (size,) = struct.unpack_from(">I", data, at)
        found.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return found or [b""]


def signing_key(request):
    """The key that a request wants a signature by; None for other requests."""
    return strings(request[1:])[0] if request[:1] == bytes([SIGN]) else None


def was_touched(signature):
    """Whether a signature is a token's, and says that it was touched."""
    kind, data = [*strings(signature), b""][:2]
    flags = signature[8 + len(kind) + len(data) :][:1]
    return kind.startswith(ON_TOKEN) and bool(flags and flags[0] & TOUCHED)


def listed(answer):
    """The keys of an agent's list, with their comments."""
    if answer[:1] != bytes([LISTED]):
        return {}
    found = strings(answer[5:], most=4096)
    comments = (one.decode("utf-8", "replace") for one in found[1::2])
    return dict(zip(found[::2], comments))


def fingerprint(blob):
    """As ssh-keygen prints it."""
    return "SHA256:" + b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def session_end(blob):
    """When the certificate of a session ends, for which its authority was touched; else None."""
    if b"-cert-v0" not in strings(blob)[0]:
        return None
    try:
        found = parse_certificate(blob)
    except FidokitError:
        return None
    touched = getattr(found.signature, "flags", 0) & TOUCHED
    return found.valid_before if touched and found.key_id.startswith(SESSION) else None
