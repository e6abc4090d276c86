"""OpenSSH's line-based files: authorized_keys, allowed_signers, known_hosts."""
