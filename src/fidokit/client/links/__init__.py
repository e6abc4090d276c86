"""How bytes reach a token: backends, channels, watchdog and trace."""
