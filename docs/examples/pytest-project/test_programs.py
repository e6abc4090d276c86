import subprocess


def test_ssh_keygen_makes_a_key(fido_environ, virtual_token, tmp_path):
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519-sk", "-N", "", "-f", key], check=True)
    assert key.with_suffix(".pub").read_text().startswith("sk-ssh-ed25519")
