"""Tokens as many clients of the agent use them: which one, whose turn, whose PIN."""
