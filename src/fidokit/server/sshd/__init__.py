"""The installed sshd: its program, settings, files and service."""
