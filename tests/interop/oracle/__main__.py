"""Many sites: `python -m tests.interop.oracle ROOT FIRST COUNT`, as root.

Prints each verdict that a login disproves, with its site, and a summary.
"""

from __future__ import annotations

import sys
import time
from collections import Counter

from tests.interop.oracle.generator import generate
from tests.interop.oracle.trial import cell


def main(root: str, first: int, count: int) -> int:
    """Run them; 1 if a verdict was wrong."""
    tally: Counter[str] = Counter()
    overcautious: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    wrong = 0
    began = time.monotonic()
    with cell(root) as it:
        print(f"{root}: {it.banner}; seeds {first} to {first + count - 1}", flush=True)
        for seed in range(first, first + count):
            outcome = it.judge(generate(seed, it.version))
            tally["sites"] += 1
            tally["not taken by sshd"] += "refused" in outcome.result
            tally["failed trials"] += bool(outcome.failure)
            tally["said nothing"] += "said" in outcome.result
            tally["logins tried"] += len(outcome.result.get("logins", ()))
            tally["logins that got in"] += sum(
                bool(login["by"]) for login in outcome.result.get("logins", ())
            )
            if outcome.failure or "said" in outcome.result:
                print(f"== seed {seed}: {outcome.failure or outcome.result['said']}", flush=True)
            for _, rule, holds, broken in outcome.pairs():
                tally[f"{'holds' if holds else 'not'}, {'broken' if broken else 'kept'}"] += 1
                if not holds and not broken:
                    overcautious[rule] += 1
                    overcautious.update(f"{rule} {f}" for f in outcome.site.features)
            reasons.update(outcome.needless())
            for text in outcome.false_holds():
                wrong += 1
                print(f"== FALSE HOLDS seed {seed}: {text}\n{outcome.site.to_json()}", flush=True)
        print(f"cpu {it.cpu:.0f} s, {time.monotonic() - began:.0f} s in all")
    print("\n".join(f"{number:6d} {name}" for name, number in tally.items()))
    print("kept, and not said to hold:", overcautious.most_common(25))
    for reason, number in reasons.most_common(40):
        print(f"{number:6d} {reason}")
    print(f"{wrong} false verdicts")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
