"""`fidokit setup`, and the commands for its parts: `git setup`, `ssh-config`."""
