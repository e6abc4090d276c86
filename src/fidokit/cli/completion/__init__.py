"""Completion for bash, zsh and fish: their scripts, and what the command answers to them."""
