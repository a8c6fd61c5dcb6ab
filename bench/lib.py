"""What the benchmarks share: a private assayd, HTTP calls, figures and their table."""

import argparse
import http.client
import json
import os
import pathlib
import platform
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from harness.assayd import Assayd  # noqa: E402


def arguments(description, **extra):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--build", default=os.environ.get("ASSAY_BUILD", str(ROOT / "build")),
                        help="build folder (default: build)")
    for name, (default, text) in extra.items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(default), default=default,
                            help=f"{text} (default: {default})")
    return parser.parse_args()


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


def report(options, bench, figures):
    if options.json:
        print(json.dumps({"bench": bench, "machine": machine(), "figures": figures}))
        return
    print(f"{bench} on {machine()['processor']}, {os.cpu_count()} cores")
    for row in figures:
        goal = "" if row["goal"] is None else f"  goal {row['goal']} ({row['better']} is better)"
        print(f"  {row['name']:28} {row['value']:>12} {row['unit']}{goal}")
