"""Asking the user: on the terminal, through askpass or pinentry."""
