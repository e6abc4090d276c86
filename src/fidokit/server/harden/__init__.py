"""Levels of sshd's configuration: planned, proved, applied and undone."""
