"""The verbs of `fidokit agent`."""
