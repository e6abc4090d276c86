"""The authenticator side of CTAP: a software token that stands in for hardware in tests."""
