#!/usr/bin/env python3
"""Checks the house rules that a compiler can not: who may include whom.

Rooms are ordered in docs/architecture.md; an include that goes up the list, or
of a library that the room may not use, is an error.  Also: only sql/ includes
libpq, and every file of ours starts with a comment or an include.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# room -> (rooms it may include, headers of libraries it may include)
RULES = {
    "common": ([], ["jansson.h"]),
    "schemas": (["common"], ["jansson.h", "uthash.h", "yaml.h"]),
    "suggest": (["common", "schemas"], ["jansson.h", "uthash.h", "gsl/", "cblas.h", "nlopt.h"]),
    "sql": (["common", "schemas"], ["jansson.h", "uthash.h", "libpq-fe.h"]),
    "client": (["common"], ["jansson.h", "curl/"]),
    "controller": (["common", "schemas", "suggest", "sql"],
                   ["jansson.h", "uthash.h", "uv.h", "gnutls/", "curl/"]),
    "trial-runner": (["common", "schemas", "client"], ["jansson.h", "uthash.h", "curl/"]),
    "api": (["common", "schemas", "suggest", "sql", "controller"],
            ["jansson.h", "uthash.h", "microhttpd.h", "gnutls/", "uv.h"]),
    "cli": (["common", "schemas", "client"], ["jansson.h"]),
}
# Folders of a room with a rule of their own: libraries they may use besides the room's,
# and the only files of other folders that may include them.
FOLDERS = {
    "suggest/relay": (["gnutls/"], ["suggest/assay_suggest.c", "tests/"]),
    "suggest/remote": (["curl/"], ["suggest/assay_suggest.c", "tests/"]),
    "trial-runner/bundle": (["mbedtls/"], ["tests/"]),
}
# Folders whose order counts, too: folder -> the folders of the same room it may include.
# What stands in the room itself may be included by all of them, and includes none.
BELOW = {
    "controller/kube_api": [],
    "controller/kubernetes": ["controller/kube_api"],
    "controller/local": [],
    "controller/host": [],
    "controller/engine": ["controller/host"],
}
LIBRARIES = sorted({h for _, headers in RULES.values() for h in headers} |
                   {h for headers, _ in FOLDERS.values() for h in headers})
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def faults_of(path):
    room = path.relative_to(ROOT).parts[0]
    rooms, libraries = RULES[room]
    here = path.relative_to(ROOT).as_posix()
    libraries = libraries + [h for folder, (more, _) in FOLDERS.items()
                             if here.startswith(folder + "/") for h in more]
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, name = match.groups()
        where = f"{path.relative_to(ROOT)}:{number}"
        other = name.split("/")[0]
        if quote == '"':
            if other not in RULES:
                yield f'{where}: "{name}" does not name its room'
            elif other != room and other not in rooms:
                yield f"{where}: {room}/ may not include {name}"
            elif any(name.startswith(folder + "/") and
                     not here.startswith((folder + "/", *users))
                     for folder, (_, users) in FOLDERS.items()):
                yield f"{where}: only its own folder and its users may include {name}"
            elif not here.startswith((folder := name.rpartition("/")[0]) + "/") and \
                    name.endswith("internal.h"):
                yield f"{where}: {name} is the inside of {folder}/"
            elif other == room and folder in BELOW and \
                    folder not in (mine := here.rpartition("/")[0], *BELOW.get(mine, [])):
                yield f"{where}: {mine}/ may not include {name}"
        elif any(name.startswith(h) for h in LIBRARIES) and \
                not any(name.startswith(h) for h in libraries):
            yield f"{where}: {room}/ may not use <{name}>"


def main():
    faults = []
    for room in RULES:
        for path in sorted((ROOT / room).rglob("*.[ch]")):
            faults += faults_of(path)
    print("\n".join(faults) if faults else "layers: fine")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
