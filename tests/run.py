#!/usr/bin/env python3
"""Runs Assay's test suites and counts what passed, failed and was skipped.

    tests/run.py [--build build] [--jobs N] [--list] [--only WORD ...]

Suites are found, not listed twice: every program below BUILD/tests (cmocka), the
Python suites named below, the dashboard's.  A suite marked `server` gets a private
assayd of its own on a fresh data directory, told by ASSAY_URL and ASSAY_TOKEN.
The last line is `N passed, N failed, N skipped`; exit 0 only when none failed.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import time

from harness.assayd import Assayd

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHON = sys.executable
DISCOVER = [PYTHON, "-m", "unittest", "discover", "-v", "-s"]


class Suite:
    def __init__(self, name, command, kind, cwd=ROOT, server=False, timeout=2400):
        self.name, self.command, self.kind, self.cwd = name, command, kind, cwd
        self.server, self.timeout = server, timeout


def suites(build):
    """The long ones first, so that the last to end is a short one."""
    found = [Suite("api", DISCOVER + ["tests/api"], "unittest")]
    for file in sorted((ROOT / "tests" / "system").glob("test_*.py"),
                       key=lambda file: -file.stat().st_size):
        found.append(Suite(f"system/{file.stem[5:]}", DISCOVER + ["tests/system", "-p", file.name],
                           "unittest"))
    found += [
        Suite("examples/digits", DISCOVER + ["examples/digits"], "unittest"),
        Suite("examples/remote-algorithm", DISCOVER + ["examples/remote-algorithm"], "unittest",
              server=True),
        Suite("cli", DISCOVER + ["tests/cli"], "unittest", server=True),
        Suite("python", DISCOVER + ["tests", "-t", "."], "unittest",
              ROOT / "python", server=True),
        Suite("dashboard", ["make", "-s", f"BUILD={os.path.relpath(build, ROOT)}",
                            "check-dashboard"], "node"),
        Suite("bench", DISCOVER + ["tests/bench"], "unittest"),
    ]
    for program in sorted((build / "tests").glob("*/*_test")):
        found.append(Suite(f"unit/{program.parent.name}/{program.name}", [str(program)], "tap"))
    return found


def count_tap(text):
    passed = failed = skipped = 0
    for line in text.splitlines():
        match = re.match(r"\s*(not )?ok\b.*?(# ?SKIP.*)?$", line, re.IGNORECASE)
        if not match:
            continue
        if re.search(r"#\s*skip", line, re.IGNORECASE):
            skipped += 1
        elif match.group(1):
            failed += 1
        else:
            passed += 1
    return passed, failed, skipped


def count_unittest(text):
    total = sum(int(n) for n in re.findall(r"^Ran (\d+) tests?", text, re.MULTILINE))
    failed = sum(int(n) for n in re.findall(r"(?:failures|errors)=(\d+)", text))
    skipped = sum(int(n) for n in re.findall(r"skipped=(\d+)", text))
    return total - failed - skipped, failed, skipped


def count_node(text):
    def last(word):
        return sum(int(n) for n in re.findall(rf"^(?:#|ℹ) {word} (\d+)", text, re.MULTILINE))
    return last("pass"), last("fail"), last("skipped")


COUNT = {"tap": count_tap, "unittest": count_unittest, "node": count_node}


def run(suite, build):
    environment = dict(os.environ, ASSAY_BUILD=str(build), PYTHONDONTWRITEBYTECODE="1",
                       PATH=f"{build / 'bin'}:{os.environ['PATH']}")
    if suite.kind == "tap":
        environment["CMOCKA_MESSAGE_OUTPUT"] = "TAP"
    server, fault, start = None, "", time.time()
    try:
        if suite.server:
            server = Assayd(build)
            environment.update(server.client_environment)
        done = subprocess.run(suite.command, cwd=suite.cwd, env=environment, timeout=suite.timeout,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        text, code = done.stdout.decode(errors="replace"), done.returncode
    except subprocess.TimeoutExpired as error:
        text, code = (error.stdout or b"").decode(errors="replace"), "a time-out"
    except (OSError, RuntimeError) as error:
        text, code = str(error), "an error"
    finally:
        if server is not None:
            fault = server.stop()
            server.remove()
    passed, failed, skipped = COUNT[suite.kind](text)
    if fault:
        text += fault
        failed += 1
    if code != 0 and failed == 0:
        text += f"\n(the suite ended with {code})"
        failed = 1
    if passed + failed + skipped == 0:
        text += "\n(the suite ran no test)"
        failed = 1
    return suite, passed, failed, skipped, time.time() - start, text


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() + 1,
                        help="suites at once; most of them wait more than they compute")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--only", nargs="*", default=[], help="words the suite's name must hold one of")
    options = parser.parse_args()
    build = (ROOT / options.build).resolve()
    chosen = [s for s in suites(build)
              if not options.only or any(word in s.name for word in options.only)]
    if options.list:
        print("\n".join(s.name for s in chosen))
        return 0
    totals, results = [0, 0, 0], []

    def report(result):
        suite, passed, failed, skipped, seconds, text = result
        results.append(result)
        for i, n in enumerate((passed, failed, skipped)):
            totals[i] += n
        print(f"{'FAIL' if failed else 'ok  '} {suite.name}: {passed} passed, {failed} failed, "
              f"{skipped} skipped ({seconds:.1f} s)", flush=True)
        if failed:
            print("    " + "\n    ".join(text[-12000:].splitlines()), flush=True)
        elif skipped:
            for line in text.splitlines():
                if re.search(r"skip", line, re.IGNORECASE) and not line.startswith(("OK", "# ")):
                    print("    " + line.strip()[:160])

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for future in concurrent.futures.as_completed(
                [pool.submit(run, s, build) for s in chosen]):
            report(future.result())
    for suite, _, failed, _, _, text in results:
        if failed:
            names = re.findall(r"^(?:(?:FAIL|ERROR): .*|\s*not ok (?!.*# ?SKIP).*)$", text, re.MULTILINE)
            print(f"failed in {suite.name}:", "; ".join(name.strip() for name in names) or "see above")
    print(f"{totals[0]} passed, {totals[1]} failed, {totals[2]} skipped")
    return 1 if totals[1] else 0


if __name__ == "__main__":
    sys.exit(main())
