"""Who can log in to this host, and by what."""
