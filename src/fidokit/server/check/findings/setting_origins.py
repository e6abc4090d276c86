"""Which line of sshd's configuration decides a setting, as sshd itself names it.

sshd is asked once where there are no Match blocks, else about each user, and about so many users
only: it takes ten milliseconds each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Optional

from fidokit.errors import FidokitError
from fidokit.server.check.findings.finding import DecidingSetting
from fidokit.server.sshd.settings import ConfigReading, SshdSettings

Explain = Callable[[Optional[str]], SshdSettings]  # noqa: UP045  Python 3.9 evaluates it
"""Settings with the lines that decide, of a user or in general (`sshd.query.Sshd.explained`)."""

MOST_USERS: Final = 100

_DEFAULT: Final = "by default, no line sets it"
_SILENT: Final = "by a line that sshd does not name"
_TOO_MANY: Final = "by a line that `server check --user` names"


@dataclass
class SettingOrigins:
    """Finds deciding lines.

    Attributes:
        explain: see `Explain`.
    """

    explain: Explain
    _readings: dict[str | None, ConfigReading | None] = field(default_factory=dict, repr=False)

    def of(
        self, settings: SshdSettings, keywords: Sequence[str], user: str | None = None
    ) -> tuple[DecidingSetting, ...]:
        """Where settings come from, for a user where one is named.

        Args:
            settings: the effective ones.
            keywords: as sshd_config(5) spells them.
        """
        return tuple(self._one(settings, keyword, user) for keyword in keywords)

    def _one(self, settings: SshdSettings, keyword: str, user: str | None) -> DecidingSetting:
        value = settings.first(keyword)
        general = self.reading(None)
        config = general.files[0] if general and general.files else ""
        if general is not None and general.matches and user is not None:
            if user not in self._readings and len(self._readings) > MOST_USERS:
                return DecidingSetting(keyword, value, why=_TOO_MANY, config=config)
            general = self.reading(user)
        if general is None:
            return DecidingSetting(keyword, value, why=_SILENT, config=config)
        place = general.places.get(keyword.lower())
        if place is None:
            return DecidingSetting(keyword, value, why=_DEFAULT, config=config)
        return DecidingSetting(keyword, value, place.path, place.line or None, config=config)

    def reading(self, user: str | None = None) -> ConfigReading | None:
        """How sshd comes to a user's settings, or to those in general; None if it does not say."""
        if user not in self._readings:
            try:
                found = self.explain(user).reading
            except FidokitError:
                found = None
            self._readings[user] = found if found is not None and found.files else None
        return self._readings[user]
