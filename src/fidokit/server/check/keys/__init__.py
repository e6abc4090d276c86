"""Where keys come from, and what the installed sshd says of them."""
