"""Hosts of a fleet: reached by stock ssh, audited by a program that travels there."""
