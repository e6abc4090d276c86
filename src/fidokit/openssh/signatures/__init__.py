"""Signatures and attestations in OpenSSH's formats."""
