"""Fingerprints against what OpenSSH 9.2's ssh-keygen printed for the same keys."""

from __future__ import annotations

import pytest

from fidokit.errors import UsageError
from fidokit.openssh.keys.fingerprint import bubblebabble, md5, randomart, randomart_title, sha256
from fidokit.openssh.keys.public import parse_public_line

LINE = parse_public_line(
    "sk-ssh-ed25519@openssh.com"
    " AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIDu0VnALMTjFzim4Mpn5KCv79o3mSvHiFBPDuKBJDWmX"
    "AAAABHNzaDo= user0@host"
)
BLOB = LINE.key.blob()

ART_SHA256 = """\
+[ED25519-SK 256]-+
|                 |
|                 |
|    .            |
| . + oo . o      |
|. = =+=oS+       |
| + oo=oooo .     |
|. .  .oB*o. .    |
|   .o==+X+E.     |
|   o. B@o=o      |
+----[SHA256]-----+"""

ART_MD5 = """\
+[ED25519-SK 256]-+
|                 |
|                 |
|   .             |
| .o .            |
|o....=..S        |
|oEoo=.=o         |
|oo+= o..         |
|=o.   .          |
|. oo             |
+------[MD5]------+"""


def test_sha256() -> None:
    assert sha256(BLOB) == "SHA256:K/SWYMgnwrLVoftmkTX+clQm7nKSy7y0fM0CPx7Xim8"


def test_md5() -> None:
    assert md5(BLOB) == "MD5:1a:22:a8:66:a2:c5:e9:3b:15:cf:29:32:f7:81:90:ca"


def test_bubblebabble() -> None:
    expected = "xurid-vifem-megyp-hefic-gitav-sinym-vugim-bikuk-solus-cokad-caxux"
    assert bubblebabble(BLOB) == expected


@pytest.mark.parametrize(("hash_name", "art"), [("SHA256", ART_SHA256), ("md5", ART_MD5)])
def test_randomart(hash_name: str, art: str) -> None:
    assert randomart(BLOB, "[ED25519-SK 256]", hash_name) == art


def test_randomart_of_unknown_hash() -> None:
    with pytest.raises(UsageError, match="crc32"):
        randomart(BLOB, "", "crc32")


@pytest.mark.parametrize(
    ("short_type", "bits", "title"),
    [
        ("ED25519-SK", 256, "[ED25519-SK 256]"),
        ("ED25519-CERT", 256, "[ED25519-CERT]"),
        ("RSA-CERT", 16384, "[RSA-CERT 16384]"),
    ],
)
def test_randomart_title(short_type: str, bits: int, title: str) -> None:
    assert randomart_title(short_type, bits) == title


def test_a_long_title_is_cut_as_stock_cuts_it() -> None:
    title = randomart_title("ED25519-SK-CERT", 256)
    assert randomart(BLOB, title).splitlines()[0] == "+[ED25519-SK-CERT-+"
