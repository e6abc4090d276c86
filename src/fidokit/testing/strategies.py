"""Hypothesis strategies: virtual tokens of any kind, certified models, quirks of real firmware.

Import it as `from fidokit.testing import strategies`; it needs Hypothesis. Every value shrinks
towards the plain: no model, no quirk, no PIN, CTAP 2.3.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from fido2.ctap import CtapError
from hypothesis import reject
from hypothesis import strategies as st

from fidokit.errors import UsageError
from fidokit.testing.factory import provision, taken
from fidokit.testing.token import PATIENCE_S, Stalled, WatchedToken
from fidokit.virtual.core.profile import PROFILES
from fidokit.virtual.models.search import list_models, model_document
from fidokit.virtual.power import DEFAULT_PROFILE
from fidokit.virtual.quirks import choice
from fidokit.virtual.world import ManualClock, SeededRng

MOST_QUIRKS: Final = 3
_stalled: Final[list[WatchedToken]] = []


def profiles() -> st.SearchStrategy[str]:
    """Names of profiles, "ctap2.3" first."""
    return st.sampled_from(sorted(PROFILES, key=lambda name: name != DEFAULT_PROFILE))


def models(search: str = "") -> st.SearchStrategy[str]:
    """AAGUIDs of certified models.

    Args:
        search: words that the description has, as in `fidokit virtual models --search`.

    Raises:
        Unsupported: the extra `mds` is not installed; UsageError: no model has these words.
    """
    found = _models(search)
    if not found:
        raise UsageError(
            f"no certified model is called {search!r}", hint="see them all: fidokit virtual models"
        )
    return st.sampled_from(found)


@cache
def _models(search: str) -> tuple[str, ...]:
    """In the order of the metadata's texts, so that an example means the same in the next run."""
    return tuple(sorted(model.aaguid for model in list_models(search).models))


@cache
def _document(model: str) -> dict[str, object]:
    """Kept, since the metadata takes 0.1 s to read."""
    return model_document(model)


def quirks(most: int = MOST_QUIRKS) -> st.SearchStrategy[tuple[str, ...]]:
    """Names of quirks that one token can have together.

    Args:
        most: how many at a time.
    """
    names = [quirk.name for quirk in choice.list_quirks()]
    lists = st.lists(st.sampled_from(names), unique=True, max_size=most)
    return lists.filter(_go_together).map(tuple)


def _go_together(names: list[str]) -> bool:
    try:
        choice.chosen(names)
    except UsageError:
        return False
    return True


def tokens(
    *,
    profile: st.SearchStrategy[str] | None = None,
    model: st.SearchStrategy[str | None] | None = None,
    quirk: st.SearchStrategy[tuple[str, ...]] | None = None,
    pin: st.SearchStrategy[str | None] | None = None,
    presence: st.SearchStrategy[str] | None = None,
    patience_s: float = PATIENCE_S,
) -> st.SearchStrategy[WatchedToken]:
    """Tokens in memory, fresh in each example, that repeat themselves: one example, one token.

    Their clock stands still and their randomness has a seed that the example draws, so a failing
    example fails again. A token that waits in vain raises `Stalled`, and fails the test under
    pytest even where that is swallowed.

    Args:
        profile: by default any; without a meaning where a model is drawn.
        model: AAGUIDs or None; by default none. `models()` for any, `st.none() | models()` for
            some.
        quirk: by default none; `quirks()` for any.
        pin: PINs or None; by default none. U2F tokens have none in any case; a
            model on which python-fido2 cannot set this one is not drawn.
        presence: policies; by default "auto".
        patience_s: as `TokenFactory`.
    """
    return st.builds(
        _token,
        profile=profiles() if profile is None else profile,
        model=st.none() if model is None else model,
        quirks=st.just(()) if quirk is None else quirk,
        pin=st.none() if pin is None else pin,
        presence=st.just("auto") if presence is None else presence,
        seed=st.binary(max_size=4),
        patience_s=st.just(patience_s),
    )


def _token(
    *,
    profile: str,
    model: str | None,
    quirks: tuple[str, ...],
    pin: str | None,
    presence: str,
    seed: bytes,
    patience_s: float,
) -> WatchedToken:
    token = WatchedToken(
        profile=None if model else profile,
        model=_document(model) if model else None,
        quirks=quirks,
        presence=presence,
        rng=SeededRng(seed),
        clock=ManualClock(),
        patience_s=patience_s,
    )
    token.on_stall = _stalled.append
    if pin is not None and token.profile.has_ctap2:
        try:
            provision(token, pin, ())
        except (CtapError, ValueError):
            reject()
    return token


def take_stalls() -> list[Stalled]:
    """The stalls that a test left unmentioned; they are not told again."""
    found = taken(_stalled)
    _stalled.clear()
    return found
