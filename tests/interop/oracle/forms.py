"""The forms that sites are made of: lines with keys, patterns of users, stacks of PAM."""

from __future__ import annotations

import time

_LINES = r"""
KEY
KEY
  \tKEY
KEY a comment # of mine
# KEY
restrict KEY
command="echo \\"x\\"" KEY
no-pty,KEY
no-pty, KEY
NO-PTY KEY
from="10.0.0.0/8" KEY
from="!10.0.0.5,10.0.0.*,192.0.2.7" KEY
from="10.0.0.0/8,!*" KEY
from="*.example" KEY
from="inside.example" KEY
from="" KEY
from="127.0.0.0/8" KEY
from="::1" KEY
from="10.0.0.5/8" KEY
expiry-time="20200101" KEY
expiry-time="20991231" KEY
expiry-time="TODAY" KEY
expiry-time="20200101Z" KEY
expiry-time="20991231",expiry-time="20200101" KEY
expiry-time="x" KEY
verify-required KEY
no-verify-required KEY
VERIFY-REQUIRED KEY
verify-required,no-touch-required KEY
verify-required,no-verify-required KEY
verify-required,command="a,no-verify-required" KEY
no-touch-required,restrict KEY
no-touch-required KEY
touch-required KEY
permitopen="h:22" KEY
permitopen="h: 22" KEY
permitopen="any" KEY
permitopen="none" KEY
permitlisten="22" KEY
permitlisten="any" KEY
permitlisten="h:x" KEY
tunnel="0" KEY
tunnel="x" KEY
environment="A=b" KEY
environment="A" KEY
agent-forwarding KEY
principals="alice" KEY
cert-authority KEY
unknown KEY
no-unknown KEY
command="a" command="b" KEY
from="10.0.0.0/8 KEY
KEY\r
ssh-rsa BLOB
ssh-ed25519 BLOB
ssh-ed25519-cert-v01@openssh.com BLOB
BLOB
ssh-ed25519 \x0bBLOB
ssh-ed25519  BLOB==
ssh-ed25519 BLOBx
"ssh-ed25519" BLOB
\xef\xbb\xbfKEY
\x00KEY
KEY\x00
\x0cKEY
1 KEY
256 KEY
restrict,pty,KEY
X11-forwarding KEY
user-rc,no-user-rc KEY
\x0bKEY
from="10.0.0.0/8"\tKEY
@cert-authority KEY
ecdsa-sha2-nistp256 BLOB
sk-ssh-ed25519@openssh.com BLOB
<token>
"""
"""One form a line, with Python's escapes; KEY is a key, BLOB its base64 alone, TODAY a date."""


def key_lines(name: str) -> list[str]:
    """Lines with the key of a name, in forms that sshd may take or not."""
    ordinary = f"<{name}>"
    text = _LINES.replace("KEY", ordinary).replace("BLOB", f"<{name}:blob>")
    text = text.replace("TODAY", time.strftime("%Y%m%d", time.gmtime()))
    return [
        *(line.encode().decode("unicode_escape") for line in text.splitlines()[1:]),
        f'environment="{"A" * 9000}=b" {ordinary}',
        f"{'#' * 9000}\n{ordinary}",
        f"{ordinary} {'c' * 9000}",
        f"{' ' * 9000}{ordinary}",
        f'command="{"x" * 70000}" {ordinary}',
    ]


_STACKS = """\
@include common-auth
account required pam_permit.so

auth required pam_permit.so
account required pam_permit.so

auth required pam_deny.so
account required pam_permit.so

auth sufficient pam_rootok.so
@include common-auth
@include common-account

auth required pam_unix.so nodelay
account required pam_unix.so

auth required pam_unix.so nodelay nullok
account required pam_unix.so

auth sufficient pam_unix.so nodelay nullresetok
auth required pam_deny.so
account required pam_unix.so

auth [success=1 default=ignore] pam_unix.so nodelay
auth requisite pam_deny.so
auth required pam_permit.so
auth optional pam_cap.so
account required pam_unix.so

auth [success=1 default=1] pam_unix.so nodelay
auth requisite pam_deny.so
auth required pam_permit.so
account required pam_permit.so

auth [default=2] pam_unix.so nodelay
auth requisite pam_deny.so
auth required pam_permit.so
account required pam_permit.so

auth optional pam_unix.so nodelay
auth required pam_permit.so
account required pam_permit.so

auth optional pam_unix.so nodelay
account required pam_permit.so

auth required pam_google_authenticator.so secret=/srv/secret user=root
account required pam_permit.so

auth requisite pam_google_authenticator.so secret=/srv/secret user=root
auth sufficient pam_permit.so
@include common-auth
@include common-account

auth required pam_google_authenticator.so nullok
@include common-auth
@include common-account

auth required pam_unix.so nodelay
auth required pam_google_authenticator.so secret=/srv/secret user=root
account required pam_unix.so

auth sufficient pam_succeed_if.so user = alice
@include common-auth
@include common-account

auth sufficient pam_succeed_if.so quiet user = nobody
auth required pam_deny.so
@include common-account

auth sufficient pam_localuser.so
auth required pam_deny.so
account required pam_localuser.so

auth required pam_faillock.so preauth
auth sufficient pam_unix.so nodelay
auth [default=die] pam_faillock.so authfail
@include common-account

auth substack common-auth
auth required pam_permit.so
@include common-account

auth include common-auth
account include common-account

-auth sufficient pam_sss.so
@include common-auth
@include common-account

auth sufficient pam_exec.so quiet /bin/true
@include common-auth
@include common-account

auth required pam_exec.so quiet /bin/false
@include common-auth
@include common-account

account required pam_permit.so

auth [success=ok default=bad] pam_unix.so nodelay \\
  nullok # more
account required pam_permit.so

auth [user_unknown=ok auth_err=done default=ignore] pam_unix.so nodelay
auth required pam_permit.so
account required pam_permit.so

auth required pam_unix.so nodelay
auth required nonsense
account sufficient pam_localuser.so

auth perhaps pam_permit.so
account required pam_permit.so

@include nowhere
account required pam_permit.so

auth sufficient pam_listfile.so item=user sense=allow file=/srv/listed onerr=fail
auth required pam_deny.so
account required pam_permit.so

auth sufficient pam_listfile.so item=user sense=deny file=/srv/listed onerr=succeed
auth required pam_deny.so
account required pam_permit.so

auth sufficient pam_rhosts.so
auth required pam_deny.so
account required pam_permit.so

auth sufficient pam_shells.so
auth required pam_deny.so
account sufficient pam_shells.so

auth sufficient pam_access.so accessfile=/srv/access
auth required pam_deny.so
account required pam_permit.so

auth required pam_unix.so nodelay broken_shadow
account required pam_unix.so broken_shadow

auth sufficient pam_wheel.so trust
@include common-auth
@include common-account

auth [success=done new_authtok_reqd=done default=die] pam_unix.so nodelay
account [default=ignore] pam_unix.so
account required pam_permit.so

auth required pam_warn.so
account required pam_warn.so

auth sufficient pam_userdb.so db=/srv/none
@include common-auth
@include common-account

auth required pam_env.so
account required pam_permit.so

auth sufficient pam_faildelay.so delay=1
auth required pam_deny.so
account required pam_permit.so

auth [success=reset default=ok] pam_unix.so nodelay
auth optional pam_permit.so
account required pam_permit.so
"""

STACKS = tuple(f"{block.strip()}\n" for block in _STACKS.split("\n\n"))
"""What PAM is to ask for sshd."""
