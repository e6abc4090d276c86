"""A stand-in for pyscard: the names that python-fido2 and fidokit use, and no readers."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest


class SmartcardException(Exception):
    """pyscard's root."""

    hresult = 0


class CardConnectionException(SmartcardException):
    """The connection broke."""


class NoCardException(SmartcardException):
    """Nothing lies on the reader."""

    def __init__(self, message: str, hresult: int) -> None:
        super().__init__(message)
        self.hresult = hresult


class BaseSCardException(Exception):
    """The root of what pyscard raises below its readers; the other one is none of its parents."""


class ListReadersException(BaseSCardException):
    """The service does not answer."""


NO_SERVICE = 0x8010001D
"""What a library without its service answers."""

_MODULES: dict[str, dict[str, object]] = {
    "smartcard": {},
    "smartcard.System": {"readers": list},
    "smartcard.Exceptions": {
        "SmartcardException": SmartcardException,
        "CardConnectionException": CardConnectionException,
        "NoCardException": NoCardException,
    },
    "smartcard.scard": {
        "SCARD_S_SUCCESS": 0,
        "SCARD_SCOPE_SYSTEM": 2,
        "SCardEstablishContext": lambda _scope: (NO_SERVICE, 0),
    },
    "smartcard.CardConnection": {"CardConnection": object},
    "smartcard.CardConnectionDecorator": {"CardConnectionDecorator": object},
    "smartcard.pcsc": {},
    "smartcard.pcsc.PCSCExceptions": {
        "BaseSCardException": BaseSCardException,
        "ListReadersException": ListReadersException,
    },
}


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `import smartcard` find the stand-in until the test is over."""
    for name, members in _MODULES.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    # imported anew now, and forgotten when the test is over
    monkeypatch.setitem(sys.modules, "fido2.pcsc", ModuleType("fido2.pcsc"))
    del sys.modules["fido2.pcsc"]
