"""The shell's side of changing authorized_keys on another machine: POSIX sh, nothing else.

Two scripts for one `sh` that reads them from standard input, as bytes of one ssh connection: a
second connection might cost a second touch. The first sends the file. The second takes the new
text and puts it in place, if the file still is what was sent. Each is one compound command, which
the shell has read to its end before it runs, and the text is sent only once it says that it waits:
a shell that reads its script in blocks then cannot swallow any of it.
"""

from __future__ import annotations

import shlex
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
    if [ -h "$file" ]; then wrong='is a symbolic link that leads nowhere'
    elif [ -e "$file" ] && [ ! -f "$file" ]; then wrong='is no regular file'
    elif [ -e "$file" ] && [ ! -r "$file" ]; then wrong='may not be read'
    elif [ -e "$file" ] && [ ! -w "$file" ]; then wrong='may not be written to'
    elif [ -e "$folder" ] && [ ! -w "$folder" ]; then
        wrong='is in a folder that may not be written to'
    fi
    sum=none
    [ -n "$wrong" ] || [ ! -f "$file" ] || sum=$(cksum <"$file")
    printf '%s\\n' '@HELLO@' "$wrong" "$sum" "$(ssh -V 2>&1 | head -n 1)"
    sshd -T 2>/dev/null | grep -i '^pubkeyacceptedalgorithms '
    printf '\\n'
    [ "$sum" = none ] || cat "$file"
    printf '%s\\n' '@END@'
}
fidokit_read
"""

_WRITE: Final = """\
fidokit_put() {
    if [ "$sum" != none ]; then
        [ "$(cksum <"$file" 2>/dev/null)" = "$sum" ] || { echo @CHANGED@; return; }
        cp -p "$file" "$new.mode" && chmod go-w "$new.mode" &&
            cat "$new" >"$new.mode" && mv -f "$new.mode" "$new"
    elif [ -e "$file" ]; then echo @CHANGED@; return
    fi
    if mv -f "$new" "$file"; then echo @DONE@; else echo '@FAILED@ cannot be replaced'; fi
}
fidokit_write() {
    if [ ! -d "$folder" ]; then mkdir "$folder" && chmod 700 "$folder"; fi
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


def read_script(path: str, end: str) -> bytes:
    """The script that sends a file.

    Args:
        path: as sshd_config's AuthorizedKeysFile: absolute, or below the home folder.
        end: a line that is in no file: it says where the text ends.
    """
    return _filled(_READ, FILE=shlex.quote(path), HELLO=HELLO, END=end)


def write_script(size: int) -> bytes:
    """The script that takes `size` bytes once it has said READY, and puts them in place.

    It answers DONE, CHANGED (the file is not what was read; nothing was done) or FAILED and why.
    """
    return _filled(_WRITE, SIZE=str(size), READY=READY, DONE=DONE, CHANGED=CHANGED, FAILED=FAILED)


def _filled(script: str, **values: str) -> bytes:
    for name, value in values.items():
        script = script.replace(f"@{name}@", value)
    return script.encode()
