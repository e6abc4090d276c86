"""A plan carried out: a canary first, each host proved by a new login, all of it undoable."""
