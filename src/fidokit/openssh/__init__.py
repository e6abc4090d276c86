"""OpenSSH's formats for keys on tokens: pure functions between bytes and values."""
