"""The authenticator's commands, one module each."""
