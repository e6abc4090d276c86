"""Tokens as users manage them: find, open, PIN, fingers, settings, reset."""
