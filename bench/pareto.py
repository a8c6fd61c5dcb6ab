"""Hypervolume on problems with two objectives; mode pareto of bench/quality.

Runs go through the daemon's ask and tell, those of Optuna through its own in memory.
"""

import collections
import os
import statistics
import sys
import tempfile
import time
import types

import asktell
import biobjective
import lib
import optuna_peer
import runs

FIELDS = ["problem", "optimizer", "seed", "iteration", "f1", "f2", "hypervolume", "ask_ms",
          "tell_ms", "point", "build"]
PEERS = {"optuna-nsga2": "nsga2", "optuna-nsga2-20": "nsga2-20", "optuna-tpe": "tpe"}
NOT_JUDGED = {*PEERS, "assay-random", "assay-sobol"}  # the last two see nothing of the results


class Job(collections.namedtuple("Job", "problem optimizer seed budget build")):
    @property
    def kind(self):
        return self.problem, self.optimizer

    def __str__(self):
        return f"{self.optimizer} on {self.problem}, seed {self.seed}"


# --- playing

daemon = None  # of the process that plays: where to find it
problems = {}


def begin_process(url, token):
    global daemon, problems
    daemon = types.SimpleNamespace(url=url, token=token)
    problems = biobjective.problems()


def play_assay(job, problem):
    spec = {"objectives": [{"metric": "f1", "goal": "minimize"},
                           {"metric": "f2", "goal": "minimize"}],
            "parameters": problem.parameters, "seed": job.seed,
            "algorithm": {"name": job.optimizer.removeprefix("assay-")}}
    if problem.constraints:
        spec["constraints"] = [{"metric": name, "max": 0} for name in problem.constraints]
    client = lib.Client(daemon)
    with asktell.Study(client, spec) as study:
        ended = asktell.play(study, lambda point, index: problem.evaluate(point), job.budget)
    client.close()
    return ended


def play_optuna(job, problem):
    def violations(trial):
        return [trial.user_attrs[name] for name in problem.constraints]

    import optuna
    sampler = optuna_peer.sampler(PEERS[job.optimizer], job.seed,
                                  violations if problem.constraints else None)
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    ended = []
    for index in range(1, job.budget + 1):
        begin = time.perf_counter()
        trial = study.ask()
        point = optuna_peer.suggest(trial, problem.parameters)
        asked = time.perf_counter()
        metrics = problem.evaluate(point)
        for name in problem.constraints:
            trial.set_user_attr(name, metrics[name])
        evaluated = time.perf_counter()
        study.tell(trial, [metrics["f1"], metrics["f2"]])
        ended.append(asktell.Evaluation(index, point, metrics, 1e3 * (asked - begin),
                                        1e3 * (time.perf_counter() - evaluated)))
    return ended


def play(job):
    problem = problems[job.problem]
    ended = (play_optuna if job.optimizer in PEERS else play_assay)(job, problem)
    rows, front = [], []
    for iteration, one in enumerate(ended, 1):
        reached = problem.objectives(one.metrics)
        if reached is not None:
            front.append(reached)
        rows.append(dict(zip(FIELDS, [
            job.problem, job.optimizer, job.seed, iteration, f"{one.metrics['f1']:.9g}",
            f"{one.metrics['f2']:.9g}",
            f"{biobjective.hypervolume(front, problem.reference) / problem.best:.6f}",
            f"{one.ask_ms:.2f}", f"{one.tell_ms:.2f}", asktell.point_mark(one.parameters),
            job.build])))
    return rows


def able(client, chosen):
    """({algorithm: capabilities} of those for several objectives, sentences on the others).
    A grid of a continuous space says nothing, and `remote` is somebody else's: these two have to
    be asked for."""
    listed = {one["name"]: one["capabilities"]
              for one in client.call("GET", "/v1/algorithms")["algorithms"]}
    names = chosen.split(",") if chosen else [name for name in listed
                                                if name not in ("grid", "remote")]
    notes = [f"{name} takes one objective only" if name in listed else
             f"there is no algorithm {name}" for name in names
             if chosen and "multi_objective" not in listed.get(name, [])]
    return {name: listed[name] for name in names
            if "multi_objective" in listed.get(name, [])}, notes


def run_missing(options, names, path):
    """Sentences on what did not run."""
    done = collections.Counter((row["problem"], row["optimizer"], int(row["seed"]))
                               for row in runs.read([path] + options.read))
    known, build = biobjective.problems(), lib.build_mark(options.build)
    with lib.Assayd(options.build) as running:
        client = lib.Client(running)
        algorithms, notes = able(client, options.algorithms)
        client.close()
        if not optuna_peer.available():
            notes.append(optuna_peer.MISSING)
        jobs = []
        for seed in range(options.seeds):
            for name in names:
                for algorithm, capabilities in algorithms.items():
                    if not known[name].constraints or "constraints" in capabilities:
                        jobs.append(Job(name, "assay-" + algorithm, seed, options.budget, build))
                    elif seed == 0:
                        notes.append(f"{algorithm} takes no constraints: not run on {name}")
                jobs += [Job(name, peer, seed, options.budget, "") for peer in PEERS
                         if optuna_peer.available()]
        jobs = [job for job in jobs if done[job.problem, job.optimizer, job.seed] < job.budget]
        return notes + runs.run_all(jobs, play, FIELDS, path, options.jobs, begin_process,
                                    (running.url, running.token)) if jobs else notes


# --- comparing

def collect(paths, names, budget):
    """{(problem, optimizer): [final hypervolume of each run]}"""
    found = collections.defaultdict(dict)
    for row in runs.read(paths):
        if row["problem"] in names and int(row["iteration"]) == budget:
            found[row["problem"], row["optimizer"]][row["seed"]] = float(row["hypervolume"])
    return {key: list(by_seed.values()) for key, by_seed in found.items()}


def summarise(options, names, paths):
    final = collect(paths, names, options.budget)
    if not final:
        sys.exit("nothing has been run")
    everyone = sorted({one for _, one in final}, key=lambda one: (one in PEERS, one))
    medians = {key: statistics.median(values) for key, values in final.items()}
    figures, rows, losses = [], [], collections.defaultdict(list)
    for name in names:
        peers = {one: medians[name, one] for one in PEERS if (name, one) in medians}
        best = max(peers.values(), default=None)
        row = [name]
        for one in everyone:
            if (name, one) not in medians:
                row.append("-")
                continue
            value = medians[name, one]
            lost = one not in NOT_JUDGED and best is not None and value < best
            row.append(f"{value:.4f}" + (" ▼" if lost else ""))
            if lost:
                losses[one].append(f"{name} ({value:.4f}, {max(peers, key=peers.get)} {best:.4f})")
            figures.append(lib.figure(
                f"hypervolume_{name}_{one.removeprefix('assay-')}", value, "of the best front's",
                "higher", round(best, 4) if one not in NOT_JUDGED
                and best is not None else None))
        rows.append(row)
    known = biobjective.problems()
    counts = [len(values) for values in final.values()]
    runs_of = "-".join(str(n) for n in dict.fromkeys([min(counts), max(counts)]))
    text = "\n".join([
        "## Two objectives", "",
        f"Share of the best front's hypervolume after {options.budget} evaluations, median of "
        f"{runs_of} runs each. Optuna is "
        "Debian's, as it comes (TPE multivariate; `nsga2-20` with a population of 20 in place of "
        "50); ▼ marks a median below the best of these.", "",
        lib.markdown_table(["problem"] + everyone, rows),
        "Parameters, constraints and reference point: " + "; ".join(
            f"{name} {len(known[name].parameters)}, {len(known[name].constraints)}, "
            f"{known[name].reference}" for name in names) + ".", "", "Losses:", ""]
        + [f"- `{one}`: {'; '.join(losses[one]) or 'none'}" + (
            "" if all((name, one) in medians for name in names) else
            " (not run on " + ", ".join(n for n in names if (n, one) not in medians) + ")") + "."
           for one in everyone if one not in NOT_JUDGED])
    return figures, text


def run(options):
    known = biobjective.problems()
    names = options.only.split(",") if options.only else list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"no problem {', '.join(unknown)}; there are {', '.join(known)}")
    with tempfile.TemporaryDirectory(prefix="assay-quality-") as temporary:
        path = options.out or os.path.join(temporary, "runs.csv")
        notes = [] if options.report_only else run_missing(options, names, path)
        figures, text = summarise(options, names, [path] + options.read)
    if options.markdown:
        lib.write_section(options.markdown, "pareto", text)
    return figures, notes
