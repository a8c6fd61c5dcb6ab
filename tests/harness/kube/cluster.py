"""Scheduler and kubelet for the API double (operators.py has the controllers): pods are
scheduled on nodes with GPUs, their containers run, and end as they do on a cluster.

A container runs as a real process (its command, with paths below its volume mounts
replaced by folders of the test, also in what Secrets hold), unless its image is in
`images`: then that function runs in a thread: function(Container) -> exit code.  Init
containers run one after another, native sidecars until the others have ended.  Pods are
seen within a few milliseconds; nothing here waits longer than it is told to.
"""

from __future__ import annotations

import base64
import collections
import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

from .double import Double, Log
from .operators import Operators, kind_named
from .store import KINDS, ApiError, now

PODS = next(k for k in KINDS if k.kind == "Pod")
NODES = next(k for k in KINDS if k.kind == "Node")
EVENTS = next(k for k in KINDS if k.kind == "Event")
SECRETS = next(k for k in KINDS if k.kind == "Secret")
SUFFIXES = {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "Ki": 2**10,
            "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}


def quantity(text):
    """A Kubernetes quantity as a number."""
    number, suffix = re.fullmatch(r"([0-9.]+(?:e[0-9]+)?)([A-Za-z]*)", str(text)).groups()
    return float(number) * SUFFIXES[suffix]


def needs(pod):
    """What the pod asks of its node: the sum of containers, at least each init container."""
    def of(container):
        resources = container.get("resources") or {}
        return {k: quantity(v) for k, v in {**(resources.get("limits") or {}),
                                            **(resources.get("requests") or {})}.items()}
    total = collections.Counter()
    sidecars = [c for c in pod["spec"].get("initContainers") or []
                if c.get("restartPolicy") == "Always"]
    for container in pod["spec"]["containers"] + sidecars:
        total.update(of(container))
    for container in pod["spec"].get("initContainers") or []:
        for name, amount in of(container).items():
            total[name] = max(total[name], amount)
    return total


@dataclasses.dataclass
class Container:
    """What a function in `images` gets: the container, its pod, and where to print."""

    pod: dict
    spec: dict
    log: Log
    stopped: threading.Event
    folders: dict  # volume name -> path

    def print(self, text):
        self.log.write(text.encode())


class Killed(Exception):
    """Ends a function's container as the kubelet would: with a reason and an exit code."""

    def __init__(self, reason, code=137):
        super().__init__(reason)
        self.reason, self.code = reason, code


class Cluster:
    """`nodes`: name -> allocatable, e.g. {"gpu-1": {"cpu": "8", "nvidia.com/gpu": "4"}}."""

    def __init__(self, double: Double, folder: pathlib.Path, nodes=None, images=None,
                 start_delay=0.0):
        self.double, self.store, self.folder = double, double.store, folder
        self.operators = Operators(self)
        self.images, self.start_delay = images or {}, start_delay
        self.image_folders = {}       # image -> {path in it: folder}
        self.missing_images = set()   # can't be pulled
        self.refused_images = set()   # of pods that no controller may make
        self.lost_nodes = set()       # no kubelet answers
        self.schedulers = {"default-scheduler"}  # played here
        self.most_scheduled = 0
        self.closing = threading.Event()
        self.workers = {}             # pod uid -> PodWorker
        self.lock = threading.RLock()
        self.wake = threading.Event()
        for name, allocatable in (nodes or {"node-1": {"cpu": "64", "memory": "256Gi",
                                                        "pods": "10000"}}).items():
            self.add_node(name, allocatable)

    def add_node(self, name, allocatable, labels=None, taints=None):
        self.store.create(NODES, None, {
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
            "spec": {"taints": taints or []},
            "status": {"allocatable": {"pods": "110", **allocatable}, "capacity": allocatable,
                       "conditions": [{"type": "Ready", "status": "True"}]}})

    def __enter__(self):
        self.watchers = [self.store.watch(kind, None, lambda o: True, None)
                         for kind in [PODS, *self.operators.kinds]]
        self.threads = [threading.Thread(target=self.follow, args=(w,), daemon=True)
                        for w in self.watchers]
        self.threads.append(threading.Thread(target=self.schedule, daemon=True))
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.wake.set()
        for watcher in self.watchers:
            watcher.close()
        for thread in self.threads:
            thread.join(30)
        for worker in list(self.workers.values()):
            worker.abandon()
            worker.join(30)  # what it writes to is removed next

    # --- what tests do to it

    def lose_node(self, name):
        """The machine is gone: after a while the node controller gives its pods up."""
        with self.lock:  # no pod begins there any more
            self.lost_nodes.add(name)
        self.store.update(NODES, None, name, lambda n: n["status"].update(
            conditions=[{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]))
        for pod in self.pods_of(name):
            self.take_away(pod)
            self.give_up(pod)

    def give_up(self, pod):
        """A pod on a lost node."""
        self.set_status(pod, lambda s: s.update(
            phase="Failed", reason="NodeLost",
            message=f"Node {pod['spec']['nodeName']} which was running pod "
            f"{pod['metadata']['name']} is unresponsive"))

    def evict(self, pod, reason="Evicted", message="The node was low on resource: memory."):
        """By the kubelet (Evicted) or for a more important pod (Preempting)."""
        self.take_away(pod)
        self.set_status(pod, lambda s: s.update(
            phase="Failed", reason=reason, message=message,
            conditions=[*(s.get("conditions") or []),
                        {"type": "DisruptionTarget", "status": "True",
                         "reason": "PreemptionByScheduler" if reason == "Preempted"
                         else "TerminationByKubelet", "message": message}]))

    def take_away(self, pod):
        """Whatever of it ran is dead when it is told that it is."""
        with self.lock:
            worker = self.workers.get(pod["metadata"]["uid"])
        if worker is not None:
            worker.abandon()
            worker.join(30)

    def objects(self, kind="Job"):
        return self.store.list(kind_named(kind), None, lambda o: True)[0]

    def admit(self, item, kind="Job"):
        """A suspended object may begin, as when Kueue has room for it."""
        def resume(fresh):
            for spec in (fresh["spec"], fresh["spec"].get("runPolicy") or {}):
                if "suspend" in spec:
                    spec["suspend"] = False
            return fresh
        meta = item["metadata"]
        self.store.update(kind_named(kind), meta["namespace"], meta["name"], resume)

    def pods(self):
        return self.store.list(PODS, None, lambda o: True)[0]

    def pods_of(self, node):
        return [p for p in self.pods() if p["spec"].get("nodeName") == node and
                p["status"]["phase"] in ("Pending", "Running")]

    # --- watching

    def follow(self, watcher):
        while not self.closing.is_set():
            event = watcher.take(0.5)
            if event is None:
                continue
            type_, item = event
            if watcher.kind is PODS:
                self.pod_changed(type_, item)
            else:
                self.operators.changed(type_, {**item, "kind": watcher.kind.kind})

    def pod_changed(self, type_, pod):
        uid = pod["metadata"]["uid"]
        with self.lock:
            worker = self.workers.get(uid)
            if type_ == "DELETED":
                if worker is not None:
                    worker.stop(0)
                self.workers.pop(uid, None)
            elif pod["metadata"].get("deletionTimestamp"):
                if worker is not None:
                    worker.stop(pod["metadata"].get("deletionGracePeriodSeconds", 30))
                if worker is None or worker.done:  # nothing to wait for
                    self.finish_deletion(pod)
            elif worker is None and pod["spec"].get("nodeName") and \
                    pod["status"]["phase"] == "Pending":
                if pod["spec"]["nodeName"] in self.lost_nodes:  # lost while it was scheduled
                    self.give_up(pod)
                else:
                    self.workers[uid] = PodWorker(self, pod)
                    self.workers[uid].start()
        self.wake.set()

    def finish_deletion(self, pod, abandoned=False):
        """Of an abandoned pod only what was deleted goes; its end is told by who knows it."""
        meta = pod["metadata"]
        try:
            fresh = self.store.get(PODS, meta["namespace"], meta["name"])["metadata"]
            if fresh["uid"] == meta["uid"] and (not abandoned or fresh.get("deletionTimestamp")):
                self.store.remove(PODS, meta["namespace"], meta["name"])
        except ApiError:
            pass

    def set_status(self, pod, change):
        def apply(fresh):
            change(fresh["status"])
            return fresh
        try:
            return self.store.update(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"],
                                     apply, uid=pod["metadata"]["uid"])
        except ApiError:
            return None  # deleted meanwhile

    def record(self, pod, reason, message, type_="Normal"):
        """An event about the pod, as kubectl describe shows them."""
        meta = pod["metadata"]
        self.store.create(EVENTS, meta["namespace"], {
            "metadata": {"generateName": f"{meta['name']}."},
            "involvedObject": {"kind": pod.get("kind", "Pod"), "namespace": meta["namespace"],
                               "name": meta["name"], "uid": meta["uid"]},
            "reason": reason, "message": message, "type": type_, "count": 1,
            "firstTimestamp": now(), "lastTimestamp": now()})

    # --- the scheduler

    def schedule(self):
        while not self.closing.is_set():
            self.wake.wait(0.2)
            self.wake.clear()
            time.sleep(0.002)  # what comes together is looked at once
            pods = [p for p in self.pods() if p["status"]["phase"] in ("Pending", "Running")]
            nodes = self.store.list(NODES, None, lambda o: True)[0]
            free = {}
            for node in nodes:
                name = node["metadata"]["name"]
                free[name] = collections.Counter({k: quantity(v) for k, v in
                                                  node["status"]["allocatable"].items()})
            for pod in pods:
                if pod["spec"].get("nodeName") in free:
                    free[pod["spec"]["nodeName"]].subtract({**needs(pod), "pods": 1})
            bound = sum(1 for p in pods if p["spec"].get("nodeName"))
            waiting = [p for p in pods if not p["spec"].get("nodeName") and
                       not p["metadata"].get("deletionTimestamp") and
                       not p["spec"].get("schedulingGates") and
                       p["spec"].get("schedulerName", "default-scheduler") in self.schedulers]
            waiting.sort(key=lambda p: int(p["metadata"]["resourceVersion"]))
            for pod in waiting:
                bound += self.place(pod, nodes, free)
            self.most_scheduled = max(self.most_scheduled, bound)

    def place(self, pod, nodes, free):
        wanted = {**needs(pod), "pods": 1}
        reasons = collections.Counter()
        for node in nodes:
            name = node["metadata"]["name"]
            if name in self.lost_nodes:
                reasons["node(s) had untolerated taint {node.kubernetes.io/unreachable: }"] += 1
                continue
            if not selected(pod, node):
                reasons["node(s) didn't match Pod's node affinity/selector"] += 1
                continue
            taint = untolerated(pod, node)
            if taint:
                reasons[f"node(s) had untolerated taint {{{taint['key']}: "
                        f"{taint.get('value', '')}}}"] += 1
                continue
            lacking = [k for k, v in wanted.items() if free[name][k] < v]
            if lacking:
                reasons[f"Insufficient {sorted(lacking)[0]}"] += 1
                continue
            free[name].subtract(wanted)

            def bind(fresh):
                if name in self.lost_nodes:
                    raise ApiError(409, "Conflict", "the node is lost")
                fresh["spec"]["nodeName"] = name
                fresh["status"].setdefault("conditions", []).append(
                    {"type": "PodScheduled", "status": "True"})
                return fresh
            try:
                self.store.update(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"], bind)
            except ApiError:
                return 0
            return 1
        message = f"0/{len(nodes)} nodes are available: " + \
            ", ".join(f"{n} {reason}" for reason, n in sorted(reasons.items())) + "."
        known = next((c for c in pod["status"].get("conditions") or []
                      if c["type"] == "PodScheduled"), None)
        if known is None or known.get("message") != message:
            self.set_status(pod, lambda s: s.update(conditions=[
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                 "message": message, "lastTransitionTime": now()}]))
            if known is None:
                self.record(pod, "FailedScheduling", message, "Warning")
        return 0


def selected(pod, node):
    labels = node["metadata"].get("labels") or {}
    spec = pod["spec"]
    if any(labels.get(k) != v for k, v in (spec.get("nodeSelector") or {}).items()):
        return False
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    return any(all(expression(labels, e) for e in term.get("matchExpressions") or [])
               for term in required["nodeSelectorTerms"])


def expression(labels, e):
    value, values = labels.get(e["key"]), e.get("values") or []
    return {"In": value in values, "NotIn": value not in values, "Exists": value is not None,
            "DoesNotExist": value is None,
            "Gt": value is not None and bool(values) and int(value) > int(values[0]),
            "Lt": value is not None and bool(values) and int(value) < int(values[0])}[e["operator"]]


def untolerated(pod, node):
    for taint in node["spec"].get("taints") or []:
        if taint.get("effect") == "PreferNoSchedule":
            continue
        if not any((t.get("key") in (None, taint["key"])) and
                   (t.get("operator") == "Exists" or t.get("value", "") == taint.get("value", ""))
                   and t.get("effect") in (None, "", taint["effect"])
                   for t in pod["spec"].get("tolerations") or []):
            return taint
    return None


class PodWorker(threading.Thread):
    """The kubelet's work for one pod."""

    def __init__(self, cluster, pod):
        super().__init__(daemon=True)
        self.cluster, self.pod = cluster, pod
        self.stopping = threading.Event()
        self.grace, self.abandoned, self.done = 30.0, False, False
        self.processes, self.statuses = [], {}
        self.folders, self.texts = {}, {}  # of volumes; of those of Secrets

    def stop(self, grace):
        self.grace = min(self.grace, float(grace)) if self.stopping.is_set() else float(grace)
        self.stopping.set()

    def abandon(self):
        """The node or its kubelet is no more; whatever ran there is dead."""
        self.abandoned = True
        self.stop(0)

    def set(self, **status):
        if self.abandoned:
            return
        spec = self.pod["spec"]
        order = [c["name"] for c in spec["containers"]]
        inits = [c["name"] for c in spec.get("initContainers") or []]
        if self.statuses:
            status["containerStatuses"] = [self.statuses[n] for n in order if n in self.statuses]
            status["initContainerStatuses"] = [self.statuses[n] for n in inits
                                               if n in self.statuses]
        # Looked at again: what was found out meanwhile stands.
        self.cluster.set_status(self.pod, lambda s: None if self.abandoned else s.update(status))

    def note(self, container, state, ready=False, restarts=0):
        self.statuses[container["name"]] = {
            "name": container["name"], "image": container["image"], "imageID": "", "ready": ready,
            "restartCount": restarts, "state": state, "lastState": {}}

    def run(self):
        try:
            self.work()
        finally:
            for process in self.processes:
                kill(process)
                process.wait()
            for log in [self.cluster.double.logs.get((self.pod["metadata"]["uid"], c["name"]))
                        for c in self.pod["spec"]["containers"] +
                        (self.pod["spec"].get("initContainers") or [])]:
                if log is not None:
                    log.end()
            with self.cluster.lock:
                self.done = True  # a deletion that is heard of later is the cluster's to finish
            if self.stopping.is_set():
                self.cluster.finish_deletion(self.pod, abandoned=self.abandoned)

    def work(self):
        cluster, spec = self.cluster, self.pod["spec"]
        if self.stopping.wait(cluster.start_delay):
            return
        for volume in spec.get("volumes") or []:
            if not self.mount(volume):
                return
        inits = spec.get("initContainers") or []
        for container in inits + spec["containers"]:
            self.note(container, {"waiting": {"reason": "ContainerCreating"}})
        if not self.pull(inits + spec["containers"]):
            return
        sidecars = []
        for container in inits:
            run = self.begin(container)
            if container.get("restartPolicy") == "Always":
                sidecars.append((container, run))
                continue
            code, reason = run.wait()
            self.ended(container, code, reason)
            if code != 0 or self.stopping.is_set():
                self.set(phase="Failed", message=f"init container {container['name']} failed")
                return
        running = [self.begin(container) for container in spec["containers"]]
        deadline = spec.get("activeDeadlineSeconds")
        self.set(phase="Running", startTime=now(), podIP="127.0.0.1")
        if deadline is not None:
            threading.Thread(target=self.watch_deadline, args=(deadline, running),
                             daemon=True).start()
        codes = []
        for container, run in zip(spec["containers"], running):
            code, reason = run.wait()
            self.ended(container, code, reason)
            codes.append(code)
        if sidecars:
            self.set(phase="Running")
        for container, run in sidecars:
            run.kill(spec.get("terminationGracePeriodSeconds", 30))
            self.ended(container, *run.wait())
        if getattr(self, "too_long", False):
            self.set(phase="Failed", reason="DeadlineExceeded",
                     message="Pod was active on the node longer than the specified deadline")
        else:
            self.set(phase="Succeeded" if not any(codes) else "Failed")

    def mount(self, volume):
        """Makes a volume's folder; waits for a Secret, as the kubelet does.  False: stopped."""
        cluster, meta = self.cluster, self.pod["metadata"]
        folder = cluster.folder / meta["uid"] / volume["name"]
        if "persistentVolumeClaim" in volume:  # survives the pod, on any node
            folder = cluster.folder / "claims" / volume["persistentVolumeClaim"]["claimName"]
        folder.mkdir(parents=True, exist_ok=True)
        self.folders[volume["name"]] = folder
        if "secret" in volume:
            data = self.secret(volume["secret"]["secretName"])
            if data is None:
                return False
            items = volume["secret"].get("items") or [{"key": k, "path": k} for k in data]
            self.texts[volume["name"]] = {i["path"]: data[i["key"]] for i in items}
        for item in (volume.get("downwardAPI") or {}).get("items") or []:
            (folder / item["path"]).write_text(self.field(item["fieldRef"]["fieldPath"]))
        return True

    def secret(self, name):
        """Its data, once it is there; None when the pod is stopped before."""
        while True:
            try:
                data = self.cluster.store.get(SECRETS, self.pod["metadata"]["namespace"], name)
                return {k: base64.b64decode(v).decode() for k, v in data["data"].items()}
            except ApiError:
                if self.stopping.wait(0.02):
                    return None

    def field(self, path):
        """A field of the pod as the downward API gives it."""
        key = re.fullmatch(r"(.*)\['(.*)'\]", path)
        value = self.pod
        for part in (key[1] if key else path).split("."):
            value = value.get(part, "") if isinstance(value, dict) else ""
        return str(value.get(key[2], "") if key else value)

    def watch_deadline(self, seconds, running):
        if not self.stopping.wait(seconds) and any(not run.over.is_set() for run in running):
            self.too_long = True
            for run in running:
                run.kill(0.5)

    def pull(self, containers):
        """False when an image can't be had: the pod waits for ever, as on a cluster."""
        bad = next((c for c in containers if c["image"] in self.cluster.missing_images), None)
        if bad is None:
            return True
        message = f'failed to pull and unpack image "{bad["image"]}": not found'
        for reason in ("ErrImagePull", "ImagePullBackOff"):
            text = message if reason == "ErrImagePull" else f'Back-off pulling image "{bad["image"]}"'
            self.note(bad, {"waiting": {"reason": reason, "message": text}})
            self.set(phase="Pending")
            self.cluster.record(self.pod, "Failed", text, "Warning")
            if self.stopping.wait(0.05):
                return False
        self.stopping.wait()
        return False

    def begin(self, container):
        log = Log()
        self.cluster.double.logs[(self.pod["metadata"]["uid"], container["name"])] = log
        run = FunctionRun if container["image"] in self.cluster.images else ProcessRun
        self.note(container, {"running": {"startedAt": now()}}, ready=True)
        return run(self, container, log)

    def ended(self, container, code, reason):
        if reason is None:
            reason = "Completed" if code == 0 else "Error"
        state = {"exitCode": code, "reason": reason, "finishedAt": now()}
        if code != 0 and container.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            log = self.cluster.double.logs[(self.pod["metadata"]["uid"], container["name"])]
            state["message"] = b"\n".join(text for _, text in log.lines[-80:]).decode()[-2048:]
        if code > 128:
            state["signal"] = code - 128
        self.note(container, {"terminated": state})


class FunctionRun:
    """A container whose image is a function."""

    def __init__(self, worker, container, log):
        self.over, self.result = threading.Event(), (0, None)
        self.stopped = threading.Event()
        self.worker = worker
        threading.Thread(target=self.run, args=(container, log), daemon=True).start()

    def run(self, container, log):
        try:
            code = self.worker.cluster.images[container["image"]](
                Container(self.worker.pod, container, log, self.stopped, self.worker.folders))
            self.result = (int(code or 0), None)
        except Killed as end:
            self.result = (end.code, end.reason)
        log.end()
        self.over.set()

    def kill(self, _grace):
        self.stopped.set()

    def wait(self):
        while not self.over.wait(0.02):
            if self.worker.stopping.is_set():
                self.stopped.set()
                dead = self.worker.abandoned and not self.worker.cluster.closing.is_set()
                if not self.over.wait(30 if dead else self.worker.grace):
                    return 137, "Error"
        return self.result


class ProcessRun:
    """A container as a process of this machine; no isolation, paths are translated."""

    def __init__(self, worker, container, log):
        self.worker, self.container, self.log = worker, container, log
        self.over = threading.Event()
        mounts = [(m["mountPath"].rstrip("/"), str(worker.folders[m["name"]]) +
                   (f"/{m['subPath']}" if m.get("subPath") else ""), m["name"])
                  for m in container.get("volumeMounts") or []]
        # What a Secret holds names paths of this container.
        secrets = [(path, str(worker.cluster.folder / worker.pod["metadata"]["uid"] /
                              f"{name}-of-{container['name']}"), name)
                   for path, _, name in mounts if name in worker.texts]
        mounts = [m for m in mounts if m[2] not in worker.texts] + secrets
        mounts += [(path, str(folder), None) for path, folder in
                   worker.cluster.image_folders.get(container["image"], {}).items()]
        mounts.sort(key=lambda m: -len(m[0]))
        for _, folder, _ in mounts:
            pathlib.Path(folder).mkdir(parents=True, exist_ok=True)

        here = {path: folder for path, folder, _ in mounts}
        paths = re.compile(rf"(?<![\w.-])({'|'.join(map(re.escape, here))})(?=/|$|[\s:;'\"])")

        def translate(text):
            return paths.sub(lambda m: here[m[1]], text) if here else text
        for _, folder, name in secrets:
            for path, text in worker.texts[name].items():
                (pathlib.Path(folder) / path).write_text(translate(text))
        environment = {"PATH": os.environ["PATH"], "HOSTNAME": worker.pod["metadata"]["name"]}
        for entry in container.get("env") or []:
            value, source = entry.get("value", ""), entry.get("valueFrom") or {}
            if "fieldRef" in source:
                value = worker.field(source["fieldRef"]["fieldPath"])
            if "secretKeyRef" in source:
                value = (worker.secret(source["secretKeyRef"]["name"]) or {}).get(
                    source["secretKeyRef"]["key"], "")
            environment[entry["name"]] = translate(expand(str(value), environment))
        arguments = [translate(expand(a, environment))
                     for a in (container.get("command") or []) + (container.get("args") or [])]
        home = worker.cluster.folder / worker.pod["metadata"]["uid"] / "home"
        home.mkdir(parents=True, exist_ok=True)
        try:
            self.process = subprocess.Popen(
                arguments, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, start_new_session=True,
                cwd=translate(container.get("workingDir") or str(home)))
        except (OSError, IndexError) as error:
            self.process = None
            log.write(f"exec failed: {error}".encode())
            self.over.set()
            return
        worker.processes.append(self.process)
        threading.Thread(target=self.pump, daemon=True).start()

    def pump(self):
        for line in self.process.stdout:
            self.log.write(line.rstrip(b"\n"))
        self.process.stdout.close()
        self.process.wait()
        self.log.end()
        self.over.set()

    def kill(self, grace):
        if self.process is None or self.over.is_set():
            return
        signal_group(self.process, signal.SIGTERM)
        if not self.over.wait(grace):
            kill(self.process)

    def wait(self):
        if self.process is None:
            return 128, "StartError"
        while not self.over.wait(0.02):
            if self.worker.abandoned:
                kill(self.process)
            elif self.worker.stopping.is_set():
                self.kill(self.worker.grace)
        code = self.process.returncode
        return (code, None) if code >= 0 else (128 - code, "OOMKilled" if getattr(
            self.worker, "out_of_memory", False) else None)


def expand(text, environment):
    """$(NAME) as the kubelet replaces it; $$ is a dollar sign."""
    return re.sub(r"\$(\$|\(([A-Za-z_][A-Za-z0-9_]*)\))",
                  lambda m: "$" if m[1] == "$" else environment.get(m[2], m[0]), text)


def signal_group(process, number):
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def kill(process):
    if process.poll() is None:
        signal_group(process, signal.SIGKILL)
