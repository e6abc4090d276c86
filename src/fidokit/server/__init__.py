"""What an administrator does with keys: authorized_keys and sshd_config, checked first."""
