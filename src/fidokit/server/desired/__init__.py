"""What somebody wants a host to be like, found or brought about, as Ansible repeats it."""
