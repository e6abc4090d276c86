"""What involves the user: presence, verification, PIN, and the tokens that prove them."""
