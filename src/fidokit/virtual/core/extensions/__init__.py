"""The authenticator's extensions."""
