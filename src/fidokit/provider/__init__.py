"""What OpenSSH loads as a SecurityKeyProvider: a small C library and the service behind it."""
