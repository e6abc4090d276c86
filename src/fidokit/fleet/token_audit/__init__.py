"""One token held against a policy, and a signed log of what was found."""
