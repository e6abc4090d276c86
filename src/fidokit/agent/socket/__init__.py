"""The agent on its Unix socket: the listener, the loop that serves, and the upstream agent."""
