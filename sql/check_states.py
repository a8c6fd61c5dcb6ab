#!/usr/bin/env python3
"""Checks that the names in the domains and the functions of sql/migrations, and the
live states in the statements of sql/*.c, are those of schemas/states.yaml.

The last definition of a domain counts, as later migrations replace earlier ones.
"""

import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent

# domain or function -> (list in states.yaml, which of its names)
PLACES = {
    "study_state": ("study_states", "all"),
    "study_reason": ("study_reasons", "all"),
    "trial_state": ("trial_states", "all"),
    "trial_reason": ("trial_reasons", "all"),
    "attempt_state": ("attempt_states", "all"),
    "assay_trial_is_final": ("trial_states", "final"),
}


def wanted(rows, which):
    if which == "all":
        return list(rows)
    return [name for name, row in rows.items() if row["final"] == (which == "final")]


def found(sql, place):
    """Names in the last IN list that follows a definition of `place`."""
    pattern = rf"(?:DOMAIN|FUNCTION)\s+{place}\b[^;]*?(?:VALUE|state)\s+IN\s*\(([^)]*)\)"
    lists = re.findall(pattern, sql, re.S)
    return re.findall(r"'([^']*)'", lists[-1]) if lists else None


def counted(sql):
    """Where the states are columns: what stands there, in order."""
    room = ROOT / "sql"
    table = re.search(r"TABLE trial_count \((.*?)\n\)", sql, re.S).group(1)
    yield "table trial_count", re.findall(r"(\w+)\s+bigint NOT NULL", table)
    yield "trial_count.c", re.findall(r"(\w+) = \1 \+", (room / "trial_count.c").read_text())
    macro = re.search(r"TRIAL_COUNTS(.*?)#define", (room / "store_study.h").read_text().split(
        "#define ASSAY__", 2)[2], re.S).group(1)
    yield "store_study.h", re.findall(r"\bc\.(\w+)", macro)


def main():
    states = yaml.safe_load((ROOT / "schemas" / "states.yaml").read_text())
    sql = "\n".join(p.read_text() for p in sorted((ROOT / "sql" / "migrations").glob("*.sql")))
    faults = 0
    for place, (key, which) in PLACES.items():
        want, have = wanted(states[key], which), found(sql, place)
        if have is None or sorted(want) != sorted(have):
            faults += 1
            print(f"{place}: has {have}, schemas/states.yaml says {want}", file=sys.stderr)
    for place, have in counted(sql):
        if have != list(states["trial_states"]):
            faults += 1
            print(f"{place}: has {have}, not the trial states in their order", file=sys.stderr)
    # A list in a statement: every live state, or those whose trial can be the best.
    lists = [sorted(wanted(states["trial_states"], "live")), ["stopped", "succeeded"]]
    for path in sorted((ROOT / "sql").glob("*.[ch]")):
        for names in re.findall(r"state IN \(([^)]*)\)", path.read_text()):
            if sorted(re.findall(r"'([^']*)'", names)) not in lists:
                faults += 1
                print(f"{path.name}: ({names}) are not the live states", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
