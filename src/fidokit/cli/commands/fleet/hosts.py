"""Which hosts a verb of `fleet` is about, and how they are reached: options, and what they mean."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fidokit.errors import UsageError

if TYPE_CHECKING:
    from fidokit.fleet.hosts.destinations import FleetHost
    from fidokit.fleet.policy.values import FleetPolicy
    from fidokit.fleet.survey import FleetSurvey

F = TypeVar("F", bound=Callable[..., Any])
_ENTRY = "fidokit.cli.far_side.audit"


def reach_options(function: F) -> F:
    """Add HOST..., and the options that name hosts and say how to reach them."""
    options = (
        click.argument("hosts", nargs=-1, metavar="[HOST]..."),
        click.option(
            "--inventory",
            metavar="FILE",
            help="Also the hosts in FILE, one a line (- is standard input).",
        ),
        click.option(
            "--ansible-inventory",
            metavar="FILE",
            is_flag=False,
            flag_value="",
            help="Also the hosts of Ansible's inventory: --ansible-inventory=FILE, or the "
            "configured one without =FILE.",
        ),
        click.option(
            "--sudo", is_flag=True, help="Be root there, by a sudo that asks for no password."
        ),
        click.option(
            "--ssh",
            metavar="COMMAND",
            default="ssh",
            help="The command to reach hosts, such as 'ssh -J gate'.  [default: ssh]",
        ),
        click.option(
            "--parallel",
            metavar="N",
            type=click.IntRange(1, 1000),
            default=32,
            help="How many hosts at a time.  [default: 32]",
        ),
        click.option(
            "--timeout",
            metavar="SECONDS",
            type=click.IntRange(1, 86400),
            default=60,
            help="How long one host may take.  [default: 60]",
        ),
        click.option(
            "--max-output",
            metavar="MIB",
            type=click.IntRange(1, 1024),
            default=16,
            help="How much one host may send, in MiB.  [default: 16]",
        ),
    )
    return _added(function, options)


def host_options(function: F) -> F:
    """Add `reach_options`, and what is to be checked on each host."""
    options = (
        click.option(
            "--require",
            "rules",
            metavar="RULE",
            multiple=True,
            help="Require a rule on every host, as for `server check`. Can be repeated.",
        ),
        click.option(
            "--user",
            "users",
            metavar="NAME",
            multiple=True,
            help="Check only this account on each host.",
        ),
    )
    return reach_options(_added(function, options))


def _added(function: F, options: Sequence[Callable[[F], F]]) -> F:
    for option in reversed(options):
        function = option(function)
    return function


def named_hosts(hosts: tuple[str, ...], given: Mapping[str, Any]) -> list[FleetHost]:
    """The hosts that the command line names, each once.

    Args:
        hosts: the words.
        given: the options of `host_options`.
    """
    from fidokit.fleet.hosts.destinations import ansible_inventory, inventory, named

    found = named(hosts)
    if given["inventory"] is not None:
        found += inventory(given["inventory"])
    if given["ansible_inventory"] is not None:
        found += ansible_inventory(given["ansible_inventory"])
    return list({at.name: at for at in reversed(found)}.values())[::-1]


def named_or_of_policy(
    hosts: tuple[str, ...], given: Mapping[str, Any], policy: FleetPolicy | None, *, other: str = ""
) -> list[FleetHost]:
    """The hosts that the command line names; those that the policy names if there are none.

    Args:
        hosts: the words.
        given: the options of `host_options`.
        policy: the policy, if there is one.
        other: an option that would have done as well, for the hint.

    Raises:
        UsageError: nothing names a host.
    """
    from fidokit.fleet.hosts.destinations import named

    found = named_hosts(hosts, given)
    if not found and policy is not None:
        found = named(policy.named_hosts)
    if not found:
        ways = "name hosts, or give --inventory FILE, --ansible-inventory, "
        raise UsageError("no host is named", hint=f"{ways}{other}or a --policy that names some")
    return found


def survey_of(
    destinations: list[FleetHost], given: Mapping[str, Any], policy: FleetPolicy | None
) -> FleetSurvey:
    """A survey of hosts, which is not begun yet.

    Args:
        destinations: the hosts.
        given: the options of `host_options`, or of `reach_options` alone.
        policy: states what must hold, if there is one.
    """
    from fidokit.fleet.hosts.conversation import MEBIBYTE, AuditRequest
    from fidokit.fleet.hosts.program import TravelingProgram
    from fidokit.fleet.survey import FleetSurvey
    from fidokit.server.check.policy import parse_rule

    request = AuditRequest(
        TravelingProgram.packed(_ENTRY),
        tuple(shlex.split(given["ssh"])),
        given.get("users", ()),
        tuple(map(str, map(parse_rule, given.get("rules", ())))),
        given["sudo"],
        given["timeout"],
        given["max_output"] * MEBIBYTE,
    )
    return FleetSurvey(destinations, request, policy, given["parallel"])
