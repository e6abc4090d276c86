"""The verbs on tokens themselves: `token`, `pin`, `config`, `bio`, `udev`."""
