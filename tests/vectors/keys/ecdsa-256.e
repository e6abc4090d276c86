---- BEGIN SSH2 PUBLIC KEY ----
Comment: "256-bit ECDSA, converted by root@vm from OpenSSH"
AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBPLHTK+MoxRF7ebHsH
/NKUPNtrDfKnTJUZHWGkjmszfyeuT+J8dD+ZtY0rJAP41DvtTQ6VbyT8qqh5YzKcpZkfg=
---- END SSH2 PUBLIC KEY ----
