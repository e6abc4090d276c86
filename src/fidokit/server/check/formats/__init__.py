"""Reports of `server check` for other programs."""
