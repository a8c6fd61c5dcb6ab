"""Regret on the problems of a benchmark folder; modes regret and parallel of bench/quality.

Problems, normalisation, ranks and the other optimizers' results are the folder's own
(problems.py, report.py, results/); what is here plays them and sets them side by side.
"""

import collections
import os
import pathlib
import sys
import tempfile
import types

import asktell
import lib
import runs

FIELDS = ["problem", "optimizer", "seed", "iteration", "value", "best_so_far", "ask_ms", "tell_ms",
          "point", "build"]
TIE = 0.005  # regrets nearer than this are neither won nor lost
# What the names of the recorded optimizers have that an algorithm should be ahead of.
KIND = {"assay-auto": "", "assay-bayesian": "", "assay-tpe": "tpe", "assay-cmaes": "cma"}


class Job(collections.namedtuple("Job", "problem algorithm seed budget workers build kind")):
    @property
    def optimizer(self):
        return optimizer(self.algorithm, self.workers)

    def __str__(self):
        return f"{self.optimizer} on {self.problem}, seed {self.seed}"


def optimizer(algorithm, workers):
    """As named in the CSV file."""
    return f"assay-{algorithm}" + (f"@{workers}" if workers > 1 else "")


def folder(path):
    """Makes the modules of the benchmark folder importable; its hpo/ folder."""
    if not path:
        sys.exit("this mode needs --problems DIR or ASSAY_BENCH_PROBLEMS: a benchmark folder "
                 "with hpo/problems.py")
    found = pathlib.Path(path).resolve()
    found = found / "hpo" if (found / "hpo" / "problems.py").exists() else found
    missing = [name for name in ("problems.py", "report.py", "assay_peer.py")
               if not (found / name).exists()]
    if missing:
        sys.exit(f"{found} is not a benchmark folder: it has no {', '.join(missing)}")
    # Costly evaluations are kept; the folder itself may be read-only.
    os.environ.setdefault("HPO_CACHE", os.path.join(
        tempfile.gettempdir(), f"assay-bench-evaluations-{os.getuid()}.sqlite"))
    if str(found) not in sys.path:
        sys.path.append(str(found))
    try:
        import problems  # noqa: F401
    except ImportError as error:
        sys.exit(f"the benchmark folder can not be used: {error} (Debian: python3-numpy, "
                 "python3-sklearn)")
    return found


# --- playing

daemon = None  # of the process that plays: where to find it


def begin_process(path, url, token):
    global daemon
    daemon = types.SimpleNamespace(url=url, token=token)
    folder(path)


def play(job):
    import assay_peer
    import problems
    problem = problems.get(job.problem)
    spec = {"objective": {"metric": "loss", "goal": "minimize"},
            "parameters": [assay_peer.parameter(p) for p in problem.space],
            "algorithm": {"name": job.algorithm}, "seed": job.seed}
    true = {}

    def evaluate(parameters, index):
        value, true[index] = problem.observe(parameters, job.seed, index)
        return {"loss": value}

    client = lib.Client(daemon)
    with asktell.Study(client, spec) as study:
        ended = asktell.play(study, evaluate, job.budget, job.workers, job.seed)
    client.close()
    rows, best, incumbent = [], float("inf"), None
    for iteration, one in enumerate(ended, 1):
        value = one.metrics["loss"]
        if value < best:
            best, incumbent = value, true[one.index]
        rows.append(dict(zip(FIELDS, [
            job.problem, job.optimizer, job.seed, iteration, f"{value:.9g}", f"{incumbent:.9g}",
            f"{one.ask_ms:.2f}", f"{one.tell_ms:.2f}", asktell.point_mark(one.parameters),
            job.build])))
    return rows


def jobs_to_do(options, names, algorithms, workers, path):
    import problems
    done = collections.Counter((row["problem"], row["optimizer"], int(row["seed"]))
                               for row in runs.read([path] + options.read))
    build = lib.build_mark(options.build)
    jobs = [Job(name, algorithm, seed, options.budget, n, build,
                (problems.get(name).kind, algorithm, n))
            for seed in range(options.seeds) for name in names for algorithm in algorithms
            for n in workers]  # all problems of a seed first
    return [job for job in jobs
            if done[job.problem, job.optimizer, job.seed] < options.budget]


def run_missing(options, names, algorithms, workers, path):
    jobs = jobs_to_do(options, names, algorithms, workers, path)
    if not jobs:
        return []
    with lib.Assayd(options.build) as running:
        return runs.run_all(jobs, play, FIELDS, path, options.jobs, begin_process,
                            (options.problems, running.url, running.token))


# --- comparing

class Comparison:
    """Assay's algorithms and the recorded optimizers on the problems that every one of
    these algorithms has run."""

    def __init__(self, options, hpo, names, ours, paths):
        import problems
        import report
        self.report, self.problems, self.budget = report, problems, options.budget
        recorded = [str(hpo / "results" / f"{one}.csv.gz") for one in problems.SETS]
        self.data = report.load([p for p in paths + recorded if os.path.exists(p)])
        self.data = {name: {o: found for o, found in of.items()
                            if not o.startswith("assay-") or o in ours}
                     for name, of in self.data.items()}
        pool = report.pools()
        self.ours = [o for o in ours if any(self.complete(name, o) for name in names)]
        self.all_names = names
        self.names = [name for name in names if name in pool
                      and all(self.complete(name, o) for o in self.ours)]
        self.result = report.Result(self.data, pool, self.names, self.budget)
        self.peers = [o for o in self.result.complete() if o not in self.ours]
        self.partial = [o for o in self.result.optimizers()
                        if o not in self.peers and o not in self.ours]

    def complete(self, name, one):
        return any(len(run) >= self.budget
                   for run in self.data.get(name, {}).get(one, {}).values())

    def kin(self, one):
        """The peers that an algorithm is measured by: all, those of its kind, or none."""
        return [peer for peer in self.peers + self.partial if one in KIND and KIND[one] in peer]

    def whole_kin(self, one):
        """Those of them that ran every problem."""
        return [peer for peer in self.kin(one) if peer in self.peers]

    def with_peer(self, peer):
        return [name for name in self.names if (name, peer) in self.result.regret]

    def regret(self, name, one):
        return float(self.result.regret[name, one][2])

    def mean(self, one, names=None):
        return self.result.mean(one, 2, names)

    def curve(self, one):
        """Mean regret after each evaluation."""
        class EachEvaluation(self.report.Result):  # and not at three of them
            at = property(lambda self: range(1, self.budget + 1), lambda self, _: None)
        found = EachEvaluation(self.data, self.result.pool, self.names, self.budget)
        return [found.mean(one, k) for k in range(self.budget)]

    def best_peer(self, name, one=""):
        """(regret, name) of the best recorded optimizer of the algorithm's kind."""
        known = [(self.regret(name, peer), peer) for peer in self.peers + self.partial
                 if (name, peer) in self.result.regret and KIND.get(one, "") in peer]
        return min(known, default=(float("inf"), "-"))

    def seeds(self, one):
        counts = [self.result.seeds[name, one] for name in self.names]
        return f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)}-{max(counts)}"

    # figures

    def label(self, one):
        """An algorithm's own name; a recorded optimizer's unless it would be taken for ours."""
        if one in self.ours:
            return one.removeprefix("assay-")
        return "recorded-" + one if "assay-" + one in self.ours else one

    def figures(self):
        found = []
        everyone = self.ours + self.peers
        ranks = self.result.mean_ranks(everyone)
        for one in everyone:
            kin = self.whole_kin(one) if one in self.ours else []
            found.append(lib.figure(
                "mean_regret_" + self.label(one), self.mean(one), "of random's", "lower",
                round(min(self.mean(peer) for peer in kin), 4) if kin else None))
        for one in everyone:
            found.append(lib.figure("mean_rank_" + self.label(one), ranks[one], "rank", "lower"))
        for one in self.ours:
            if not self.whole_kin(one):
                continue
            beside = self.result.mean_ranks([one] + self.peers)
            found.append(lib.figure(
                "mean_rank_alone_" + self.label(one), beside[one], "rank", "lower",
                round(min(beside[peer] for peer in self.whole_kin(one)), 4)))
        for peer in self.partial:
            names = self.with_peer(peer)
            for one in self.ours:
                if peer not in self.kin(one):
                    continue
                beside = self.result.mean_ranks([one, peer] + self.peers, names)
                found += [
                    lib.figure(f"mean_regret_{self.label(one)}_beside_{peer}",
                               self.mean(one, names), f"of random's, {len(names)} problems",
                               "lower", round(self.mean(peer, names), 4)),
                    lib.figure(f"mean_rank_{self.label(one)}_beside_{peer}", beside[one],
                               f"rank, {len(names)} problems", "lower", round(beside[peer], 4))]
        single = [one for one in self.ours if one != "assay-auto"]
        if "assay-auto" in self.ours and single:
            found.append(lib.figure("auto_vs_best_single", self.mean("assay-auto")
                                    / min(self.mean(one) for one in single), "", "lower", 1.05))
        return found

    def losses(self, one):
        """[(problem, own regret, best peer's regret, peer)]"""
        lost = []
        for name in self.names:
            regret, peer = self.best_peer(name, one)
            if regret < self.regret(name, one) - TIE:
                lost.append((name, self.regret(name, one), regret, peer))
        return lost

    # Markdown

    def markdown(self, title):
        report, result = self.report, self.result
        lines = [f"## {title}", "",
                 f"{len(self.names)} problems, {self.budget} evaluations each. Regret 0 is the best "
                 "known value of a problem, 1 the median of random search with the whole budget; "
                 "above 2 it counts as 2 in means. Optimizers without `assay-` are those recorded in "
                 "the benchmark folder.", ""]
        if len(self.names) < len(self.all_names):
            missing = [name for name in self.all_names if name not in self.names]
            lines += [f"Not run yet by all algorithms shown: {', '.join(missing)}.", ""]
        lines += [report.headline(result, self.data, self.ours + self.peers, self.names,
                                  with_latency=False)]
        for peer in self.partial:
            names = self.with_peer(peer)
            lines += [f"`{peer}` is recorded for {len(names)} of the problems; all on these:", "",
                      report.headline(result, self.data, self.ours + self.peers + [peer], names,
                                      with_latency=False)]
        kinds = list(dict.fromkeys(self.problems.get(name).kind for name in self.names))
        if len(kinds) > 1:
            of = {kind: [name for name in self.names if self.problems.get(name).kind == kind]
                  for kind in kinds}
            order = sorted(self.ours + self.peers, key=self.mean)
            lines += ["Mean regret by kind of problem:", "", lib.markdown_table(
                ["optimizer"] + [f"{kind} ({len(of[kind])})" for kind in kinds],
                [[one] + [f"{self.mean(one, of[kind]):.3f}" for kind in kinds] for one in order])]
        lines += ["Each algorithm alone among the recorded optimizers:", "",
                  self.alone_table()]
        lines += ["Regret per problem; ▼ marks a loss, where the best recorded optimizer of any "
                  f"kind is lower by more than {TIE}:", "", self.problem_table()]
        lines += ["Losses:", ""]
        for one in self.ours:
            if one in KIND:
                lines += [self.loss_sentence(one)]
        return "\n".join(lines)

    def alone_table(self):
        rows = []
        for one in self.ours:
            beside = self.result.mean_ranks([one] + self.peers)
            kin = self.whole_kin(one)
            if not kin:
                continue
            by_rank = min(kin, key=lambda peer: beside[peer])
            by_mean = min(kin, key=self.mean)
            rows.append([one, self.seeds(one), f"{self.mean(one):.3f}",
                         f"{self.mean(by_mean):.3f} ({by_mean})", f"{beside[one]:.2f}",
                         f"{beside[by_rank]:.2f} ({by_rank})"])
        return lib.markdown_table(["algorithm", "seeds", "mean regret", "best of its kind",
                                   "mean rank", "best of its kind"], rows)

    def problem_table(self):
        rows = []
        for name in self.names:
            regret, peer = self.best_peer(name)
            row = [name]
            for one in self.ours:
                own = self.regret(name, one)
                row.append(f"{own:.3f}" + (" ▼" if one in KIND and regret < own - TIE else ""))
            rows.append(row + [f"{regret:.3f} ({peer})"])
        return lib.markdown_table(["problem"] + self.ours + ["best recorded"], rows)

    def loss_sentence(self, one):
        lost = self.losses(one)
        kind = {"assay-tpe": "recorded TPE", "assay-cmaes": "recorded CMA-ES"}.get(
            one, "recorded optimizer")
        if not lost:
            return f"- `{one}` loses no problem to a {kind}."
        return (f"- `{one}` loses {len(lost)} of {len(self.names)} to the best {kind}: "
                + "; ".join(f"{name} ({own:.3f}, {peer} {regret:.3f})"
                            for name, own, regret, peer in lost) + ".")


# --- the modes

def selected(options):
    import problems
    known = problems.names(options.set)
    if not known:
        sys.exit(f"the benchmark folder has no set {options.set}; it has "
                 + ", ".join(one for one in problems.SETS if problems.names(one)))
    if options.only is None:
        return known
    unknown = [name for name in options.only.split(",") if name not in problems.names()]
    if unknown:
        sys.exit(f"no problem {', '.join(unknown)}; the set has {', '.join(known)}")
    return options.only.split(",")


def run(options):
    hpo = folder(options.problems)
    names = selected(options)
    algorithms = (options.algorithms or "auto,bayesian,tpe,cmaes,random").split(",")
    workers = [1] if options.mode == "regret" else [1, options.parallel]
    with tempfile.TemporaryDirectory(prefix="assay-quality-") as temporary:
        path = options.out or os.path.join(temporary, "runs.csv")
        notes = [] if options.report_only else run_missing(options, names, algorithms, workers,
                                                           path)
        paths = [path] + options.read
        summarise = summarise_regret if options.mode == "regret" else summarise_parallel
        figures, text = summarise(options, hpo, names, algorithms, paths, notes)
    if options.markdown:
        lib.write_section(options.markdown, f"{options.mode} {options.set}", text)
    return figures, notes


def mixed_builds(paths, ours):
    """Sentences on algorithms whose rows come from several builds."""
    builds = collections.defaultdict(set)
    for row in runs.read(paths):
        if row["optimizer"] in ours:
            builds[row["optimizer"]].add(row.get("build"))
    return [f"{one} was run with {len(found)} builds of assay-suggest" for one, found
            in sorted(builds.items()) if len(found) > 1]


def summarise_regret(options, hpo, names, algorithms, paths, notes):
    ours = [optimizer(one, 1) for one in algorithms]
    notes += mixed_builds(paths, ours)
    compared = Comparison(options, hpo, names, ours, paths)
    if not compared.names:
        sys.exit("no problem has a whole run of every algorithm yet")
    if len(compared.names) < len(names):
        notes.append(f"{len(compared.names)} of {len(names)} problems have been run by all")
    return compared.figures(), compared.markdown(f"Regret, set `{options.set}`")


def duplicates(paths, ours):
    """{optimizer: points of a run that an earlier trial of the run had, summed up}"""
    points = collections.defaultdict(list)
    for row in runs.read(paths):
        if row["optimizer"] in ours:
            points[row["optimizer"], row["problem"], row["seed"]].append(row["point"])
    found = collections.Counter()
    for (one, _, _), some in points.items():
        found[one] += len(some) - len(set(some))
    return found


def summarise_parallel(options, hpo, names, algorithms, paths, notes):
    one_by_one = [optimizer(algorithm, 1) for algorithm in algorithms]
    at_once = [optimizer(algorithm, options.parallel) for algorithm in algorithms]
    notes += mixed_builds(paths, one_by_one + at_once)
    compared = Comparison(options, hpo, names, one_by_one + at_once, paths)
    if not compared.names:
        sys.exit("no problem has a whole run of every algorithm yet")
    twice = duplicates(paths, one_by_one + at_once)
    figures, rows = [], []
    for algorithm, alone, many in zip(algorithms, one_by_one, at_once):
        if alone not in compared.ours or many not in compared.ours:
            notes.append(f"{algorithm} has not been run in both ways")
            continue
        a, b = compared.mean(alone), compared.mean(many)
        figures += [
            lib.figure(f"parallel_vs_sequential_{algorithm}", b / a, "", "lower",
                       None if algorithm == "random" else 1.1),
            lib.figure(f"duplicates_{algorithm}", twice[many], "points", "lower", 0),
            lib.figure(f"mean_regret_{algorithm}_sequential", a, "of random's", "lower"),
            lib.figure(f"mean_regret_{algorithm}_parallel", b, "of random's", "lower"),
        ]
        as_one = [k for k, regret in enumerate(compared.curve(alone), 1) if regret <= b]
        rows.append([algorithm, compared.seeds(many), f"{a:.3f}", f"{b:.3f}", f"{b / a:.2f}",
                     as_one[0] if as_one else f"> {options.budget}", twice[many]])
    shown = [pair for pair in zip(one_by_one, at_once) if all(o in compared.ours for o in pair)]
    text = "\n".join([
        f"## {options.parallel} workers at once, set `{options.set}`", "",
        f"{len(compared.names)} problems, {options.budget} evaluations each: by one worker, and by "
        f"{options.parallel} simulated ones whose trials take 0.5 to 1.5 of a unit of time, so that "
        f"{options.parallel - 1} points are pending at each ask.  \"As one's\": the number of "
        f"evaluations after which one worker is where {options.parallel} are at the end.", "",
        lib.markdown_table(["algorithm", "seeds", "regret, one", f"regret, {options.parallel}",
                            "ratio", "as one's", "points twice"], rows),
        f"Regret per problem, one worker / {options.parallel}:", "",
        lib.markdown_table(
            ["problem"] + [pair[0] for pair in shown],
            [[name] + [f"{compared.regret(name, a):.3f} / {compared.regret(name, b):.3f}"
                       for a, b in shown] for name in compared.names])])
    return figures, text
