"""The client side of CTAP: finding tokens, enrolling, signing, managing PIN and credentials."""
