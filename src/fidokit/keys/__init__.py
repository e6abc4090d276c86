"""SSH keys on tokens, with their files and blobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fidokit.facade import Facade

if TYPE_CHECKING:
    from fidokit.inventory.key_list import KeyRow as KeyRow
    from fidokit.keys.attestation import verify_attestation as verify_attestation
    from fidokit.keys.generation import GeneratedKey as GeneratedKey
    from fidokit.keys.generation import GenerateRequest as GenerateRequest
    from fidokit.keys.generation import generate_key as generate_key
    from fidokit.keys.holder import open_key_file as open_key_file
    from fidokit.keys.key_files import KeyFile as KeyFile
    from fidokit.keys.key_files import change_passphrase as change_passphrase
    from fidokit.keys.key_files import describe_key_file as describe_key_file
    from fidokit.keys.resident_keys import delete_key as delete_key
    from fidokit.keys.resident_keys import download_keys as download_keys
    from fidokit.keys.resident_keys import list_keys as list_keys
    from fidokit.keys.resident_keys import rename_key as rename_key
    from fidokit.types import KeyType as KeyType
    from fidokit.types import PassphraseSource as PassphraseSource

_PUBLIC = Facade(
    __name__,
    {
        "fidokit.inventory.key_list": ("KeyRow",),
        "fidokit.keys.attestation": ("verify_attestation",),
        "fidokit.keys.generation": ("GenerateRequest", "GeneratedKey", "generate_key"),
        "fidokit.keys.holder": ("open_key_file",),
        "fidokit.keys.key_files": ("KeyFile", "change_passphrase", "describe_key_file"),
        "fidokit.keys.resident_keys": ("delete_key", "download_keys", "list_keys", "rename_key"),
        "fidokit.types": ("KeyType", "PassphraseSource"),
    },
)
__all__ = list(_PUBLIC)
__dir__ = _PUBLIC.names
if not TYPE_CHECKING:
    __getattr__ = _PUBLIC.fetch
