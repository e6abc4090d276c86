# Copyright (c) The fidokit developers
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Action plug-in of `fidokit.ssh.authorized_key`: reads keys on the controller."""

from __future__ import annotations

from ansible_collections.fidokit.ssh.plugins.plugin_utils.key_sources import KeyAction


class ActionModule(KeyAction):
    """See the module of this name."""
