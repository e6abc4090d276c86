"""Certified models: found in the FIDO metadata, turned into profiles."""
