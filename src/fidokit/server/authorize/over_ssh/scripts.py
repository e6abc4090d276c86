"""What the shell at the other end of ssh runs: POSIX sh, as small systems have it, too."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Final

HELLO: Final = "fidokit-remote-1"
READY: Final = "ready"
DONE: Final = "done"
CHANGED: Final = "changed"
FAILED: Final = "failed"

_READ: Final = """\
fidokit_read() {
    umask 077
    LC_ALL=C; export LC_ALL
    PATH=$PATH:/usr/sbin:/sbin; export PATH
    file=@FILE@
    case $file in /*) ;; *) file=$HOME/$file ;; esac
    links=0
    while [ -h "$file" ] && [ $links -lt 20 ]; do
        link=$(ls -ld "$file"); link=${link#* -> }
        case $link in /*) file=$link ;; *) file=${file%/*}/$link ;; esac
        links=$((links + 1))
    done
    folder=${file%/*}
    wrong=
    fixed=
    if [ -h "$file" ]; then wrong='is a symbolic link that leads nowhere'
    elif [ -e "$file" ] && [ ! -f "$file" ]; then wrong='is not a regular file'
    elif [ -e "$file" ] && [ ! -r "$file" ]; then wrong='may not be read'
    elif [ -e "$file" ] && [ ! -w "$file" ]; then fixed='may not be written to'
    elif [ -e "$folder" ] && [ ! -w "$folder" ]; then
        fixed='is in a folder that may not be written to'
    fi
    sum=none
    [ -n "$wrong" ] || [ ! -f "$file" ] || sum=$(cksum <"$file")
    printf '%s\\n' '@HELLO@' "$wrong" "$fixed" "$sum"
    [ "$sum" = none ] || cat "$file"
    printf '%s\\n' '@END@'
}
fidokit_read
"""

_WRITE: Final = """\
fidokit_put() {
    if [ "$sum" != none ]; then
        [ "$(cksum <"$file" 2>/dev/null)" = "$sum" ] || { echo @CHANGED@; return; }
        cp -p "$file" "$new.mode" && chmod go-w@READABLE@ "$new.mode" &&
            cat "$new" >"$new.mode" && mv -f "$new.mode" "$new"
    elif [ -e "$file" ]; then echo @CHANGED@; return
    else chmod @FILEMODE@ "$new"
    fi
    if mv -f "$new" "$file"; then echo @DONE@; else echo '@FAILED@ cannot be replaced'; fi
}
fidokit_write() {
    if [ ! -d "$folder" ]; then mkdir "$folder" && chmod @FOLDERMODE@ "$folder"; fi
    new=$file.fidokit.$$
    trap 'rm -f "$new" "$new.mode"; rmdir "$lock" 2>/dev/null' 0
    trap 'exit 1' 1 2 15
    lock=
    echo @READY@
    { head -c @SIZE@ 2>/dev/null || dd bs=1 count=@SIZE@ 2>/dev/null; } >"$new"
    if [ "$(($(wc -c <"$new")))" -ne @SIZE@ ]; then
        echo '@FAILED@ cannot be written: is the disk full?'
    elif command -v flock >/dev/null 2>&1; then
        ( flock 9; fidokit_put ) 9<"$folder"
    else
        tries=0
        until mkdir "$file.lock" 2>/dev/null || [ $tries -ge 10 ]; do
            sleep 1
            tries=$((tries + 1))
        done
        lock=$file.lock
        fidokit_put
        rmdir "$lock"
    fi
    rm -f "$new"
    command -v restorecon >/dev/null 2>&1 && restorecon -F "$folder" "$file" 2>/dev/null
    :
}
fidokit_write
"""


_FACTS: Final = """\
fidokit_facts() {
    LC_ALL=C; export LC_ALL
    PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin; export PATH
    printf '%s\\n' '@HELLO@'
    printf 'user %s\\n' "$(id -un)"
    printf 'uid %s\\n' "$(id -u)"
    printf 'home %s\\n' "$HOME"
    printf 'connection %s\\n' "$SSH_CONNECTION"
    printf 'system %s\\n' "$(uname -s 2>/dev/null)"
    printf 'now %s\\n' "$(date +%s)"
    [ ! -f /etc/openwrt_release ] || echo 'openwrt yes'
    pid=$$
    steps=0
    while [ "${pid:-0}" -gt 1 ] && [ -r "/proc/$pid/status" ] && [ $steps -lt 40 ]; do
        name=
        parent=0
        while read -r field value; do
            case $field in
                Name:) name=$value ;;
                PPid:) parent=$value ;;
            esac
        done <"/proc/$pid/status"
        case $name in
            sshd*|dropbear*|tinysshd*)
                printf 'server %s\\n' "$name"
                printf 'started %s\\n' "$(tr '\\000\\n' '  ' <"/proc/$pid/cmdline")"
                ;;
        esac
        pid=$parent
        steps=$((steps + 1))
    done
    printf '%s\\n' '@END@'
}
fidokit_facts
"""

_SETTINGS: Final = """\
fidokit_try() {
    said=$("$sshd" "$@" 2>&1)
    case $said in
        *[Pp]ubkey[Aa]uthentication*) return 0 ;;
    esac
    return 1
}
fidokit_settings() {
    LC_ALL=C; export LC_ALL
    PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin; export PATH
    printf '%s\\n' '@HELLO@'
    sshd=
    for candidate in @PROGRAM@ /usr/sbin/sshd /usr/local/sbin/sshd /usr/bin/sshd; do
        [ -n "$sshd" ] || [ ! -x "$candidate" ] || sshd=$candidate
    done
    [ -n "$sshd" ] || sshd=$(command -v sshd)
    if [ -z "$sshd" ]; then
        echo 'status missing'
    else
        printf 'version %s\\n' "$("$sshd" -V 2>&1 | grep OpenSSH_ | head -n 1)"
        scratch=$(umask 077; mktemp -d 2>/dev/null)
        if fidokit_try -T @ARGUMENTS@ -C @SPEC@ || fidokit_try -G @ARGUMENTS@ -C @SPEC@ || {
            [ -n "$scratch" ] && ssh-keygen -q -t ed25519 -N '' -f "$scratch/key" >/dev/null 2>&1 &&
                fidokit_try -T @ARGUMENTS@ -C @SPEC@ -h "$scratch/key"
        }; then echo 'status told'
        else echo 'status hidden'
        fi
        [ -z "$scratch" ] || rm -rf "$scratch"
        printf '%s\\n' "$said" | sed 's/^/said /'
    fi
    printf '%s\\n' '@END@'
}
fidokit_settings
"""


def facts_script() -> bytes:
    """The script that says who one is there and what serves logins, a word and its value a line.

    The line @END@ is the caller's to fill in.
    """
    return _filled(_FACTS, HELLO=HELLO)


def settings_script(program: str, arguments: Sequence[str], spec: str) -> bytes:
    """The script that asks sshd there for its settings; the line @END@ is the caller's to fill in.

    Args:
        program: the server's path; empty to look for it.
        arguments: those that it was started with.
        spec: the conditions for -C.
    """
    return _filled(
        _SETTINGS,
        HELLO=HELLO,
        PROGRAM=shlex.quote(program),
        ARGUMENTS=" ".join(map(shlex.quote, arguments)),
        SPEC=shlex.quote(spec),
    )


def read_script(path: str, end: str) -> bytes:
    """The script that sends a file.

    Args:
        path: as sshd_config's AuthorizedKeysFile: absolute, or below the home folder.
        end: a line that is in no file: it says where the text ends.
    """
    return _filled(_READ, HELLO=HELLO, END=end, FILE=shlex.quote(path))


def write_script(size: int, *, for_all: bool = False) -> bytes:
    """The script that takes `size` bytes once it has said READY, and puts them in place.

    It answers DONE, CHANGED (the file is not what was read; nothing was done) or FAILED and why.

    Args:
        for_all: whether everybody is to be able to read the file, as sshd needs it where root keeps
            the keys of others.
    """
    return _filled(
        _WRITE,
        SIZE=str(size),
        READY=READY,
        DONE=DONE,
        CHANGED=CHANGED,
        FAILED=FAILED,
        READABLE=",a+r" if for_all else "",
        FILEMODE="644" if for_all else "600",
        FOLDERMODE="755" if for_all else "700",
    )


def _filled(script: str, **values: str) -> bytes:
    for name, value in values.items():
        script = script.replace(f"@{name}@", value)
    return script.encode("utf-8", "surrogateescape")
