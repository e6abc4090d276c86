import asyncio

import asyncssh


def test_login_with_a_key_on_the_token(fido_devices):
    key = asyncssh.generate_private_key("sk-ssh-ed25519@openssh.com")
    allowed = asyncssh.import_authorized_keys(key.export_public_key().decode())

    async def login():
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[host_key],
            authorized_client_keys=allowed,
            process_factory=lambda process: process.exit(0),
        )
        async with (
            server,
            asyncssh.connect(
                "127.0.0.1",
                server.get_port(),
                username="ada",
                client_keys=[key],
                known_hosts=None,
            ) as connection,
        ):
            return await connection.run()

    assert asyncio.run(login()).exit_status == 0
