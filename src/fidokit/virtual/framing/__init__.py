"""Whole messages to and from the pieces that a bus carries; bytes only, no files or sockets."""
