"""The `fidokit` command: a thin skin of click over the features."""
