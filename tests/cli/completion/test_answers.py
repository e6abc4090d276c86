"""What the shells are told; and that nothing of it opens a token, asks, or fails aloud."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import click
import pytest
from tests.cli.commands.conftest import Bench, bench, fresh  # noqa: F401
from tests.support.sandbox import Sandbox

from fidokit.cli.app import root
from fidokit.cli.completion import values
from fidokit.cli.completion.answers import answer
from fidokit.lab.named_tokens import create_virtual

Run = Callable[..., int]
FREE = [
    "TEXT",
    "N",
    "TIME",
    "TEMPLATE",
    "RPID",
    "WHO",
    "ID",
    "NAMES",
    "TIMES",
    "HEX",
    "COMMAND",
    "PATTERN",
    "PATTERNS",
    "DESTINATION",
    "NAME",
    "[USER@]HOST",
    "[[USER@]HOST...]",
    "[HOST]...",
    "MIB",
    "EMAIL",
    "[EMAIL=]SOURCE",
    "SOCKET",
    "YYYYMMDD[HHMM]",
    "N/SECONDS|none",
    "USER=NAME",
    "[HOST:PORT]",
    "MS",
    "SECONDS",
    "BYTE",
    "PARAMETER=VALUE",
]
"""What the help calls values that only the user knows."""
FREE_ARGUMENTS = {
    "key rename comment",
    "pin min-length length",
    "fleet apply --canary",
    "bio rename fingerprint",  # the token asks for its PIN before it lists them
    "bio rename name",
    "bio delete fingerprints",
    "virtual create name",
    "virtual import name",
    "key sign -n",
    "key verify -n",
}


def parameters(
    command: click.Command = root, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Parameter]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from parameters(below, (*path, name))
    for param in command.params:
        flag = isinstance(param, click.Option) and (param.is_flag or param.count or param.hidden)
        if not flag and not isinstance(param.type, click.Choice):
            yield path, param


def test_every_value_has_a_source_or_is_the_users_own() -> None:
    for path, param in parameters():
        if values.source_of(path, param) is values.free:
            name = param.opts[0] if isinstance(param, click.Option) else param.name
            assert f"{' '.join(path)} {name}" in FREE_ARGUMENTS or param.metavar in FREE, (
                path,
                name,
            )


def test_no_source_is_without_its_value() -> None:
    used = {values.source_of(path, param) for path, param in parameters()}
    assert {*values.BY_NAME.values(), *values.BY_METAVAR.values()} <= used


Ask = Callable[..., list[str]]


@pytest.fixture
def ask(
    in_process: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Ask:
    """What a shell is told of a line."""

    def told(line: str, shell: str = "zsh", breaks: str = "") -> list[str]:
        monkeypatch.setenv("COMP_WORDBREAKS", breaks)
        answer(shell, [line])
        shown = capsys.readouterr()
        assert shown.err == ""
        return shown.out.splitlines()

    return told


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("fidokit ke", {"key"}),
        ("fidokit key s", {"show", "sign"}),
        ("fidokit key generate --no-p", {"--no-passphrase", "--no-progress"}),
        ("fidokit key generate -t ", {"ed25519-sk", "ecdsa-sk"}),
        ("fidokit --tok", {"--token"}),
        ("fidokit key list --re", {"--remember"}),
        ("fidokit key list --json --js", set()),
        ("fidokit -v --v", {"--verbose", "--version"}),
        ("fidokit virtual create x --presence ", {"auto", "deny", "prompt", "delay:"}),
        ("fidokit server check --require har", {"hardware", "hardware-or-certified"}),
        ("fidokit server check -C user=roo", {"user=root"}),
        ("fidokit server check -C user=root,a", {"user=root,addr="}),
        ("fidokit cert sign -O no-p", {"no-pty", "no-port-forwarding"}),
        ("fidokit server authorize -O perm", {"permitopen=", "permitlisten="}),
        ("fidokit key generate -O application=", {"application=ssh:"}),
        ("fidokit udev print --group roo", {"root"}),
        ("fidokit key generate -O user=", set()),
        ("fidokit nonsense ", set()),
        ("fidokit key sign -O ", {"hashalg=sha512", "hashalg=sha256"}),
    ],
)  # fmt: skip
def test_words(ask: Ask, line: str, offered: set[str]) -> None:
    assert {said.partition("\t")[0] for said in ask(line)} == offered


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("fidokit key show ", "\tfiles\t"),
        ("fidokit key list ", "\tfolders\t"),
        ("fidokit key list --pin-file=a/b", "\tfiles\t--pin-file="),
        ("fidokit key generate -O challenge=a", "\tfiles\tchallenge="),
        ("fidokit key delete ./", "\tfiles\t"),
        ("fidokit demo --keep ", "\tfolders\t"),
    ],
)
def test_files_are_the_shells_own(ask: Ask, line: str, told: str) -> None:
    assert ask(line) == [told]


def test_bash_gets_what_its_own_word_lacks(ask: Ask) -> None:
    create_virtual("everyday")
    assert ask("fidokit --token virtual:e", "bash", "=:") == ["everyday"]
    assert ask("fidokit --token=v", "bash", "=:") == ["virtual:everyday"]
    assert ask("fidokit --token 'v", "bash", "=:") == ["virtual:everyday"]
    assert ask("fidokit --token v", "bash", "") == ["virtual:everyday"]


def test_keys_are_offered_by_a_name_that_fits_one_alone(ask: Ask, bench: Bench) -> None:  # noqa: F811
    (bench.home / ".ssh").mkdir(mode=0o700)
    bench.generate(".ssh/a", "-O", "application=ssh:work", "-C", "laptop")
    bench.generate(".ssh/b", "-O", "application=ssh:home", "-C", "laptop")
    bench.generate(".ssh/c", "-C", "laptop")
    bench.generate(".ssh/d", "-C", "red \x1b[31m one")
    names = [said.partition("\t")[0] for said in ask("fidokit key delete ")]
    assert {"work", "home"} <= set(names)
    assert sum(name.startswith("SHA256:") for name in names) == 1
    assert all(
        said.isprintable() for line in ask("fidokit key delete ") for said in line.split("\t")
    )
    assert ask("fidokit key delete work ") != ask("fidokit key delete ")


def test_nothing_is_opened(ask: Ask, monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:  # noqa: F811
    def opened(*_args: object, **_named: object) -> None:
        raise AssertionError("a token was opened")

    monkeypatch.setattr("fidokit.virtual.shared.open_link", opened)
    monkeypatch.setattr("fidokit.client.links.backends.PcscBackend.candidates", opened)
    for line in ("fidokit --token ", "fidokit key delete ", "fidokit token info --token "):
        assert ask(line)


def test_a_failure_is_silent(sandbox: Sandbox) -> None:
    (sandbox.home / "state").write_text("not a folder")
    done = sandbox.run("fidokit virtual delete ", _FIDOKIT_COMPLETE="zsh")
    assert (done.code, done.out, done.err) == (1, "", "")


def test_a_shell_gets_a_bounded_list(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fidokit.cli.completion.answers.MOST", 3)
    assert len(ask("fidokit ")) == 3
