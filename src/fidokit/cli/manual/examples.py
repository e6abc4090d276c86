"""An example or more for each verb, in its help and its man page; tests run every one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

EXAMPLES: Final[Mapping[str, Sequence[str]]] = {
    "key generate": (
        "fidokit key generate",
        "fidokit key generate -O resident -O application=ssh:work -f ~/.ssh/id_work",
        "fidokit key generate --also virtual:spare -f ~/.ssh/id_both",
    ),
    "key list": ("fidokit key list", "fidokit key list --no-token --sort file"),
    "key download": ("fidokit key download", "fidokit key download work --dir ~/recovered"),
    "key delete": ("fidokit key delete work",),
    "key rename": ("fidokit key rename work 'work laptop'",),
    "key show": (
        "fidokit key show ~/.ssh/id_ed25519_sk",
        "fidokit key show --public ~/.ssh/id_ed25519_sk",
    ),
    "key publish": (
        "fidokit key publish gh: ~/.ssh/id_ed25519_sk.pub",
        "fidokit key publish gl: --title laptop ~/.ssh/id_ed25519_sk.pub",
    ),
    "key passphrase": ("fidokit key passphrase ~/.ssh/id_ed25519_sk",),
    "key flags": (
        "fidokit key flags ~/.ssh/id_ed25519_sk",
        "fidokit key flags --no-touch ~/.ssh/id_ed25519_sk",
    ),
    "key sign": ("fidokit key sign -f ~/.ssh/id_ed25519_sk letter",),
    "key verify": (
        "fidokit key verify -k ~/.ssh/id_ed25519_sk.pub -s letter.sig letter",
        "fidokit key verify -f allowed_signers -I alice -s letter.sig letter",
    ),
    "pin set": ("fidokit pin set",),
    "pin change": ("fidokit pin change",),
    "pin verify": ("fidokit pin verify", "fidokit pin verify --pin-file pin.txt"),
    "pin status": ("fidokit pin status",),
    "pin force-change": ("fidokit pin force-change",),
    "pin min-length": ("fidokit pin min-length 6",),
    "token list": ("fidokit token list", "fidokit token list --long"),
    "token info": ("fidokit token info",),
    "token wink": ("fidokit token wink",),
    "token forget": ("fidokit token forget",),
    "token reset": ("fidokit token reset --list", "fidokit token reset"),
    "config show": ("fidokit config show",),
    "config always-uv": ("fidokit config always-uv on",),
    "config enterprise-attestation": ("fidokit config enterprise-attestation on",),
    "config long-touch-reset": ("fidokit config long-touch-reset on",),
    "bio list": ("fidokit bio list",),
    "bio enroll": ("fidokit bio enroll --name 'right thumb'",),
    "bio rename": ("fidokit bio rename 'left thumb' thumb",),
    "bio delete": ("fidokit bio delete 'left thumb'",),
    "blob list": ("fidokit blob list",),
    "blob get": ("fidokit blob get notes -o notes.txt",),
    "blob set": ("fidokit blob set notes letter",),
    "blob delete": ("fidokit blob delete notes",),
    "secret create": ("fidokit secret create backup.cred",),
    "secret derive": (
        "fidokit secret derive disk.cred --label disk -o disk.key",
        "fidokit secret derive disk.cred --label age --format age -o age.key",
    ),
    "secret show": ("fidokit secret show disk.cred",),
    "attestation show": ("fidokit attestation show made.bin",),
    "attestation verify": (
        "fidokit attestation verify made.bin --key attested.pub --challenge random.bin",
    ),
    "agent add": ("fidokit agent add", "fidokit agent add -t 8h work"),
    "agent list": ("fidokit agent list", "fidokit agent list --long"),
    "agent serve": (
        "fidokit agent serve",
        "fidokit agent serve --pin-cache 10m -a ~/agent.sock ~/.ssh/id_ed25519_sk",
    ),
    "agent session": ("fidokit agent session -s ~/.ssh/id_ed25519_sk 20m -- ssh-add -l",),
    "agent units": ("fidokit agent units", "fidokit agent units --install"),
    "provider path": ("fidokit provider path",),
    "provider install": ("fidokit provider install --into ~/lib",),
    "cert sign": ("fidokit cert sign -s ~/.ssh/id_ed25519_sk -I eve -n eve -V +8h eve.pub",),
    "cert store": ("fidokit cert store ~/.ssh/id_work-cert.pub",),
    "cert show": ("fidokit cert show ~/.ssh/id_work-cert.pub",),
    "git setup": (
        "fidokit git setup -f ~/.ssh/id_ed25519_sk --principal me@example.org",
        "fidokit git setup --undo",
    ),
    "server authorize": (
        "fidokit server authorize ~/.ssh/id_ed25519_sk.pub",
        "fidokit server authorize --verify-required ~/.ssh/id_ed25519_sk.pub",
    ),
    "server check": ("fidokit server check", "fidokit server check --require hardware"),
    "server harden": ("fidokit server harden touch --dry-run",),
    "server revoke-list": ("fidokit server revoke-list --file revoked lost.pub",),
    "server trust-ca": ("fidokit server trust-ca --dry-run ca.pub",),
    "fleet apply": (
        "fidokit fleet apply --dry-run --canary web1",
        "fidokit fleet apply --undo --yes",
    ),
    "fleet check": (
        "fidokit fleet check web1 web2",
        "fidokit fleet check --inventory hosts --require hardware",
    ),
    "fleet init": ("fidokit fleet init --from-audit audits",),
    "fleet plan": (
        "fidokit fleet plan --from-audit audits",
        "fidokit fleet plan --policy policy.toml --from-audit audits --long",
    ),
    "token audit": (
        "fidokit token audit --policy policy.toml",
        "fidokit token audit --log audit.log",
    ),
    "otp enroll": ("fidokit otp enroll", "fidokit otp enroll --qr-file code.svg"),
    "otp verify": ("fidokit otp verify",),
    "otp recover": ("fidokit otp recover",),
    "token record": ("fidokit token record session -- fido2-token -I /dev/hidraw90",),
    "token explain": (
        "fidokit token explain recorded.session",
        "fidokit token explain recorded.session --departures",
    ),
    "virtual create": (
        "fidokit virtual create test",
        "fidokit virtual create older --profile ctap2.1",
    ),
    "virtual list": ("fidokit virtual list",),
    "virtual models": ("fidokit virtual models --search 'Bio Series'",),
    "virtual quirks": ("fidokit virtual quirks",),
    "virtual run": ("fidokit virtual run -- fido2-token -L",),
    "virtual serve": ("fidokit virtual serve spare",),
    "virtual export": ("fidokit virtual export spare spare.token",),
    "virtual import": ("fidokit virtual import exported.token imported",),
    "virtual export-credentials": ("fidokit virtual export-credentials everyday keys.json",),
    "virtual import-credentials": ("fidokit virtual import-credentials spare exported.json",),
    "virtual delete": ("fidokit virtual delete spare",),
    "virtual touch": ("fidokit virtual touch spare", "fidokit virtual touch spare --held"),
    "virtual refuse": ("fidokit virtual refuse spare",),
    "virtual finger": ("fidokit virtual finger spare --mismatch",),
    "virtual unplug": ("fidokit virtual unplug spare",),
    "virtual insert": ("fidokit virtual insert spare",),
    "virtual power-cycle": ("fidokit virtual power-cycle spare",),
    "virtual fault": (
        "fidokit virtual fault spare stall --command makeCredential",
        "fidokit virtual fault spare refuse --set status=0x7f",
    ),
    "virtual set": ("fidokit virtual set spare --quirk opensk",),
    "virtual state": ("fidokit virtual state spare",),
    "virtual wait-for-touch": ("fidokit virtual wait-for-touch spare --seconds 60",),
    "udev print": ("fidokit udev print",),
    "udev install": ("sudo fidokit udev install --group plugdev",),
    "setup": ("fidokit setup", "fidokit setup --answers answers.toml"),
    "ssh-config": (
        "fidokit ssh-config -f ~/.ssh/id_ed25519_sk server.example",
        "fidokit ssh-config --install -f ~/.ssh/id_work me@server.example",
        "fidokit ssh-config --remove",
    ),
    "lost": ("fidokit lost", "fidokit lost virtual:everyday --dry-run"),
    "doctor": ("fidokit doctor",),
    "demo": ("fidokit demo", "fidokit demo --fast --keep tour"),
    "completion": ("fidokit completion --install", "fidokit completion zsh"),
    "help": ("fidokit help", "fidokit help key generate"),
}
"""Commands, by the verb's name in words."""


def examples_of(name: str) -> Sequence[str]:
    """The examples of a verb; none for a group.

    Args:
        name: such as `key generate`.
    """
    return EXAMPLES.get(name, ())
