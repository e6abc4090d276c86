"""The policy of a fleet: people, their tokens and keys, groups, hosts, and what must hold."""
