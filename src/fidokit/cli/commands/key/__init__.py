"""The verbs of `fidokit key`, one module each."""
