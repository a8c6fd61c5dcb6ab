"""The controllers of jobs and of other people's kinds, for the API double: each makes the pods
that its real one makes, with the labels and container names of those, and writes the same
conditions.

An object that is suspended (as Kueue and Volcano have them wait) makes nothing until it is
admitted; one that is suspended again loses its pods.
"""

from __future__ import annotations

import copy
import threading
import time

from .store import KINDS, ApiError, now


def kind_named(name):
    return next(k for k in KINDS if k.kind == name)


JOBS = kind_named("Job")
PODS = kind_named("Pod")
REPLICAS = {"PyTorchJob": ("pytorchReplicaSpecs", "Master"), "TFJob": ("tfReplicaSpecs", "Chief"),
            "XGBoostJob": ("xgbReplicaSpecs", "Master"), "MPIJob": ("mpiReplicaSpecs", "Launcher")}


class Stopped(Exception):
    """The object was deleted or suspended, or the cluster ends."""


class Failed(Exception):
    """What the object was to do came to nothing: (reason, message)."""


class Operators:
    """One thread for each object that is worked on."""

    def __init__(self, cluster):
        self.cluster, self.store = cluster, cluster.store
        self.work = {"Job": job, "TrainJob": train_job, "RayJob": ray_job, "Workflow": workflow,
                     "PipelineRun": pipeline_run, **{k: replicated_job for k in REPLICAS}}
        self.kinds = [k for k in KINDS
                      if k.kind in self.work and k.kind not in cluster.double.controlled]
        self.busy, self.lock = set(), threading.Lock()

    def changed(self, type_, item):
        """An object was made or changed; called for each event."""
        meta = item["metadata"]
        if type_ == "DELETED" or meta.get("deletionTimestamp") or suspended(item) or \
                over(item):
            return
        with self.lock:
            if meta["uid"] in self.busy:
                return
            self.busy.add(meta["uid"])
        threading.Thread(target=self.run, args=(item,), daemon=True).start()

    def run(self, item):
        kind = next(k for k in self.kinds if k.kind == item["kind"])
        task = Task(self.cluster, kind, item)
        try:
            if task.is_open():  # the event may tell of long ago
                self.work[kind.kind](task)
        except Stopped:
            task.drop_pods()
        except ApiError:  # a pod of before is there still: from the start again
            task.drop_pods()
            time.sleep(0.1)
        except Failed as failure:
            task.fail(*failure.args)
        finally:
            with self.lock:
                self.busy.discard(item["metadata"]["uid"])
        try:  # it may have been resumed meanwhile
            fresh = self.store.get(kind, item["metadata"]["namespace"], item["metadata"]["name"])
            if fresh["metadata"]["uid"] == item["metadata"]["uid"] and \
                    not self.cluster.closing.is_set():
                self.changed("MODIFIED", fresh)
        except ApiError:
            pass


def suspended(item):
    spec = item.get("spec") or {}
    return bool(spec.get("suspend") or (spec.get("runPolicy") or {}).get("suspend"))


def over(item):
    status = item.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed", "Error") or \
            status.get("jobDeploymentStatus") in ("Complete", "Failed"):
        return True
    return any(c["status"] == "True" and c["type"] in ("Complete", "Failed", "Succeeded") or
               (c["type"] == "Succeeded" and c["status"] == "False")
               for c in status.get("conditions") or [])


class Task:
    """One object and what is made for it."""

    def __init__(self, cluster, kind, item):
        self.cluster, self.store, self.kind, self.item = cluster, cluster.store, kind, item
        self.namespace, self.name = item["metadata"]["namespace"], item["metadata"]["name"]
        self.uid, self.spec = item["metadata"]["uid"], item["spec"]

    # --- pods

    def make_pod(self, template, labels, name=None):
        template = copy.deepcopy(template)
        meta = template.get("metadata") or {}
        owner = {"apiVersion": self.kind.api_version, "kind": self.kind.kind, "name": self.name,
                 "uid": self.uid, "controller": True, "blockOwnerDeletion": True}
        naming = {"name": name} if name else {"generateName": f"{self.name}-"}
        self.check()
        while template["spec"]["containers"][0]["image"] in self.cluster.refused_images:
            self.cluster.record(self.item, "FailedCreate", "Error creating: pods "
                                f'"{self.name}-" is forbidden: image policy', "Warning")
            time.sleep(0.2)
            self.check()
        return self.store.create(PODS, self.namespace, {
            "metadata": {**meta, **naming, "labels": {**(meta.get("labels") or {}), **labels},
                         "ownerReferences": [owner]},
            "spec": template["spec"], "status": {"phase": "Pending"}})

    def end_pod(self, pod):
        try:
            self.cluster.double.delete(PODS, pod, grace=1)
        except ApiError:
            pass  # gone by itself

    def is_open(self):
        try:
            fresh = self.store.get(self.kind, self.namespace, self.name)
        except ApiError:
            return False
        return fresh["metadata"]["uid"] == self.uid and not suspended(fresh) and not over(fresh)

    def check(self):
        """Raises when there is nothing to work for any more."""
        try:
            fresh = self.store.get(self.kind, self.namespace, self.name)
        except ApiError:
            raise Stopped from None
        if fresh["metadata"]["uid"] != self.uid or \
                fresh["metadata"].get("deletionTimestamp") or suspended(fresh) or \
                self.cluster.closing.is_set():
            raise Stopped

    def wait(self, pod):
        """Its last phase; None when it is gone."""
        while True:
            self.check()
            try:
                fresh = self.store.get(PODS, self.namespace, pod["metadata"]["name"])
            except ApiError:
                return None
            if fresh["status"]["phase"] in ("Succeeded", "Failed"):
                return fresh["status"]["phase"]
            time.sleep(0.01)

    def drop_pods(self):
        self.cluster.double.collect_garbage(self.uid)

    # --- the status

    def set_status(self, **status):
        def change(item):
            item["status"] = {**(item.get("status") or {}), **status}
            return item
        try:
            self.store.update(self.kind, self.namespace, self.name, change, uid=self.uid)
        except ApiError:
            raise Stopped from None

    def condition(self, type_, reason, message, value="True", **status):
        def change(item):
            had = item.get("status") or {}
            others = [{**c, "status": "False"} if c["type"] == "Running" and type_ != "Running"
                      else c for c in had.get("conditions") or [] if c["type"] != type_]
            item["status"] = {**had, **status, "conditions": others + [
                {"type": type_, "status": value, "reason": reason, "message": message,
                 "lastTransitionTime": now()}]}
            return item
        try:
            self.store.update(self.kind, self.namespace, self.name, change, uid=self.uid)
        except ApiError:
            raise Stopped from None

    def fail(self, reason, message):
        try:
            if self.kind.kind == "Workflow":
                self.set_status(phase="Failed", message=message, finishedAt=now())
            elif self.kind.kind == "PipelineRun":
                self.condition("Succeeded", reason, message, "False")
            elif self.kind.kind == "RayJob":
                self.set_status(jobStatus="FAILED", jobDeploymentStatus="Failed", reason=reason,
                                message=message)
            else:
                self.condition("Failed", reason, message)
        except Stopped:
            pass


def job(task):
    """One pod, tried again up to backoffLimit."""
    labels = {"job-name": task.name, "batch.kubernetes.io/job-name": task.name}
    limit = task.spec.get("backoffLimit", 6)
    task.set_status(startTime=now(), active=1)
    for attempt in range(limit + 1):
        pod = task.make_pod(task.spec["template"], labels)
        if task.wait(pod) == "Succeeded":
            task.condition("Complete", "CompletionsReached", "Reached expected number of succeeded "
                           "pods", completionTime=now(), succeeded=1, failed=attempt, active=0)
            return
    raise Failed("BackoffLimitExceeded", "Job has reached the specified backoff limit")


def replicated_job(task):
    """A master (or the first worker) that counts, and workers that wait for it."""
    member, master = REPLICAS[task.kind.kind]
    groups = task.spec[member]
    if master not in groups:
        master = "Worker"
    task.condition("Created", f"{task.kind.kind}Created", f"{task.kind.kind} {task.name} is created.")
    pods = {}
    for type_, group in groups.items():
        for i in range(group.get("replicas", 1)):
            labels = {"training.kubeflow.org/job-name": task.name,
                      "training.kubeflow.org/operator-name": f"{task.kind.kind.lower()}-controller",
                      "training.kubeflow.org/replica-type": type_.lower(),
                      "training.kubeflow.org/replica-index": str(i)}
            if type_ == master and i == 0:
                labels["training.kubeflow.org/job-role"] = "master"
            if task.kind.kind == "MPIJob":
                labels["mpi-job-role"] = type_.lower()
            pods[type_, i] = task.make_pod(group["template"], labels,
                                           f"{task.name}-{type_.lower()}-{i}")
    task.condition("Running", f"{task.kind.kind}Running", f"{task.kind.kind} {task.name} is running.")
    if task.wait(pods[master, 0]) != "Succeeded":
        raise Failed(f"{task.kind.kind}Failed", f"{task.kind.kind} {task.name} is failed because "
                     f"1 {master} replica(s) failed.")
    task.condition("Succeeded", f"{task.kind.kind}Succeeded",
                   f"{task.kind.kind} {task.name} successfully completed.")
    for (type_, i), pod in pods.items():  # cleanPodPolicy Running
        if (type_, i) != (master, 0):
            task.end_pod(pod)


def train_job(task):
    """What the runtime's JobSet makes: a pod for each node, of the trainer's image."""
    trainer = task.spec.get("trainer") or {}
    container = {"name": "node", **{k: trainer[k] for k in ("image", "command", "args", "env")
                                    if k in trainer}}
    if "resourcesPerNode" in trainer:
        container["resources"] = trainer["resourcesPerNode"]
    container.setdefault("image", "runtime")
    pods = []
    for i in range(trainer.get("numNodes", 1)):
        labels = {"jobset.sigs.k8s.io/jobset-name": task.name,
                  "jobset.sigs.k8s.io/replicatedjob-name": "node",
                  "batch.kubernetes.io/job-completion-index": str(i),
                  "batch.kubernetes.io/job-name": f"{task.name}-node-0"}
        pods.append(task.make_pod({"spec": {"containers": [container]}}, labels))
    for pod in pods:
        if task.wait(pod) != "Succeeded":
            raise Failed("FailedJobs", "jobset failed due to one or more job failures")
    task.condition("Complete", "AllJobsCompleted", "jobset completed successfully")


def ray_job(task):
    """A head, and the pod that submits the entry point to it and prints what it prints."""
    head = task.spec["rayClusterSpec"]["headGroupSpec"]["template"]
    task.set_status(jobStatus="", jobDeploymentStatus="Initializing")
    pod = task.make_pod(head, {"ray.io/node-type": "head", "ray.io/cluster": f"{task.name}-x"})
    task.set_status(jobStatus="RUNNING", jobDeploymentStatus="Running")
    submitter = {"spec": {**head["spec"], "restartPolicy": "Never", "containers": [
        {**head["spec"]["containers"][0], "name": "ray-job-submitter",
         "command": task.spec["entrypoint"].split()}]}}
    done = task.make_pod(submitter, {"job-name": task.name,
                                     "batch.kubernetes.io/job-name": task.name})
    phase = task.wait(done)
    task.end_pod(pod)
    if phase != "Succeeded":
        raise Failed("AppFailed", "Job failed due to an application error")
    task.set_status(jobStatus="SUCCEEDED", jobDeploymentStatus="Complete")


def steps_of(task, templates, name):
    """The templates with a container, in the order in which a template runs them."""
    template = templates[name]
    if "container" in template or "script" in template:
        return [template]
    found = []
    for group in template.get("steps") or [[t] for t in (template.get("dag") or {})
                                           .get("tasks") or []]:
        for step in group:
            found += steps_of(task, templates, step["template"])
    return found


def workflow(task):
    templates = {t["name"]: t for t in task.spec["templates"]}
    shared = (task.spec.get("podMetadata") or {}).get("labels") or {}
    task.set_status(phase="Running", startedAt=now())
    for template in steps_of(task, templates, task.spec["entrypoint"]):
        container = {**(template.get("container") or template["script"]), "name": "main"}
        labels = {**shared, **((template.get("metadata") or {}).get("labels") or {}),
                  "workflows.argoproj.io/workflow": task.name}
        pod = task.make_pod({"spec": {"restartPolicy": "Never", "containers": [container]}}, labels)
        if task.wait(pod) != "Succeeded":
            raise Failed("", f"child '{pod['metadata']['name']}' failed")
    task.set_status(phase="Succeeded", finishedAt=now())


def pipeline_run(task):
    """Its tasks one after the other; each step is a container step-NAME."""
    given = {p["name"]: p["value"] for p in task.spec.get("params") or []}

    def fill(value, values):
        if isinstance(value, str):
            for name, text in values.items():
                value = value.replace(f"$(params.{name})", str(text))
            return value
        if isinstance(value, dict):
            return {k: fill(v, values) for k, v in value.items()}
        return [fill(v, values) for v in value] if isinstance(value, list) else value

    task.condition("Succeeded", "Running", "Tasks Completed: 0", "Unknown")
    for step in task.spec["pipelineSpec"]["tasks"]:
        values = {**given, **{p["name"]: fill(p["value"], given) for p in step.get("params") or []}}
        containers = [fill({**s, "name": f"step-{s['name']}"}, values)
                      for s in step["taskSpec"]["steps"]]
        labels = {**(task.item["metadata"].get("labels") or {}),
                  "tekton.dev/pipelineRun": task.name, "tekton.dev/pipelineTask": step["name"]}
        pod = task.make_pod({"spec": {"restartPolicy": "Never", "containers": containers}}, labels,
                            f"{task.name}-{step['name']}-pod")
        if task.wait(pod) != "Succeeded":
            raise Failed("Failed", "Tasks Completed: 1 (Failed: 1, Cancelled 0)")
    task.condition("Succeeded", "Succeeded", "Tasks Completed: 2 (Failed: 0, Cancelled 0)")
