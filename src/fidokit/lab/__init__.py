"""Virtual tokens as users manage them: created, listed, moved and served."""
