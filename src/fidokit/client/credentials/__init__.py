"""Credentials on a token: made, used to sign, listed, and what their attestations prove."""
