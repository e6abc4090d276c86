"""One path from a new token to a working login, a signed commit, or both."""
