"""-v: what the library logs about its talk with the token, on standard error."""

from __future__ import annotations


def trace_to_stderr() -> None:
    """Show the library's log (round trips and timings; secrets are redacted there)."""
    import logging

    from fidokit.cli.render import escape

    class Escaping(logging.Formatter):
        """Token text in a trace is as hostile as anywhere."""

        def format(self, record: logging.LogRecord) -> str:
            return escape(super().format(record))

    logger = logging.getLogger("fidokit")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(Escaping("%(name)s: %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
