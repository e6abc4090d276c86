"""SSH keys on tokens, with their files and blobs."""
