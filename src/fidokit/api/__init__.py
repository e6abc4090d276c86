"""The documented face of fidokit: everything the command does, as typed functions."""
