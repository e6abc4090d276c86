"""fidokit: FIDO2/U2F security keys for people who use SSH, and a virtual one for their tests."""

__version__ = "0.1.0"
