"""Optuna as Debian ships it (python3-optuna), asked and told in memory."""

import warnings

try:
    import optuna
except ImportError:
    optuna = None

MISSING = ("Optuna is not installed, so nothing is compared with it: "
           "apt-get install python3-optuna")


def available():
    return optuna is not None


def quiet():
    warnings.filterwarnings("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def sampler(name, seed, constraints=None):
    """As Optuna sets it up, but for what the name says."""
    quiet()
    more = {} if constraints is None else {"constraints_func": constraints}
    if name == "tpe":
        return optuna.samplers.TPESampler(multivariate=True, seed=seed, **more)
    if name == "cmaes":
        return optuna.samplers.CmaEsSampler(seed=seed)
    if name == "nsga2":
        return optuna.samplers.NSGAIISampler(seed=seed, **more)
    if name == "nsga2-20":
        return optuna.samplers.NSGAIISampler(seed=seed, population_size=20, **more)
    raise ValueError(name)


def is_active(parameter, point):
    return all(point.get(parent) in values for parent, values
               in parameter.get("when", {}).items())


def suggest(trial, parameters):
    """A point of the space given as in a study file, its parents before its children."""
    point = {}
    for p in parameters:
        if not is_active(p, point):
            continue
        name = p["name"]
        if p["type"] == "double":
            point[name] = trial.suggest_float(name, p["min"], p["max"], step=p.get("step"),
                                              log=p.get("scale") == "log")
        elif p["type"] == "int":
            point[name] = trial.suggest_int(name, p["min"], p["max"], log=p.get("scale") == "log")
        elif p["type"] == "discrete":
            point[name] = p["values"][trial.suggest_int(name, 0, len(p["values"]) - 1)]
        elif p["type"] == "bool":
            point[name] = trial.suggest_categorical(name, [False, True])
        else:
            point[name] = trial.suggest_categorical(name, p["values"])
    return point


def distribution(p):
    make = optuna.distributions
    if p["type"] == "double":
        return make.FloatDistribution(p["min"], p["max"], step=p.get("step"),
                                      log=p.get("scale") == "log")
    if p["type"] == "int":
        return make.IntDistribution(p["min"], p["max"], log=p.get("scale") == "log")
    if p["type"] == "discrete":
        return make.IntDistribution(0, len(p["values"]) - 1)
    return make.CategoricalDistribution([False, True] if p["type"] == "bool" else p["values"])


def study_with(name, seed, parameters, history):
    """A study in memory that has been told [(point, value)]."""
    study = optuna.create_study(sampler=sampler(name, seed))
    by_name = {p["name"]: p for p in parameters}
    distributions = {name: distribution(p) for name, p in by_name.items()}
    for point, value in history:
        inside = {name: by_name[name]["values"].index(v) if by_name[name]["type"] == "discrete"
                  else v for name, v in point.items()}
        study.add_trial(optuna.trial.create_trial(
            params=inside, distributions={name: distributions[name] for name in inside},
            value=value))
    return study


def version():
    return optuna.__version__
