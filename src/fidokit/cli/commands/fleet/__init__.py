"""`fidokit fleet`: many hosts."""
