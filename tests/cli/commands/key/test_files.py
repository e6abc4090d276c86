"""`fidokit key` show, flags, passphrase, sign and verify: what works on files."""

from __future__ import annotations

from tests.cli.commands.conftest import PASSPHRASE, Bench


def test_show_as_ssh_keygen_prints(bench: Bench) -> None:
    made = bench.generate("k", "-C", "laptop")
    for name in ("k", "k.pub"):
        assert bench.ok("key", "show", name) == f"256 {made['fingerprint']} laptop (ED25519-SK)\n"
    assert bench.ok("key", "show", "--hash", "md5", "k.pub").startswith("256 MD5:")
    assert "+[ED25519-SK 256]-+" in bench.ok("key", "show", "--randomart", "k.pub")
    assert bench.ok("key", "show", "--bubblebabble", "k.pub").split()[1].startswith("x")
    assert bench.ok("key", "show", "--public", "k") == made["public_key"] + "\n"


def test_show_as_json(bench: Bench) -> None:
    made = bench.generate("k", "-C", "laptop")
    (shown,) = bench.json("key", "show", "k.pub")["keys"]
    assert shown.pop("randomart").startswith("+[ED25519-SK 256]-+")
    assert shown.pop("line") in {0, 1}
    assert shown == {
        "fingerprint": made["fingerprint"],
        "comment": "laptop",
        "type": "ED25519-SK",
        "bits": 256,
        "error": "",
    }


def test_show_of_rubbish_is_malformed_input(bench: Bench) -> None:
    (bench.home / "rubbish").write_bytes(b"\x00\xff\x1b[2J" * 100)
    done = bench.run("key", "show", "rubbish")
    assert done.code == 4
    assert "\x1b" not in done.err


def test_show_of_nothing_is_an_error(bench: Bench) -> None:
    done = bench.run("key", "show", "nothing")
    assert done.code in {1, 2}
    assert "nothing" in done.err


def test_show_reads_standard_input(bench: Bench) -> None:
    made = bench.generate("k")
    done = bench.run("key", "show", "-", stdin=(bench.home / "k.pub").read_bytes())
    assert made["fingerprint"] in done.out


def test_flags(bench: Bench) -> None:
    bench.generate("k")
    assert bench.json("key", "flags", "k")["file"]["flags"] == ["touch-required"]
    change = bench.json("key", "flags", "k", "--verify")["file"]
    assert change["before"] == ["touch-required"]
    assert change["after"] == ["touch-required", "verify-required"]
    assert change["changed"] is True
    assert "As it was" in bench.ok("key", "flags", "k", "--verify")
    assert bench.json("key", "flags", "k", "--no-touch", "--no-verify")["file"]["after"] == []
    assert "flags        none" in bench.ok("key", "flags", "k")


def test_passphrase_life(bench: Bench) -> None:
    bench.generate("k")
    secret = str(bench.home / "passphrase")
    bench.ok("key", "passphrase", "k", "--new-passphrase-file", secret, "-a", "1")
    assert bench.run("key", "flags", "k", "--verify").code == 1
    (bench.home / "wrong").write_text("wrong")
    wrong = bench.run("key", "passphrase", "k", "--passphrase-file", "wrong", "--no-passphrase")
    assert wrong.code == 1
    assert bench.json("key", "passphrase", "k", "--passphrase-file", secret, "--no-passphrase") == {
        "path": "k",
        "encrypted": False,
    }
    assert bench.run("key", "passphrase", "k").code == 1


def test_passphrase_on_a_terminal(bench: Bench) -> None:
    bench.generate("k")
    done = bench.sandbox.talk(
        "key", "passphrase", "k", "-a", "1",
        answers=[("(empty for none): ", f"{PASSPHRASE}\n"), ("again: ", f"{PASSPHRASE}\n")],
    )  # fmt: skip
    assert done.code == 0, done.out
    done = bench.sandbox.talk(
        "key", "passphrase", "k",
        answers=[
            ("Passphrase to open k: ", f"{PASSPHRASE}\n"),
            ("(empty for none): ", "\n"),
            ("again: ", "\n"),
        ],
    )  # fmt: skip
    assert done.code == 0, done.out
    assert PASSPHRASE not in done.out


def test_sign_and_verify(bench: Bench) -> None:
    made = bench.generate("k")
    (bench.home / "text").write_text("hello")
    assert bench.json("key", "sign", "-f", "k", "text") == {"signatures": ["text.sig"]}
    good = bench.json("key", "verify", "text", "-k", "k.pub")["verified"]
    assert good.pop("counter") is not None
    assert good == {
        "fingerprint": made["fingerprint"],
        "type": "ED25519-SK",
        "namespace": "file",
        "principal": "",
        "touched": True,
        "verified": False,
    }
    (bench.home / "signers").write_text(f"alice@example.org {made['public_key']}\n")
    assert "by alice@example.org" in bench.ok("key", "verify", "text", "-f", "signers")
    assert bench.run("key", "sign", "-f", "k", "text").code == 9
    (bench.home / "text").write_text("hullo")
    assert bench.run("key", "verify", "text", "-k", "k.pub").code == 1


def test_sign_a_stream(bench: Bench) -> None:
    bench.generate("k")
    done = bench.run("key", "sign", "-f", "k", "-n", "test", stdin=b"message")
    assert done.out.startswith("-----BEGIN SSH SIGNATURE-----\n")
    (bench.home / "s").write_text(done.out)
    args = ("key", "verify", "-s", "s", "-k", "k.pub", "-n")
    assert bench.run(*args, "test", stdin=b"message").code == 0
    assert bench.run(*args, "other", stdin=b"message").code == 1


def test_sign_and_verify_a_stream_named_by_a_dash(bench: Bench) -> None:
    bench.generate("k")
    done = bench.run("key", "sign", "-f", "k.pub", "-O", "hashalg=sha256", "-", stdin=b"message")
    (bench.home / "s").write_text(done.out)
    args = ("key", "verify", "-", "-s", "s", "-k", "k.pub")
    assert bench.run(*args, stdin=b"message").code == 0
    assert bench.run("key", "verify", "-", "-k", "k.pub", stdin=b"message").code == 2


def test_verify_as_ssh_keygen_does(bench: Bench) -> None:
    made = bench.generate("k")
    (bench.home / "text").write_text("hello")
    bench.ok("key", "sign", "-f", "k", "text")
    limits = 'namespaces="file",valid-before="20200101Z"'
    (bench.home / "signers").write_text(f"alice {limits} {made['public_key']}\n")
    args = ("key", "verify", "text", "-f", "signers", "-I", "alice")
    assert bench.run(*args).code == 1
    assert bench.run(*args, "-O", "verify-time=20190101").code == 0
    assert bench.run(*args, "-O", "verify-time=soon").code == 2
    assert bench.run(*args, "-O", "hashalg=sha256").code == 2
    done = bench.run(*args, "-O", "verify-time=20190101", "-r", "k.pub")
    assert done.code == 1
    assert "the key is revoked by line 1" in done.err


def test_sign_options_that_make_no_sense(bench: Bench) -> None:
    bench.generate("k")
    for args in (("-O", "hashalg=md5"), ("-O", "verify-time=2020"), ("-", "text")):
        assert bench.run("key", "sign", "-f", "k", *args).code == 2
    assert bench.run("key", "sign", "-f", "k", "-U", "text").code == 1


def test_sign_without_the_token_says_so(bench: Bench) -> None:
    bench.generate("k")
    bench.sandbox.run("virtual", "delete", "t", "--yes")
    bench.sandbox.run("virtual", "create", "other")
    done = bench.sandbox.run("key", "sign", "-f", "k", stdin=b"message")
    assert done.code == 3
