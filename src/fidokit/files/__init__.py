"""Key files on disk: names, atomic writes, and where to look for them."""
