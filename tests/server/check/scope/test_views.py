"""How sshd is asked about users: once for all of them only if it cannot tell them apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
from tests.server.settings import settings

from fidokit.errors import UsageError
from fidokit.server.check.scope.views import plan_for
from fidokit.server.sshd.instances import SshdInstance
from fidokit.server.sshd.query import LoginOrigin, Sshd
from fidokit.server.sshd.settings import ConfigPlace, ConfigReading, SshdSettings

USUAL = LoginOrigin()


@dataclass
class CountingSshd:
    """Counts questions."""

    general: SshdSettings
    asked: list[str | None] = field(default_factory=list)

    def settings(self, user: str | None = None, origin: LoginOrigin = USUAL) -> SshdSettings:
        self.asked.append(user)
        return self.general

    def explained(self, user: str | None = None, origin: LoginOrigin = USUAL) -> SshdSettings:
        return self.general


def asked(reading: ConfigReading | None) -> list[str | None]:
    """Who sshd is asked about, of two users."""
    sshd = CountingSshd(replace(settings(), reading=reading))
    plan = plan_for(SshdInstance(cast(Sshd, sshd), None), USUAL)
    for user in ("ana", "bob"):
        plan.settings(user, USUAL)
    return sshd.asked


@pytest.fixture
def reading(tmp_path: Path) -> Callable[..., ConfigReading]:
    """What sshd shows of a configuration with this text in its second file."""

    def make(text: str, matches: tuple[str, ...] = ()) -> ConfigReading:
        first, second = tmp_path / "sshd_config", tmp_path / "more.conf"
        first.write_text("Include *.conf\n# Match User is an example\nUsePAM no\n")
        second.write_text(text)
        places = {"usepam": ConfigPlace(str(first), 3)}
        return ConfigReading(places, (str(first), str(second)), matches)

    return make


def test_without_match_blocks_one_question_is_enough(
    reading: Callable[..., ConfigReading],
) -> None:
    assert asked(reading("PasswordAuthentication no\n   # match\n")) == ["ana"]


@pytest.mark.parametrize(
    "text",
    [
        "Match User ana\n",
        "  mATCH all\n",
        '"Match" user x\n',
        "Match=User x\n",
        "UsePAM yes # Match",
    ],
)
def test_each_is_asked_about_if_the_word_is_in_a_file(
    reading: Callable[..., ConfigReading], text: str
) -> None:
    assert asked(reading(text)) == ["ana", "bob"]


def test_each_is_asked_about_in_any_doubt(
    reading: Callable[..., ConfigReading], tmp_path: Path
) -> None:
    assert asked(None) == ["ana", "bob"]
    assert asked(reading("", ("User ana",))) == ["ana", "bob"]
    assert asked(ConfigReading({}, ())) == ["ana", "bob"]
    found = reading("")
    assert asked(ConfigReading({}, found.files)) == ["ana", "bob"]
    assert asked(ConfigReading(found.places, ())) == ["ana", "bob"]
    (tmp_path / "more.conf").unlink()
    assert asked(found) == ["ana", "bob"]


def test_a_name_that_cannot_be_asked_about_is_refused_all_the_same(
    reading: Callable[..., ConfigReading],
) -> None:
    sshd = CountingSshd(replace(settings(), reading=reading("")))
    plan = plan_for(SshdInstance(cast(Sshd, sshd), None), USUAL)
    plan.settings("ana", USUAL)
    with pytest.raises(UsageError):
        plan.settings("a,addr=10.0.0.1", USUAL)
