"""What the benchmarks share: a private assayd, HTTP calls, figures and their table."""

import argparse
import hashlib
import http.client
import json
import os
import pathlib
import platform
import re
import signal
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from harness.assayd import Assayd  # noqa: E402


def parser(description):
    """With the options every benchmark has; from now on a SIGTERM ends what it started, too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    made = argparse.ArgumentParser(description=description,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", action="store_true", help="print JSON instead of a table")
    made.add_argument("--build", default=os.environ.get("ASSAY_BUILD", str(ROOT / "build")),
                      help="build folder (default: build)")
    return made


def arguments(description, **extra):
    made = parser(description)
    for name, (default, text) in extra.items():
        made.add_argument("--" + name.replace("_", "-"), type=type(default), default=default,
                          help=f"{text} (default: {default})")
    return made.parse_args()


class Client:
    """One keep-alive connection; not for several threads."""

    def __init__(self, daemon):
        url = urllib.parse.urlparse(daemon.url)
        self.connection = http.client.HTTPConnection(url.hostname, url.port, timeout=120)
        self.headers = {"Authorization": f"Bearer {daemon.token}",
                        "Content-Type": "application/json"}

    def call(self, method, path, body=None):
        text = None if body is None else json.dumps(body)
        self.connection.request(method, path, text, self.headers)
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {data[:400]!r}")
        return json.loads(data) if data else None

    def close(self):
        self.connection.close()


def percentile(values, share):
    """Nearest-rank percentile of a non-empty list."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, int(share * len(ordered) + 0.999999) - 1))]


def figure(name, value, unit, better, goal=None):
    return {"name": name, "value": round(value, 4), "unit": unit, "goal": goal, "better": better}


def machine():
    model = "unknown processor"
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {"processor": model, "cores": os.cpu_count(), "system": platform.platform()}


def report(options, bench, figures, notes=()):
    """Prints the figures; notes are sentences on what was left out and why."""
    if options.json:
        print(json.dumps({"bench": bench, "machine": machine(), "figures": figures,
                          "notes": list(notes)}))
        return
    print(f"{bench} on {machine()['processor']}, {os.cpu_count()} cores")
    width = max([28] + [len(row["name"]) for row in figures])
    for row in figures:
        goal = "" if row["goal"] is None else f"  goal {row['goal']} ({row['better']} is better)"
        print(f"  {row['name']:{width}} {row['value']:>12} {row['unit']}{goal}")
    for note in notes:
        print(f"  {note}")


def build_mark(build):
    """Names the suggestion worker that is measured: results of two do not belong together."""
    program = pathlib.Path(build).resolve() / "bin" / "assay-suggest"
    return hashlib.sha256(program.read_bytes()).hexdigest()[:8]


def markdown_table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1)] + rows
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def write_section(path, name, text):
    """Puts the text in place of the file's section of that name, or at its end."""
    path = pathlib.Path(path)
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    section = f"{begin}\n\n{text.strip()}\n\n{end}"
    old = path.read_text() if path.exists() else ""
    new, found = re.subn(re.escape(begin) + ".*?" + re.escape(end), lambda match: section, old,
                         flags=re.DOTALL)
    path.write_text(new if found else (old.rstrip() + "\n\n" if old else "") + section + "\n")
