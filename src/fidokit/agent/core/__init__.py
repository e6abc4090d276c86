"""The agent as a machine of bytes: requests, held keys, policy, constraints; no sockets."""
