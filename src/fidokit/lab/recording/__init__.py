"""A session of any token: kept without its secrets, explained, and shown to Wireshark."""
