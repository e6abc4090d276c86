"""The `fidokit` command: a thin skin of click over `fidokit.api`."""
