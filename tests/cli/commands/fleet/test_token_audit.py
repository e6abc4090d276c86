"""`fidokit token audit`: verdicts, the exit status, and a log that stock ssh-keygen verifies."""

from __future__ import annotations

import json
import subprocess

import pytest
from tests.cli.commands.conftest import Bench

RULES = "[token-rules]\nmin-pin-length = 4\nenterprise-attestation = false\n"


def write(bench: Bench, text: str) -> str:
    path = bench.home / "policy.toml"
    path.write_text(text)
    return str(path)


def test_what_holds_and_what_does_not(bench: Bench) -> None:
    policy = write(bench, RULES)
    done = bench.run("token", "audit", "--policy", policy)
    assert done.code == 0, done.err
    assert "holds  min-pin-length: the token accepts PINs of 4 or more" in done.out
    policy = write(bench, RULES.replace("4", "9") + "always-uv = true\n")
    data = bench.json("token", "audit", "--policy", policy, code=10)
    assert {check["rule"]: check["verdict"] for check in data["audit"]["checks"]} == {
        "min-pin-length": "unknown",
        "always-uv": "broken",
        "enterprise-attestation": "holds",
    }
    assert (data["audit"]["holds"], data["log"]) == (False, None)


def test_its_advice_makes_it_hold(bench: Bench) -> None:
    policy = write(bench, "[token-rules]\nalways-uv = true\nmin-pin-length = 6\n")
    data = bench.json("token", "audit", "--policy", policy, code=10)
    for check in data["audit"]["checks"]:
        command = check["find_out"].partition("fidokit ")[2]
        bench.ok(*bench.with_pin(*command.split()))
    assert bench.json("token", "audit", "--policy", policy)["audit"]["holds"]


def test_a_model_that_is_not_proved_is_unknown(bench: Bench) -> None:
    policy = write(bench, '[token-rules]\nlevel = "L1"\n')
    for more in ([], ["--no-touch"]):
        done = bench.run("token", "audit", "--policy", policy, *more)
        assert done.code == 10
        assert "unknown  level: its model is not proved: " in done.out


def test_a_policy_without_rules_is_refused(bench: Bench) -> None:
    done = bench.run("token", "audit", "--policy", write(bench, ""))
    assert done.code == 2
    assert "has no rules for tokens" in done.err


@pytest.mark.interop
def test_the_log_is_signed_and_stock_ssh_keygen_verifies_it(bench: Bench) -> None:
    key = bench.generate(".ssh/id_audit")
    policy = write(bench, f'{RULES}[audit-log]\nsigners = ["{key["public_key"]}"]\n')
    log = bench.home / "audit.log"
    for number in (1, 2):
        data = bench.json("token", "audit", "--policy", policy, "--log", str(log))
        assert data["log"]["entries"] == number
        assert data["log"]["signer"] == key["fingerprint"]
    assert [json.loads(line)["holds"] for line in log.read_text().splitlines()] == [True, True]
    (bench.home / "signers").write_text(f"audit {key['public_key']}\n")
    words = "ssh-keygen -Y verify -f signers -I audit -n fidokit-audit -s audit.log.sig <audit.log"
    done = subprocess.run(["sh", "-c", words], cwd=bench.home, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    log.write_text(log.read_text().replace("true", "false"))
    done = subprocess.run(["sh", "-c", words], cwd=bench.home, capture_output=True, check=False)
    assert done.returncode != 0
    refused = bench.run("token", "audit", "--policy", policy, "--log", str(log))
    assert refused.code == 1
    assert "does not hold" in refused.err


def test_who_signs_is_the_policys_choice(bench: Bench) -> None:
    bench.generate(".ssh/id_other")
    log = str(bench.home / "log")
    done = bench.run("token", "audit", "--policy", write(bench, RULES), "--log", log)
    assert done.code == 2
    assert "names no key that signs the log" in done.err
    signer = "SHA256:" + "A" * 43
    policy = write(bench, f'{RULES}[audit-log]\nsigners = ["{signer}"]\n')
    done = bench.run("token", "audit", "--policy", policy, "--log", log)
    assert "no key that the policy lets sign" in done.err
    other = str(bench.home / ".ssh" / "id_other")
    done = bench.run("token", "audit", "--policy", policy, "--log", log, "--signer", other)
    assert done.code == 2
    assert "does not let" in done.err
