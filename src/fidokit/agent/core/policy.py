"""What each key may be used for, by rules that the owner wrote; the first that fits counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

from fidokit.agent.core.bindings import Bindings, Refused
from fidokit.errors import MalformedFile
from fidokit.openssh.keys.fingerprint import sha256
from fidokit.openssh.lines.patterns import match_pattern
from fidokit.openssh.signatures.sshsig import FileSignature, Login, Meaning

LOGIN: Final = "login"
SIGNATURE: Final = "signature"
OTHER: Final = "other"
USES: Final = (LOGIN, SIGNATURE, OTHER)


@dataclass(frozen=True, slots=True)
class KeyRule:
    """One rule; its names are those of the file (docs/agent.md).

    Args:
        key: a fingerprint `SHA256:...`, or a pattern for the comment.
        use: what it may sign: "login", "signature" (SSHSIG) and "other".
        users: patterns, one of which a login's user has to fit; none means any.
        namespaces: patterns, one of which a signature's namespace has to fit; none means any.
        hosts: fingerprints of host keys; a login has to be bound to one of them. None means any.
        forwarded: whether it may be seen and used from other machines.
        confirm: whether each use is asked for.
        hidden: leave it out of lists; it can be used by who knows it.
        pin_cache: whether the PIN may be kept after it.
    """

    key: str
    use: Sequence[str] = USES
    users: Sequence[str] = ()
    namespaces: Sequence[str] = ()
    hosts: Sequence[str] = ()
    forwarded: bool = True
    confirm: bool = False
    hidden: bool = False
    pin_cache: bool = True

    def fits(self, fingerprint: str, comment: str | None) -> bool:
        """Whether the rule is about the key with this fingerprint and comment.

        Raises:
            Refused: the rule is about comments, and this key's is not known.
        """
        if self.key.startswith("SHA256:"):
            return self.key == fingerprint
        if comment is None and self.key != "*":
            raise Refused("the policy needs comments, and the upstream agent shows none")
        return match_pattern(comment or "", self.key)

    def lists(self, *, remote: bool) -> bool:
        """Whether the key is listed to a client, which may be on another machine (`remote`)."""
        return not self.hidden and (self.forwarded or not remote)

    def require(self, meaning: Meaning | None, bindings: Bindings) -> None:
        """Let the key sign this.

        Raises:
            Refused: the rule does not allow it.
        """
        if bindings.remote and not self.forwarded:
            raise Refused("the policy does not allow other machines to use this key")
        use = _use(meaning)
        if use not in self.use:
            raise Refused(f"the policy does not allow this key the use {use!r}")
        if isinstance(meaning, Login):
            self._require_login(meaning, bindings)
        if isinstance(meaning, FileSignature) and not _any(meaning.namespace, self.namespaces):
            raise Refused(f"the policy does not allow the namespace {meaning.namespace!r}")

    def _require_login(self, login: Login, bindings: Bindings) -> None:
        if not _any(login.user, self.users):
            raise Refused(f"the policy does not allow logins as {login.user!r}")
        if not self.hosts:
            return
        last = bindings.hops[-1] if bindings.hops else None
        if last is None or last.session_id != login.session_id:
            raise Refused("the policy names hosts, and the client does not name this one")
        if not last.proved or sha256(last.blob) not in self.hosts:
            raise Refused("the policy does not allow logins to this host")


def _use(meaning: Meaning | None) -> str:
    if isinstance(meaning, Login):
        return LOGIN
    return OTHER if meaning is None else SIGNATURE


def _any(text: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(match_pattern(text, pattern) for pattern in patterns)


FREE: Final = KeyRule("*")
"""What holds for a key that no rule is about."""


class Policy:
    """All rules, in their order."""

    def __init__(self, rules: Sequence[KeyRule] = ()) -> None:
        self._rules = tuple(rules)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def rule(self, fingerprint: str, comment: str | None) -> KeyRule:
        """The first rule about a key.

        Args:
            fingerprint: `SHA256:...` of the plain public key.
            comment: what lists call it; None if that is not known.

        Raises:
            Refused: which rule it is cannot be told.
        """
        fits = (rule for rule in self._rules if rule.fits(fingerprint, comment))
        return next(fits, FREE)

    @property
    def keeps_from_forwarding(self) -> bool:
        """Whether a rule says `forwarded = false`, which ssh before 8.9 cannot support."""
        return not all(rule.forwarded for rule in self._rules)


def parse_policy(document: Mapping[str, object]) -> Policy:
    """The rules in a decoded TOML document: tables `[[key]]`, hyphens for our underscores.

    Raises:
        MalformedFile: an unknown name, or a value of another kind.
    """
    tables = document.get("key", [])
    if set(document) - {"key"} or not isinstance(tables, list):
        raise MalformedFile("the policy file: only tables [[key]] are known")
    return Policy([_rule(table) for table in tables])


_LISTS: Final = frozenset({"use", "users", "namespaces", "hosts"})
_NAMES: Final = frozenset(field.name for field in fields(KeyRule))


def _rule(table: object) -> KeyRule:
    if not isinstance(table, dict) or not isinstance(table.get("key"), str):
        raise MalformedFile(
            "the policy file: a rule without a key", hint='begin it with key = "SHA256:..."'
        )
    values = {name.replace("-", "_"): value for name, value in table.items()}
    for name, value in values.items():
        if name not in _NAMES or not _is_of_kind(name, value):
            raise MalformedFile(
                f"the policy file: {name.replace('_', '-')!r} is not known, or has no such value",
                hint="docs/agent.md lists what a rule may say",
            )
    unknown = set(values.get("use", USES)) - set(USES)
    if unknown:
        raise MalformedFile(
            f"the policy file: use {min(unknown)!r} is not known", hint=", ".join(USES)
        )
    return KeyRule(**values)


def _is_of_kind(name: str, value: object) -> bool:
    if name in _LISTS:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return isinstance(value, str if name == "key" else bool)
