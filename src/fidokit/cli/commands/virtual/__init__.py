"""`fidokit virtual ...`: the tokens, and programs that see them."""
