"""The joined view of keys: what is on the token and what is on disk."""
