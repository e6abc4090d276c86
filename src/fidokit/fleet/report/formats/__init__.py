"""Reports of `fleet check` for other programs and for browsers."""
