"""Credentials and their private keys."""
