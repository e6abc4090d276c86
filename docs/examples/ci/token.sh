#!/bin/sh -e
# A key on a security key signs, and its signature is good.
cd "$(mktemp -d)"
fido2-token -L | grep -q hidraw
ssh-keygen -q -t ed25519-sk -N '' -C ci -f id
echo 'Pay no one.' >letter
ssh-keygen -q -Y sign -n file -f id letter
ssh-keygen -Y check-novalidate -n file -s letter.sig <letter
