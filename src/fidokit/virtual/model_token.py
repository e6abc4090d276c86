"""The virtual token that people make in Python: one that knows certified models by name."""

from __future__ import annotations

from collections.abc import Mapping

from fidokit.virtual import token
from fidokit.virtual.models.catalog import model_document


class VirtualToken(token.VirtualToken):
    """One token, plugged in; see `fidokit.virtual.token.VirtualToken` for its arguments.

        with VirtualToken(model="YubiKey 5 Series with NFC") as token:
            ...

    Its `model` may be an AAGUID, dashes optional, or the model's whole description in any case, as
    `fidokit virtual models` lists them.

    Raises:
        UsageError: no model has it, or several do; then the hint lists their AAGUIDs.
        Unsupported: the FIDO metadata (extra `mds`) is not installed.
        MalformedFile: the metadata cannot be read.
    """

    def find_model(self, wanted: str) -> Mapping[str, object]:
        """See `model_document`."""
        return model_document(wanted)
