"""What differs between a policy and the hosts, and what would end the difference."""
