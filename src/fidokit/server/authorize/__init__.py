"""Keys put into accounts and taken out, here or on another host."""
