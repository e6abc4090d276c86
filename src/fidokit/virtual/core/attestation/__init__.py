"""Attestation statements and the certificates behind them."""
