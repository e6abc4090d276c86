"""Accounts on other machines, reached by the stock ssh."""
