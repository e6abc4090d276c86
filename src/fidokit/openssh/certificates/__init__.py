"""OpenSSH certificates and revocation lists."""
