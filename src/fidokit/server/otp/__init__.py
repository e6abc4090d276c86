"""One-time codes for users without a token."""
