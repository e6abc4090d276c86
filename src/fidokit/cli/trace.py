"""-v: what the library logs about its talk with the token, on standard error."""

from __future__ import annotations


def trace_to_stderr() -> None:
    """Show the library's log (round trips and timings; secrets are redacted there)."""
    import logging

    from fidokit.prompt.text import note

    class Escaping(logging.Handler):
        """Token text in a trace is as hostile as anywhere."""

        def emit(self, record: logging.LogRecord) -> None:
            note(f"{record.name}: {record.getMessage()}")

    logger = logging.getLogger("fidokit")
    if not logger.handlers:
        logger.addHandler(Escaping())
        logger.setLevel(logging.DEBUG)
