"""`fidokit fleet` and `fidokit lost`: many hosts."""
