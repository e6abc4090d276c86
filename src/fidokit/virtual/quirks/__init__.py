"""Departures of real firmware from CTAP's text, for a virtual token to play."""
