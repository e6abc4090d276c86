"""The SSH agent: requests to answers, keys on tokens, and the socket around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fidokit.facade import Facade

if TYPE_CHECKING:
    from fidokit.agent.addition import AddOptions as AddOptions
    from fidokit.agent.addition import add_to_agent as add_to_agent
    from fidokit.agent.service import AgentOptions as AgentOptions
    from fidokit.agent.service import AgentService as AgentService
    from fidokit.agent_client import AgentClient as AgentClient

_PUBLIC = Facade(
    __name__,
    {
        "fidokit.agent.addition": ("AddOptions", "add_to_agent"),
        "fidokit.agent.service": ("AgentOptions", "AgentService"),
        "fidokit.agent_client": ("AgentClient",),
    },
)
__all__ = list(_PUBLIC)
__dir__ = _PUBLIC.names
if not TYPE_CHECKING:
    __getattr__ = _PUBLIC.fetch
