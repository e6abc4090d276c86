"""Many hosts at once: what is on them, whether a policy holds there, and one report of all."""
