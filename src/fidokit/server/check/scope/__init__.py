"""What is asked of which sshd: its running instances, its settings, the places it tells apart."""
