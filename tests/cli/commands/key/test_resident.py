"""`fidokit key` list, download, delete and rename, on a virtual token."""

from __future__ import annotations

import stat
from dataclasses import replace

import pytest
from tests.cli.commands.conftest import PASSPHRASE, PIN, Bench
from tests.support.key_rows import credential, key

from fidokit.cli.commands.key.resident import key_name, yes_no
from fidokit.inventory.key_list import join
from fidokit.types import CredentialId

MEMBERS = {
    "fingerprint", "type", "application", "user", "user_name", "comment", "verify_required",
    "touch_required", "on_token", "created", "files", "credential_id", "public_key",
    "has_backup", "is_backup", "other_type", "application_cut", "certificates",
}  # fmt: skip


def resident(bench: Bench, name: str, *options: str) -> str:
    """Make a resident key for the application ssh:NAME; returns its fingerprint."""
    args = ("-O", "resident", "-O", f"application=ssh:{name}", *options)
    return str(bench.generate(name, *args)["fingerprint"])


def test_empty_token_says_how_to_begin(bench: Bench) -> None:
    done = bench.run(*bench.with_pin("key", "list"))
    assert (done.code, done.out) == (0, "")
    assert "No keys on this token yet" in done.err
    assert "fidokit key generate -t ed25519-sk -O resident" in done.err


def test_nothing_to_download_says_why(bench: Bench) -> None:
    done = bench.run(*bench.with_pin("key", "download", "--no-passphrase"))
    assert (done.code, done.out) == (0, "")
    assert "nothing to recover" in done.err


def test_list_joins_token_and_files(bench: Bench) -> None:
    made = resident(bench, "work", "-C", "laptop")
    resident(bench, "lost")
    (bench.home / "lost").unlink()
    (bench.home / "lost.pub").unlink()
    keys = bench.json(*bench.with_pin("key", "list", str(bench.home)))["keys"]
    assert [set(key) for key in keys] == [MEMBERS, MEMBERS]
    work = next(key for key in keys if key["application"] == "ssh:work")
    assert work["fingerprint"] == made
    assert work["comment"] == "laptop"
    assert str(bench.home / "work") in work["files"]
    plain = bench.ok(*bench.with_pin("key", "list", str(bench.home)))
    assert "only on the token" in plain
    assert plain.startswith("APPLICATION\tUSER\tTYPE\tFINGERPRINT\t")


def test_list_of_files_needs_no_token(bench: Bench) -> None:
    made = bench.generate("k")
    done = bench.run("key", "list", "--no-token", str(bench.home), FIDOKIT_TOKEN="virtual:none")
    assert done.code == 0, done.err
    assert made["fingerprint"] in done.out


def test_list_is_readable_on_a_terminal(bench: Bench) -> None:
    made = resident(bench, "work")
    done = bench.sandbox.talk(
        "--token", "virtual:t", "key", "list", "--long", answers=[("tries left): ", f"{PIN}\n")]
    )
    assert done.code == 0, done.out
    assert made in done.out  # whole, also on a narrow terminal


def test_list_is_sorted_as_asked(bench: Bench) -> None:
    for name, comment in (("a", "Zoe"), ("b", "anna"), ("c", "Max")):
        bench.generate(name, "-O", "resident", "-O", f"application=ssh:{name}", "-C", comment)
    listed = bench.json(*bench.with_pin("key", "list", "--sort", "name"))["keys"]
    assert [key["comment"] for key in listed] == ["anna", "Max", "Zoe"]


def test_without_a_token_the_files_are_listed_and_that_is_said(bench: Bench) -> None:
    made = bench.generate("k")
    args = ("key", "list", str(bench.home))
    done = bench.sandbox.run(*args, FIDOKIT_TOKEN="usb:123")
    assert done.code == 0, done.err
    assert made["fingerprint"] in done.out
    assert "No token usb:123 is connected: this list shows only key files." in done.err
    for more in (("--json",), ("--only-token",), ("--token", "usb:123")):
        assert bench.sandbox.run(*args, *more, FIDOKIT_TOKEN="usb:123").code == 3


def test_download_restores_and_never_overwrites(bench: Bench) -> None:
    made = resident(bench, "work", "-O", "verify-required", "-C", "my comment")
    public = (bench.home / "work.pub").read_text()
    done = bench.run(*bench.with_pin("key", "download", "--no-passphrase"))
    assert done.code == 0, done.err
    path = bench.home / "id_ed25519_sk_rk_work"
    assert "saved" in done.out
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.with_suffix(".pub").read_text().split()[:2] == public.split()[:2]
    resident(bench, "home")
    document = bench.json(*bench.with_pin("key", "download", "--no-passphrase"), code=9)
    by_name = {key["application"]: key for key in document["keys"]}
    assert by_name["ssh:work"]["error"]["kind"] == "FileInTheWay"
    assert "--force" not in by_name["ssh:work"]["error"]["hint"]  # download has none
    assert by_name["ssh:work"]["fingerprint"] == made
    assert by_name["ssh:home"]["error"] is None
    assert (bench.home / "id_ed25519_sk_rk_home").exists()


def test_download_of_chosen_keys_under_a_passphrase(bench: Bench) -> None:
    made = resident(bench, "work")
    resident(bench, "home")
    folder = bench.home / "out"
    folder.mkdir()
    bench.ok(
        *bench.with_pin("key", "download", made, "--dir", str(folder), "--name", "{application}"),
        "--passphrase-file",
        str(bench.home / "passphrase"),
    )
    private = [path for path in folder.iterdir() if path.suffix != ".pub"]
    assert len(private) == 1
    assert bench.json("key", "flags", str(private[0]), "--passphrase-file",
                      str(bench.home / "passphrase"))["file"]["encrypted"]  # fmt: skip


def test_download_asks_on_a_terminal(bench: Bench) -> None:
    resident(bench, "work")
    done = bench.sandbox.talk(
        "--token", "virtual:t", "key", "download",
        answers=[
            ("tries left): ", f"{PIN}\n"),
            ("(empty for none): ", f"{PASSPHRASE}\n"),
            ("New passphrase again: ", f"{PASSPHRASE}\n"),
        ],
    )  # fmt: skip
    assert done.code == 0, done.out
    assert PASSPHRASE not in done.out


def test_delete_wants_a_yes(bench: Bench) -> None:
    made = resident(bench, "work")
    refused = bench.run(*bench.with_pin("key", "delete", made))
    assert refused.code == 2
    assert "--yes" in refused.err
    document = bench.json(*bench.with_pin("key", "delete", made, "--yes"))
    assert [key["fingerprint"] for key in document["deleted"]] == [made]
    gone = bench.run(*bench.with_pin("key", "delete", made, "--yes"))
    assert gone.code == 3


def test_delete_on_a_terminal_shows_what_dies(bench: Bench) -> None:
    made = resident(bench, "work")
    done = bench.sandbox.talk(
        "--token", "virtual:t", "key", "delete", "ssh:work",
        answers=[("tries left): ", f"{PIN}\n"), ("[y/N] ", "y\n")],
    )  # fmt: skip
    assert done.code == 0, done.out
    assert made in done.out


def test_delete_warns_where_the_token_signs_on(bench: Bench) -> None:
    """Solo 1 and Nitrokey FIDO2: their credential ids hold the keys."""
    option = bench.plug("solo", pin=True, quirks=["deleted-keys-sign"])
    for name in ("one", "two"):
        resident(bench, name, *option)
    deletion = (*option, "key", "delete", "--yes", str(bench.home / "one.pub"))
    done = bench.run(*bench.with_pin(*deletion))
    assert done.code == 0, done.err
    assert "Deleted ssh:one" in done.out
    assert "no longer work" not in done.out
    advice = done.err.partition("servers: fidokit ")[2].split()
    assert "until a reset this token still signs" in done.err
    account = bench.home / "authorized_keys"
    account.write_text((bench.home / "one.pub").read_text())
    assert "removed" in bench.ok(*advice, "--path", str(account))
    assert account.read_text() == ""
    gone = bench.json(*bench.with_pin(*option, "key", "delete", "--yes", "ssh:two"))["deleted"]
    assert [key["still_signs"] for key in gone] == [True]
    (bench.home / "data").write_text("x")
    bench.ok(*bench.with_pin(*option, "key", "sign", "-f", "one", str(bench.home / "data")))


def test_a_key_that_is_gone_is_said_to_be(bench: Bench) -> None:
    resident(bench, "work")
    deleted = bench.json(*bench.with_pin("key", "delete", "ssh:work", "--yes"))["deleted"]
    assert [key["still_signs"] for key in deleted] == [False]


def test_download_of_an_application_that_has_no_key(bench: Bench) -> None:
    resident(bench, "work")
    asked = ("key", "download", "--no-passphrase", "--application", "ssh:home")
    done = bench.run(*bench.with_pin(*asked))
    assert done.code == 0
    assert "No resident key for ssh:home" in done.err
    assert "No resident SSH keys" not in done.err


def test_an_ambiguous_name_is_refused(bench: Bench) -> None:
    resident(bench, "one", "-C", "same")
    resident(bench, "two", "-C", "same")
    done = bench.run(*bench.with_pin("key", "delete", "same", "--yes"))
    assert done.code == 2
    assert "ssh:one" in done.err + "".join(done.err)
    assert len(bench.json(*bench.with_pin("key", "list"))["keys"]) == 2


def test_rename(bench: Bench) -> None:
    made = resident(bench, "work", "-C", "old")
    document = bench.json(*bench.with_pin("key", "rename", "ssh:work", "new name"))
    assert document["renamed"]["new_comment"] == "new name"
    assert document["renamed"]["fingerprint"] == made
    keys = bench.json(*bench.with_pin("key", "list", "--only-token"))["keys"]
    assert keys[0]["comment"] == "new name"


def test_websites_are_out_of_reach(bench: Bench) -> None:
    web = ("-O", "resident", "-O", "application=web.example", "--allow-any-application")
    made = str(bench.generate("web", *web)["fingerprint"])
    assert bench.json(*bench.with_pin("key", "list", "--only-token"))["keys"] == []
    assert bench.run(*bench.with_pin("key", "delete", made, "--yes")).code == 3
    listed = bench.json(*bench.with_pin("key", "list", "--only-token", "--any-rp"))["keys"]
    assert [key["application"] for key in listed] == ["web.example"]
    assert bench.run(*bench.with_pin("key", "delete", made, "--yes", "--any-rp")).code == 0


# --- names -------------------------------------------------------------------------------


(ROW,) = join([credential(key(1, "ssh:work"), CredentialId(b"\1\2"), "alice")], [], lambda _: None)


def test_application_user_and_fingerprint() -> None:
    assert key_name(ROW) == f"ssh:work / alice ({ROW.fingerprint})"
    assert key_name(replace(ROW, user="")) == f"ssh:work ({ROW.fingerprint})"


@pytest.mark.parametrize("hostile", ["a\nDeleted ssh:b.", "\x1b[2J", "\u202e", "a\rb", "\x9b31m"])
def test_it_stays_on_its_line(hostile: str) -> None:
    """A line break would let a token write lines of its own among ours."""
    for row in (replace(ROW, user=hostile), replace(ROW, application=f"ssh:{hostile}")):
        assert key_name(row).isprintable()


def test_flags_that_may_be_unknown() -> None:
    assert [yes_no(value) for value in (True, False, None)] == ["yes", "no", "?"]


LONG = "ssh:a-name-that-is-longer-than-thirty-two-bytes"


def test_a_key_whose_application_was_cut_is_named_by_all_of_it(bench: Bench) -> None:
    at = bench.plug("cut", pin=True, quirks=["rp-ids-cut-at-32"])
    (bench.home / "saved").mkdir()
    folder = str(bench.home / "saved")
    bench.generate("long", "-O", "resident", "-O", f"application={LONG}", *at)
    refused = bench.run(*at, *bench.with_pin("key", "download", "--no-passphrase", "--dir", folder))
    assert (refused.code, "()" in refused.out) == (8, False)
    assert "(credential " in refused.out
    saved = bench.ok(
        *at, *bench.with_pin("key", "download", "--no-passphrase", "--dir", folder, LONG)
    )
    assert f"{LONG} (SHA256:" in saved
    renamed = bench.ok(*at, *bench.with_pin("key", "rename", LONG.removeprefix("ssh:"), "new"))
    assert f"Renamed {LONG} (SHA256:" in renamed
    assert f"Deleted {LONG} (SHA256:" in bench.ok(*at, *bench.with_pin("key", "delete", LONG, "-y"))
    told = [one["name"] for one in bench.json(*at, "token", "info")["departures"]]
    assert "rp-id-cut" in told
    assert "rp-id-cut" in bench.run("doctor").out


def test_the_only_key_of_an_application_is_deleted_by_it_alone(bench: Bench) -> None:
    resident(bench, "work", "-O", "user=one")
    resident(bench, "work2", "-O", "application=ssh:work", "-O", "user=two")
    several = bench.run(*bench.with_pin("key", "delete", "--application", "ssh:work", "-y"))
    assert several.code == 2
    assert "fits 2 keys" in several.err
    bench.ok(*bench.with_pin("key", "delete", "--application", "ssh:work", "two", "-y"))
    alone = bench.ok(*bench.with_pin("key", "delete", "--application", "ssh:work", "-y"))
    assert alone.startswith("Deleted ssh:work / one (SHA256:")
    nothing = bench.run("key", "delete", "-y")
    assert (nothing.code, "name the keys" in nothing.err) == (2, True)


@pytest.mark.parametrize("source", [("--pin-fd", "0"), ("--pin-file", "-")])
def test_a_pin_that_is_read_once_serves_a_proof_that_dies(
    bench: Bench, source: tuple[str, str]
) -> None:
    at = bench.plug("forgets", pin=True, quirks=["deletion-ends-pin-token"])
    for name in ("one", "two"):
        bench.generate(name, "-O", "resident", "-O", f"application=ssh:{name}", *at)
    done = bench.run(
        *at, "key", "delete", "ssh:one", "ssh:two", "-y", *source, stdin=f"{PIN}\n".encode()
    )
    assert (done.code, done.out.count("Deleted ssh:")) == (0, 2)
