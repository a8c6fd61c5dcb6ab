"""A small algorithm of one's own, served to Assay over HTTP.

    python3 climber.py --port 8000

Climbs from the best trial with steps that grow after a success and shrink after failures; every
third point is drawn from the whole space. All it knows follows from the trials it is told, so
it goes on in the same way after a restart.
"""

import argparse

import assay.remote


class Climber:
    def suggest(self, study, trials, n):
        first = study.options.get("first", 5)  # settings: {url: …, options: {first: 8}}
        ended = [t for t in trials if t.state in ("succeeded", "stopped") and t.value is not None]
        best, width = None, 0.2
        sign = -1 if study.objectives[0]["goal"] == "maximize" else 1
        for trial in ended:  # by number, whatever order they ended in
            if best is None or sign * trial.value < sign * best.value:
                best, width = trial, min(0.5, 1.5 * width)
            else:
                width = max(0.005, 0.95 * width)
        points = []
        for k, number in enumerate(study.numbers[:n]):
            random = study.random(k)
            if best is None or number <= first or number % 3 == 0:
                points.append(study.sample(random))
            else:
                points.append(study.near(best.parameters, width, random))
        return points


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=8000)
    assay.remote.serve(Climber, port=parser.parse_args().port)
