"""Problems with two objectives, their best fronts and the hypervolume.

A problem's parameters are as in a study file; `evaluate(point)` gives its metrics, both
objectives `f1` and `f2` to be minimised and the constraints' at most 0.

ZDT1 to ZDT3: E. Zitzler, K. Deb, L. Thiele, "Comparison of multiobjective evolutionary
algorithms: empirical results", Evolutionary Computation 8, 2000. C2-DTLZ2: H. Jain,
K. Deb, IEEE Trans. Evolutionary Computation 18, 2014. OSY: A. Osyczka, S. Kundu,
Structural Optimization 10, 1995, its front as in K. Deb's book of 2001, section 8.3.
"""

import itertools
import math


class Problem:
    """front: points of the best front, dense enough for its hypervolume."""

    def __init__(self, name, parameters, evaluate, reference, front, constraints=(), note=""):
        self.name, self.parameters, self.evaluate = name, parameters, evaluate
        self.reference, self.constraints, self.note = reference, list(constraints), note
        self.best = hypervolume(front(), reference)

    def objectives(self, metrics):
        """(f1, f2), or None when a constraint is violated."""
        if any(metrics[name] > 0 for name in self.constraints):
            return None
        return metrics["f1"], metrics["f2"]


def hypervolume(points, reference):
    """Area that the points dominate below the reference, both objectives minimised."""
    area, height = 0.0, reference[1]
    for a, b in sorted(points):
        if a < reference[0] and b < height:
            area += (reference[0] - a) * (height - b)
            height = b
    return area


def box(n):
    return [{"name": f"x{i}", "type": "double", "min": 0.0, "max": 1.0} for i in range(n)]


def line(n=4001):
    return [i / (n - 1) for i in range(n)]


# --- ZDT

ZDT_PARAMETERS = 30


def zdt(name, h, front):
    def evaluate(point):
        x = [point[f"x{i}"] for i in range(ZDT_PARAMETERS)]
        g = 1.0 + 9.0 * sum(x[1:]) / (ZDT_PARAMETERS - 1)
        return {"f1": x[0], "f2": g * h(x[0], g)}

    return Problem(name, box(ZDT_PARAMETERS), evaluate, (11.0, 11.0),
                   lambda: [(a, front(a)) for a in line()])


def zdt_problems():
    yield zdt("zdt1", lambda a, g: 1.0 - math.sqrt(a / g), lambda a: 1.0 - math.sqrt(a))
    yield zdt("zdt2", lambda a, g: 1.0 - (a / g) ** 2, lambda a: 1.0 - a * a)

    def waves(a):
        return a * math.sin(10.0 * math.pi * a)

    yield zdt("zdt3", lambda a, g: 1.0 - math.sqrt(a / g) - waves(a) / g,
              lambda a: 1.0 - math.sqrt(a) - waves(a))


# --- constraints

# The best values of all but the first parameter lie off the middle of their ranges,
# where some algorithms begin.
C2_PARAMETERS, C2_RADIUS = 6, 0.2
C2_BEST = [0.5, 0.67, 0.29, 0.41, 0.73, 0.34]


def c2_violation(a, b):
    near_end = min((a - 1.0) ** 2 + b * b, a * a + (b - 1.0) ** 2)
    near_middle = (a - math.sqrt(0.5)) ** 2 + (b - math.sqrt(0.5)) ** 2
    return min(near_end, near_middle) - C2_RADIUS ** 2


def c2_dtlz2():
    def evaluate(point):
        x = [point[f"x{i}"] for i in range(C2_PARAMETERS)]
        g = sum((v - best) ** 2 for v, best in zip(x[1:], C2_BEST[1:]))
        a, b = (1.0 + g) * math.cos(x[0] * math.pi / 2), (1.0 + g) * math.sin(x[0] * math.pi / 2)
        return {"f1": a, "f2": b, "c1": c2_violation(a, b)}

    def front():
        arc = [(math.cos(t * math.pi / 2), math.sin(t * math.pi / 2)) for t in line()]
        return [point for point in arc if c2_violation(*point) <= 0.0]

    return Problem("c2dtlz2", box(C2_PARAMETERS), evaluate, (1.1, 1.1), front, ["c1"])


OSY_RANGES = [(0.0, 10.0), (0.0, 10.0), (1.0, 5.0), (0.0, 6.0), (1.0, 5.0), (0.0, 10.0)]


def osy_evaluate(point):
    a, b, c, d, e, f = (point[f"x{i}"] for i in range(6))
    return {
        "f1": -(25.0 * (a - 2.0) ** 2 + (b - 2.0) ** 2 + (c - 1.0) ** 2 + (d - 4.0) ** 2
                + (e - 1.0) ** 2),
        "f2": a * a + b * b + c * c + d * d + e * e + f * f,
        "c1": (2.0 - a - b) / 2.0, "c2": (a + b - 6.0) / 6.0, "c3": (b - a - 2.0) / 2.0,
        "c4": (a - 3.0 * b - 2.0) / 2.0, "c5": ((c - 3.0) ** 2 + d - 4.0) / 4.0,
        "c6": (4.0 - (e - 3.0) ** 2 - f) / 4.0}


def osy():
    def front():
        parts = []  # (a, b, c, e) along five segments; d and f are 0
        for t in line(1001):
            parts += [(5.0, 1.0, 1.0 + 4.0 * t, 5.0), (5.0, 1.0, 1.0 + 4.0 * t, 1.0),
                      (4.056 + 0.944 * t, (2.056 + 0.944 * t) / 3.0, 1.0, 1.0),
                      (0.0, 2.0, 1.0 + 2.732 * t, 1.0), (t, 2.0 - t, 1.0, 1.0)]
        found = []
        for a, b, c, e in parts:
            metrics = osy_evaluate(dict(zip(("x0", "x1", "x2", "x3", "x4", "x5"),
                                            (a, b, c, 0.0, e, 0.0))))
            found.append((metrics["f1"], metrics["f2"]))
        return found

    parameters = [{"name": f"x{i}", "type": "double", "min": low, "max": high}
                  for i, (low, high) in enumerate(OSY_RANGES)]
    return Problem("osy", parameters, osy_evaluate, (0.0, 386.0), front,
                   [f"c{i}" for i in range(1, 7)])


# --- mixed: a made-up network, its error against the time of one prediction

BLOCKS = {"plain": (1.0, 0.10), "depthwise": (0.35, 0.13), "attention": (1.9, 0.06)}
ACTIVATIONS = {"relu": (1.0, 0.02), "gelu": (1.15, 0.0), "tanh": (1.25, 0.05)}
PIXELS = [64, 96, 128, 160, 192, 224]


def network_time(point):
    time = (point["layers"] * (point["width"] / 64.0) ** 1.5 * (point["pixels"] / 128.0) ** 2
            * BLOCKS[point["block"]][0] * ACTIVATIONS[point["activation"]][0])
    return 0.3 + time * (0.45 if point["quantised"] else 1.0)


def network_error(point):
    capacity = (math.log2(point["width"] / 64.0) + 1.1 * math.log2(point["layers"])
                + 0.9 * math.log2(point["pixels"] / 128.0))
    step = math.log10(point["lr"]) + 2.6 + 0.12 * point["layers"]
    regularity = point["dropout"] - 0.05 * min(max(round(capacity + 2.0), 0), 10)
    return (0.08 + BLOCKS[point["block"]][1] + ACTIVATIONS[point["activation"]][1]
            + 0.25 * math.exp(-0.45 * capacity) + (0.015 if point["quantised"] else 0.0)
            + 0.12 * step * step + 0.8 * regularity * regularity)


def network():
    parameters = [
        {"name": "layers", "type": "int", "min": 1, "max": 8},
        {"name": "width", "type": "int", "min": 16, "max": 512, "scale": "log"},
        {"name": "pixels", "type": "discrete", "values": PIXELS},
        {"name": "block", "type": "categorical", "values": list(BLOCKS)},
        {"name": "activation", "type": "categorical", "values": list(ACTIVATIONS)},
        {"name": "quantised", "type": "bool"},
        {"name": "lr", "type": "double", "min": 1e-5, "max": 1e-1, "scale": "log"},
        {"name": "dropout", "type": "double", "min": 0.0, "max": 0.5, "step": 0.05}]

    def front():
        """All choices with the best lr and dropout for each."""
        found = []
        for layers, width, pixels, block, activation, quantised in itertools.product(
                range(1, 9), range(16, 513), PIXELS, BLOCKS, ACTIVATIONS, (False, True)):
            capacity = (math.log2(width / 64.0) + 1.1 * math.log2(layers)
                        + 0.9 * math.log2(pixels / 128.0))
            point = {"layers": layers, "width": width, "pixels": pixels, "block": block,
                     "activation": activation, "quantised": quantised,
                     "lr": 10.0 ** (-2.6 - 0.12 * layers),
                     "dropout": 0.05 * min(max(round(capacity + 2.0), 0), 10)}
            found.append((network_error(point), network_time(point)))
        return found

    return Problem("mixed", parameters,
                   lambda point: {"f1": network_error(point), "f2": network_time(point)},
                   (0.8, 25.0), front, note="a made-up network: error against time")


def problems():
    """{name: problem}, in the order of the report."""
    found = [*zdt_problems(), c2_dtlz2(), osy(), network()]
    return {problem.name: problem for problem in found}
