"""Signatures of files and certificates, by a token, a key file or an agent."""
