"""Proofs of the token's owner, and what only the owner may change: PIN, fingers, settings."""
