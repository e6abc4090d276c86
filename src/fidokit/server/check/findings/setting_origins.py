"""Which line of sshd's configuration decides a setting, as sshd itself names it.

sshd is asked once if there are no Match blocks, else about each user, and about so many users
only: it takes ten milliseconds each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from fidokit.errors import FidokitError
from fidokit.server.check.findings.finding import DecidingSetting
from fidokit.server.sshd.query import LoginOrigin, Sshd
from fidokit.server.sshd.settings import ConfigReading, SshdSettings


class AskedLogin(NamedTuple):
    """About which login sshd is asked: whose, on which sshd, and from where; None is the usual."""

    user: str | None = None
    sshd: Sshd | None = None
    origin: LoginOrigin | None = None


USUAL: Final = AskedLogin()

Explain = Callable[[AskedLogin], SshdSettings]
"""Settings with the lines that decide (`sshd.query.Sshd.explained`)."""

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
    _answers: dict[AskedLogin, SshdSettings | None] = field(default_factory=dict, repr=False)

    def of(
        self, settings: SshdSettings, keywords: Sequence[str], asked: AskedLogin = USUAL
    ) -> tuple[DecidingSetting, ...]:
        """Where settings come from.

        Args:
            settings: the effective ones.
            keywords: as sshd_config(5) spells them.
            asked: the login that they are effective for.
        """
        return tuple(self._one(settings, keyword, asked) for keyword in keywords)

    def _one(self, settings: SshdSettings, keyword: str, asked: AskedLogin) -> DecidingSetting:
        value = settings.first(keyword)
        usual = asked._replace(user=None, origin=None)
        reading = self.reading(usual)
        found = DecidingSetting(keyword, value, config=reading.files[0] if reading else "")
        if reading is not None and reading.matches:
            if asked not in self._answers and len(self._answers) > MOST_USERS:
                return found._replace(why=_TOO_MANY)
            usual, reading = asked, self.reading(asked)
        answer = self._answers[usual]
        if reading is None or answer is None or answer.first(keyword) != value:
            return found._replace(why=_SILENT)
        place = reading.places.get(keyword.lower())
        if place is None:
            return found._replace(why=_DEFAULT)
        return found._replace(path=place.path, line=place.line or None)

    def reading(self, asked: AskedLogin = USUAL) -> ConfigReading | None:
        """How sshd comes to the settings of a login; None if it does not say."""
        if asked not in self._answers:
            try:
                self._answers[asked] = self.explain(asked)
            except FidokitError:
                self._answers[asked] = None
        answer = self._answers[asked]
        reading = answer.reading if answer else None
        return reading if reading is not None and reading.files else None
