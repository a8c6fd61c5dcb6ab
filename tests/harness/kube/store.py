"""What the API double keeps: objects with resource versions, their history, watchers.

As the real one: every write gets the next version of one counter for all kinds; a watch
from a version hears what came after it, or that it is too old (410).
"""

from __future__ import annotations

import collections
import copy
import datetime
import threading
import uuid


class ApiError(Exception):
    """A Status of kind Failure."""

    def __init__(self, code, reason, message, details=None, retry_after=None):
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message
        self.details, self.retry_after = details, retry_after

    def status(self):
        body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": self.message, "reason": self.reason, "code": self.code}
        if self.details:
            body["details"] = self.details
        return body


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Kind:
    """One resource of the API."""

    def __init__(self, group, version, plural, kind, namespaced=True, status=True):
        self.group, self.version, self.plural, self.kind = group, version, plural, kind
        self.namespaced, self.status = namespaced, status

    @property
    def api_version(self):
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def title(self):
        """As messages name it: pods "x", jobs.batch "x"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


KINDS = [
    Kind("", "v1", "namespaces", "Namespace", namespaced=False),
    Kind("", "v1", "nodes", "Node", namespaced=False),
    Kind("", "v1", "pods", "Pod"),
    Kind("", "v1", "events", "Event", status=False),
    Kind("", "v1", "secrets", "Secret", status=False),
    Kind("", "v1", "configmaps", "ConfigMap", status=False),
    Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
    Kind("batch", "v1", "jobs", "Job"),
    Kind("kubeflow.org", "v1", "pytorchjobs", "PyTorchJob"),
    Kind("kubeflow.org", "v1", "tfjobs", "TFJob"),
    Kind("kubeflow.org", "v1", "xgboostjobs", "XGBoostJob"),
    Kind("kubeflow.org", "v1", "mpijobs", "MPIJob"),
    Kind("trainer.kubeflow.org", "v1alpha1", "trainjobs", "TrainJob"),
    Kind("ray.io", "v1", "rayjobs", "RayJob"),
    Kind("argoproj.io", "v1alpha1", "workflows", "Workflow"),
    Kind("tekton.dev", "v1beta1", "pipelineruns", "PipelineRun"),
]


class Watcher:
    """A queue of events for one watch; None ends it."""

    def __init__(self, kind, namespace, accepts):
        self.kind, self.namespace, self.accepts = kind, namespace, accepts
        self.events = collections.deque()
        self.ready = threading.Condition()
        self.closed = False

    def put(self, event):
        with self.ready:
            self.events.append(event)
            self.ready.notify()

    def close(self):
        with self.ready:
            self.closed = True
            self.ready.notify()

    def take(self, timeout):
        """The next event, or None when there is none in time."""
        with self.ready:
            if not self.events and not self.closed:
                self.ready.wait(timeout)
            return self.events.popleft() if self.events else None


class Store:
    """Thread-safe.  Objects that leave are copies."""

    def __init__(self, history=100_000):
        self.lock = threading.RLock()
        self.version = 1000
        self.objects = {kind.title: {} for kind in KINDS}
        self.history = collections.deque(maxlen=history)  # (version, kind, type, object)
        self.compacted = self.version  # versions up to this can't be watched from
        self.watchers = []
        self.dependents = collections.defaultdict(list)  # uid of an owner -> (kind, space, name)
        self.on_removed = lambda item: None  # with the lock held

    # --- reading

    def get(self, kind, namespace, name):
        with self.lock:
            found = self.objects[kind.title].get((namespace, name))
            if found is None:
                raise ApiError(404, "NotFound", f'{kind.title} "{name}" not found',
                               {"name": name, "group": kind.group, "kind": kind.plural})
            return copy.deepcopy(found)

    def list(self, kind, namespace, accepts):
        with self.lock:
            items = [copy.deepcopy(o) for (space, _), o in sorted(self.objects[kind.title].items())
                     if namespace in (None, space) and accepts(o)]
            return items, self.version

    def watch(self, kind, namespace, accepts, since):
        """A watcher with what happened after `since` in it already; 410 when too old.
        `since` None: with the objects there are, as ADDED."""
        with self.lock:
            watcher = Watcher(kind, namespace, accepts)
            if since is None:
                for item in self.list(kind, namespace, accepts)[0]:
                    watcher.put(("ADDED", item))
            else:
                if since < self.compacted:
                    raise ApiError(410, "Expired",
                                   f"too old resource version: {since} ({self.version})")
                for version, title, type_, item, before in self.history:
                    if version > since and title == kind.title:
                        self._offer(watcher, type_, item, before)
            self.watchers.append(watcher)
            return watcher

    def unwatch(self, watcher):
        with self.lock:
            if watcher in self.watchers:
                self.watchers.remove(watcher)

    # --- writing

    def create(self, kind, namespace, item):
        with self.lock:
            meta = item.setdefault("metadata", {})
            if not meta.get("name"):
                meta["name"] = meta["generateName"] + uuid.uuid4().hex[:5]
            key = (namespace, meta["name"])
            if key in self.objects[kind.title]:
                raise ApiError(409, "AlreadyExists",
                               f'{kind.title} "{meta["name"]}" already exists',
                               {"name": meta["name"], "group": kind.group, "kind": kind.plural})
            if kind.namespaced:
                meta["namespace"] = namespace
            meta.update(uid=str(uuid.uuid4()), creationTimestamp=now(), generation=1)
            item.update(apiVersion=kind.api_version, kind=kind.kind)
            for owner in meta.get("ownerReferences") or []:
                self.dependents[owner["uid"]].append((kind, namespace, meta["name"]))
            return self._put(kind, key, item, "ADDED")

    def update(self, kind, namespace, name, change, expected=None, uid=None):
        """Applies change(object), which may raise; `expected` version or 409."""
        with self.lock:
            item = self.get(kind, namespace, name)
            meta = item["metadata"]
            if expected is not None and expected != meta["resourceVersion"]:
                raise ApiError(409, "Conflict",
                               f'Operation cannot be fulfilled on {kind.title} "{name}": the object '
                               "has been modified; please apply your changes to the latest version "
                               "and try again", {"name": name, "kind": kind.plural})
            if uid is not None and uid != meta["uid"]:
                raise ApiError(409, "Conflict", f"Precondition failed: UID in precondition: {uid}, "
                               f"UID in object meta: {meta['uid']}", {"name": name})
            before = copy.deepcopy(item)
            changed = change(item) or item
            if changed == before:
                return changed
            if changed["metadata"].get("deletionTimestamp") and \
                    changed["metadata"].get("deletionGracePeriodSeconds", 0) == 0 and \
                    not changed["metadata"].get("finalizers"):
                return self._remove(kind, (namespace, name), changed)
            return self._put(kind, (namespace, name), changed, "MODIFIED", before)

    def has(self, uid):
        with self.lock:
            return any(o["metadata"]["uid"] == uid
                       for objects in self.objects.values() for o in objects.values())

    def remove(self, kind, namespace, name):
        with self.lock:
            return self._remove(kind, (namespace, name), self.get(kind, namespace, name))

    def compact(self):
        """Forgets the history, as the real one does after some minutes."""
        with self.lock:
            self.history.clear()
            self.compacted = self.version

    def _put(self, kind, key, item, type_, before=None):
        self.version += 1
        item["metadata"]["resourceVersion"] = str(self.version)
        self.objects[kind.title][key] = copy.deepcopy(item)
        self._tell(kind, type_, item, before)
        return item

    def _remove(self, kind, key, item):
        self.version += 1
        item["metadata"]["resourceVersion"] = str(self.version)
        del self.objects[kind.title][key]
        self._tell(kind, "DELETED", item, item)
        self.on_removed(item)
        return item

    def _tell(self, kind, type_, item, before):
        item = copy.deepcopy(item)
        if self.history.maxlen == len(self.history):
            self.compacted = self.history[0][0]
        self.history.append((self.version, kind.title, type_, item, before))
        for watcher in self.watchers:
            if watcher.kind.title == kind.title:
                self._offer(watcher, type_, item, before)

    @staticmethod
    def _offer(watcher, type_, item, before):
        """An object that comes to fit the selector is ADDED, one that ceases to DELETED."""
        if watcher.namespace not in (None, item["metadata"].get("namespace")):
            return
        fits = watcher.accepts(item)
        fitted = before is not None and watcher.accepts(before)
        if type_ == "DELETED":
            if fitted or fits:
                watcher.put(("DELETED", item))
        elif fits:
            watcher.put(("MODIFIED" if fitted else "ADDED", item))
        elif fitted:
            watcher.put(("DELETED", item))
