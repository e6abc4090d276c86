"""What a report of `server check` comes to: findings, what to do about each, and numbers."""
