"""What the FIDO Alliance publishes about certified authenticators."""
