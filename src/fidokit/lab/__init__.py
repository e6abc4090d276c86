"""Virtual tokens as users manage them: created, listed, moved and served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fidokit.facade import Facade

if TYPE_CHECKING:
    from fidokit.lab.control_client import Hands as Hands
    from fidokit.lab.named_tokens import create_virtual as create_virtual
    from fidokit.lab.named_tokens import delete_virtual as delete_virtual
    from fidokit.lab.named_tokens import list_virtual as list_virtual
    from fidokit.lab.named_tokens import serve_virtual as serve_virtual
    from fidokit.lab.webdriver import export_credentials as export_credentials
    from fidokit.lab.webdriver import import_credentials as import_credentials
    from fidokit.virtual.models.search import ModelSummary as ModelSummary
    from fidokit.virtual.models.search import list_models as list_models

_PUBLIC = Facade(
    __name__,
    {
        "fidokit.lab.control_client": ("Hands",),
        "fidokit.lab.named_tokens": (
            "create_virtual",
            "delete_virtual",
            "list_virtual",
            "serve_virtual",
        ),
        "fidokit.lab.webdriver": ("export_credentials", "import_credentials"),
        "fidokit.virtual.models.search": ("ModelSummary", "list_models"),
    },
)
__all__ = list(_PUBLIC)
__dir__ = _PUBLIC.names
if not TYPE_CHECKING:
    __getattr__ = _PUBLIC.fetch
