"""What starts on the hosts of a fleet: the program that traveled there (Python 3.9)."""
