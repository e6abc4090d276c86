"""One report of many hosts: who gets in where, by which token, and what changed."""
