"""Runs a command on a terminal and types each answer when its prompt shows.

Standard input is JSON: {"command": "...", "answers": [["PIN", "1234"], ...]}. What the terminal
showed is printed; the exit status is the command's.
"""

import json
import os
import pty
import re
import select
import sys

LIMIT_S = 100


def main() -> int:
    """Do it; returns the command's exit status."""
    wanted = json.load(sys.stdin)
    child, terminal = pty.fork()
    if child == 0:
        os.execvp("bash", ["bash", "-c", wanted["command"]])
    shown, at = "", 0
    answers = list(wanted["answers"])
    while select.select([terminal], [], [], LIMIT_S)[0]:
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        if not data:
            break
        shown += data.decode("utf-8", "replace")
        while answers and (found := re.compile(answers[0][0]).search(shown, at)):
            at = found.end()
            os.write(terminal, answers.pop(0)[1].encode() + b"\n")
    sys.stdout.write(shown.replace("\r\n", "\n"))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
