"""Keys in OpenSSH's formats: public and private, their fingerprints."""
