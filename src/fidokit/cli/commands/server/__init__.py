"""The verbs of `fidokit server` and `fidokit otp`."""
