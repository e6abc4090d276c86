"""The power of a card on a reader: taken when nobody uses it, and never from another program."""

from __future__ import annotations


def power_off_if_unused(reader_name: str) -> None:
    """Take the power from a token that nobody uses: its next use is a new tap.

    A connection of ours could not be made exclusive to find out: where another program shares the
    card, libpcsclite waits in SCardReconnect until that one leaves.
    """
    from smartcard import scard

    code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    if code != scard.SCARD_S_SUCCESS:
        return
    try:
        asked = [(reader_name, scard.SCARD_STATE_UNAWARE)]
        code, states = scard.SCardGetStatusChange(context, 0, asked)
        if code != scard.SCARD_S_SUCCESS or states[0][1] & scard.SCARD_STATE_INUSE:
            return
        protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        code, card, _ = scard.SCardConnect(
            context, reader_name, scard.SCARD_SHARE_EXCLUSIVE, protocols
        )
        if code == scard.SCARD_S_SUCCESS:
            scard.SCardDisconnect(card, scard.SCARD_UNPOWER_CARD)
    finally:
        scard.SCardReleaseContext(context)
