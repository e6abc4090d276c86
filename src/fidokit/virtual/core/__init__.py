"""The authenticator as a machine of bytes: no sockets, no files, no clock of its own."""
