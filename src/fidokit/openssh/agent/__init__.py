"""The SSH agent protocol."""
