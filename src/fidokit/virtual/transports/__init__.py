"""Loops that carry bytes between a program and the authenticator core."""
