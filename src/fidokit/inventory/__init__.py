"""The key list, and what is kept of keys and of who knows them, for the day a token is lost."""
