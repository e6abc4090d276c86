"""A token is lost: its keys are revoked wherever they are known, its backup takes over."""
