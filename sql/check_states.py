#!/usr/bin/env python3
"""Checks that the names in the CHECK constraints, the partial indexes and the
triggers of sql/migrations are those of schemas/states.yaml.

The last definition of a constraint or index counts, as later migrations replace
earlier ones.
"""

import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent

# constraint, index or trigger -> (list in states.yaml, which of its names)
PLACES = {
    "study_state_check": ("study_states", "all"),
    "study_live": ("study_states", "live"),
    "study_reason_check": ("study_reasons", "all"),
    "trial_state_check": ("trial_states", "all"),
    "trial_live": ("trial_states", "live"),
    "trial_final": ("trial_states", "final"),
    "trial_reason_check": ("trial_reasons", "all"),
    "attempt_state_check": ("attempt_states", "all"),
    "attempt_live": ("attempt_states", "live"),
    "attempt_reason_check": ("trial_reasons", "all"),
}


def wanted(rows, which):
    if which == "all":
        return list(rows)
    return [name for name, row in rows.items() if row["final"] == (which == "final")]


def found(sql, place):
    """Names in the last IN list that follows a definition of `place`."""
    pattern = (rf"(?:CONSTRAINT|INDEX|TRIGGER)\s+{place}\b[^;]*?"
               r"(?:state|reason)\s+IN\s*\(([^)]*)\)")
    lists = re.findall(pattern, sql, re.S)
    return re.findall(r"'([^']*)'", lists[-1]) if lists else None


def main():
    states = yaml.safe_load((ROOT / "schemas" / "states.yaml").read_text())
    sql = "\n".join(p.read_text() for p in sorted((ROOT / "sql" / "migrations").glob("*.sql")))
    faults = 0
    for place, (key, which) in PLACES.items():
        want, have = wanted(states[key], which), found(sql, place)
        if have is None or sorted(want) != sorted(have):
            faults += 1
            print(f"{place}: has {have}, schemas/states.yaml says {want}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
