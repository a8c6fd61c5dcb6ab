"""An API server with the documented behaviour of Kubernetes', for tests.

    with Double() as double:            # plain HTTP on loopback; tls=True for certificates
        double.write_kubeconfig(path)

What it has: discovery; create, get, list (selectors, limit/continue), watch (resourceVersion,
bookmarks, 410), replace, the three patches, delete (grace, preconditions, propagation,
finalizers), the status subresource, pod logs (follow, sinceTime, timestamps, tailLines);
Status errors 400 to 504; rights by token; a request limit that answers 429 with Retry-After.
`chaos` makes it fail.  cluster.py plays scheduler, kubelet and controllers on its store.
"""

from __future__ import annotations

import base64
import dataclasses
import http.server
import json
import random
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

from . import store as stores
from .objects import check_object, field_selector, invalid, json_patch, merge, selector
from .store import KINDS, ApiError

BODY_MAX = 3 * 1024 * 1024


@dataclasses.dataclass
class Chaos:
    """What goes wrong.  Change it while the server runs."""

    errors: float = 0.0          # share of requests answered with 500, 503 or 504
    refuse: float = 0.0          # share of requests whose connection is closed unanswered
    lose_answers: float = 0.0    # share of writes that are done but whose answer is lost
    cut_every: float = 0.0       # seconds after which every open stream is cut; 0 = never
    delay: float = 0.0           # seconds by which watch events come late, at most
    reorder: bool = False        # events of different objects may change places
    slow: float = 0.0            # seconds added to each answer, at most
    silent: str = ""             # requests whose path has this are never answered
    seed: int = 1


@dataclasses.dataclass
class Counts:
    """What was asked of the server: requests by (verb, resource)."""

    requests: dict = dataclasses.field(default_factory=dict)

    def of(self, verb, plural):
        return self.requests.get((verb, plural), 0)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    # --- answering

    def answer(self, code, body, headers=()):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def begin_stream(self, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def handle_one_request(self):
        self.server.double.connections.add(self.connection)
        try:
            super().handle_one_request()
        except (ConnectionError, ssl.SSLError, ValueError, OSError):
            self.close_connection = True

    def finish(self):
        self.server.double.connections.discard(self.connection)
        try:
            super().finish()
        except (ConnectionError, ssl.SSLError, ValueError, OSError):
            pass

    def serve(self):
        double = self.server.double
        url = urllib.parse.urlsplit(self.path)
        self.query = {k: v[-1] for k, v in urllib.parse.parse_qs(url.query, True).items()}
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length) if 0 < length <= BODY_MAX else b""
        try:
            if length > BODY_MAX:
                raise ApiError(413, "RequestEntityTooLarge", "Request entity too large: limit is "
                               f"{BODY_MAX}")
            double.admit(self)
            self.route([urllib.parse.unquote(p) for p in url.path.split("/") if p])
        except ApiError as error:
            headers = [("Retry-After", str(error.retry_after))] if error.retry_after else []
            self.answer(error.code, error.status(), headers)
        except NotServed:
            text = b"404 page not found\n"
            self.send_response(404)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
        except DropConnection:
            self.close_connection = True
            self.connection.close()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    # --- routes

    def route(self, parts):
        store = self.server.double.store
        if parts in (["healthz"], ["readyz"], ["livez"]):
            self.begin_stream("text/plain")
            self.chunk(b"ok")
            return self.wfile.write(b"0\r\n\r\n")
        if parts == ["version"]:
            return self.answer(200, {"major": "1", "minor": "31", "gitVersion": "v1.31.0-double",
                                     "platform": "linux/amd64"})
        if parts == ["api"]:
            return self.answer(200, {"kind": "APIVersions", "versions": ["v1"]})
        if parts == ["apis"]:
            groups = sorted({(k.group, k.version) for k in KINDS if k.group})
            return self.answer(200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
                {"name": g, "versions": [{"groupVersion": f"{g}/{v}", "version": v}],
                 "preferredVersion": {"groupVersion": f"{g}/{v}", "version": v}}
                for g, v in groups]})
        if parts[:2] == ["api", "v1"]:
            group, version, rest = "", "v1", parts[2:]
        elif parts[:1] == ["apis"] and len(parts) >= 3:
            group, version, rest = parts[1], parts[2], parts[3:]
        else:
            raise NotServed
        if not rest:
            return self.resource_list(group, version)
        namespace = None
        if rest[0] == "namespaces" and len(rest) >= 3:
            namespace, rest = rest[1], rest[2:]
        kind = next((k for k in KINDS if (k.group, k.version, k.plural) ==
                     (group, version, rest[0])), None)
        if kind is None or (namespace is not None and not kind.namespaced) or len(rest) > 3:
            raise NotServed
        name = rest[1] if len(rest) > 1 else None
        sub = rest[2] if len(rest) > 2 else None
        self.server.double.authorise(self, kind, namespace, name, sub)
        while self.server.double.is_silent(self.path):
            time.sleep(0.05)
        verbs = {"GET": self.read, "POST": self.create, "PUT": self.replace, "PATCH": self.patch,
                 "DELETE": self.delete}
        return verbs[self.command](store, kind, namespace, name, sub)

    def resource_list(self, group, version):
        kinds = [k for k in KINDS if (k.group, k.version) == (group, version)]
        if not kinds:
            raise NotServed
        resources = []
        for k in kinds:
            verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update",
                     "watch"]
            resources.append({"name": k.plural, "singularName": k.kind.lower(), "kind": k.kind,
                              "namespaced": k.namespaced, "verbs": verbs})
            if k.status:
                resources.append({"name": f"{k.plural}/status", "singularName": "", "kind": k.kind,
                                  "namespaced": k.namespaced, "verbs": ["get", "patch", "update"]})
        if group == "":
            resources.append({"name": "pods/log", "singularName": "", "kind": "Pod",
                              "namespaced": True, "verbs": ["get"]})
        self.answer(200, {"kind": "APIResourceList", "apiVersion": "v1",
                          "groupVersion": f"{group}/{version}" if group else version,
                          "resources": resources})

    def read(self, store, kind, namespace, name, sub):
        if name is None:
            return self.watch(store, kind, namespace) if self.query.get("watch") in ("1", "true") \
                else self.list(store, kind, namespace)
        if sub == "log" and kind.kind == "Pod":
            return self.log(store, kind, namespace, name)
        if sub not in (None, "status"):
            raise NotServed
        return self.answer(200, store.get(kind, namespace, name))

    def accepts(self):
        labels, fields = selector(self.query.get("labelSelector")), \
            field_selector(self.query.get("fieldSelector"))
        return lambda item: labels(item["metadata"].get("labels") or {}) and fields(item)

    def list(self, store, kind, namespace):
        limit = int(self.query.get("limit") or 0)
        items, version = store.list(kind, namespace, self.accepts())
        meta = {"resourceVersion": str(version)}
        if self.query.get("continue"):
            try:
                token = json.loads(base64.urlsafe_b64decode(self.query["continue"]))
            except ValueError:
                raise ApiError(400, "BadRequest", "continue key is not valid") from None
            if token["rv"] < store.compacted:
                raise ApiError(410, "Expired", "The provided continue parameter is too old to "
                               "display a consistent list result.")
            meta["resourceVersion"] = str(token["rv"])
            items = [i for i in items
                     if [i["metadata"].get("namespace", ""), i["metadata"]["name"]] > token["after"]]
        if limit and len(items) > limit:
            last = items[limit - 1]["metadata"]
            meta["remainingItemCount"] = len(items) - limit
            meta["continue"] = base64.urlsafe_b64encode(json.dumps(
                {"rv": int(meta["resourceVersion"]),
                 "after": [last.get("namespace", ""), last["name"]]}).encode()).decode()
            items = items[:limit]
        for item in items:  # a list names the kind once
            item.pop("kind"), item.pop("apiVersion")
        self.answer(200, {"kind": f"{kind.kind}List", "apiVersion": kind.api_version,
                          "metadata": meta, "items": items})

    def watch(self, store, kind, namespace):
        double = self.server.double
        since = self.query.get("resourceVersion") or None
        if since is not None and not since.isdigit():
            raise ApiError(400, "BadRequest", f'invalid resource version "{since}"')
        since = None if since in (None, "0") else int(since)
        seconds = float(self.query.get("timeoutSeconds") or random.uniform(1800, 3600))
        bookmarks = self.query.get("allowWatchBookmarks") in ("1", "true")
        deadline, bookmark = time.monotonic() + seconds, time.monotonic() + double.bookmark_every
        try:
            watcher = store.watch(kind, namespace, self.accepts(), since)
        except ApiError as error:  # the stream begins well and says so
            self.begin_stream("application/json")
            self.event("ERROR", error.status())
            self.wfile.write(b"0\r\n\r\n")
            return
        held = []
        self.begin_stream("application/json")
        try:
            while time.monotonic() < deadline and not double.closing:
                event = watcher.take(0.05 if held else min(0.5, double.bookmark_every))
                if event is not None:
                    held.append((time.monotonic() + double.random(0, double.chaos.delay), event))
                    if double.chaos.reorder and len(held) > 1 and double.random(0, 1) < 0.5 and \
                            identity(held[-1]) != identity(held[-2]):
                        held[-1], held[-2] = held[-2], held[-1]
                while held and held[0][0] <= time.monotonic():
                    self.event(*held.pop(0)[1])
                if bookmarks and not held and time.monotonic() > bookmark:
                    bookmark = time.monotonic() + double.bookmark_every
                    with store.lock:
                        quiet = not watcher.events
                        version = store.version
                    if quiet:
                        self.event("BOOKMARK", {"kind": kind.kind, "apiVersion": kind.api_version,
                                                "metadata": {"resourceVersion": str(version)}})
            self.wfile.write(b"0\r\n\r\n")
        finally:
            store.unwatch(watcher)

    def event(self, type_, item):
        self.chunk(json.dumps({"type": type_, "object": item}).encode() + b"\n")

    def log(self, store, kind, namespace, name):
        double = self.server.double
        pod = store.get(kind, namespace, name)
        containers = [c["name"] for c in pod["spec"]["containers"]]
        inits = [c["name"] for c in pod["spec"].get("initContainers") or []]
        container = self.query.get("container") or containers[0]
        if "container" not in self.query and len(containers) > 1:
            raise ApiError(400, "BadRequest", f"a container name must be specified for pod {name}, "
                           f"choose one of: {containers}")
        if container not in containers + inits:
            raise ApiError(400, "BadRequest", f"container {container} is not valid for pod {name}")
        log = double.logs.get((pod["metadata"]["uid"], container))
        if log is None:
            raise ApiError(400, "BadRequest", f'container "{container}" in pod "{name}" is waiting '
                           "to start: ContainerCreating")
        since = self.query.get("sinceTime", "")
        stamps = self.query.get("timestamps") in ("1", "true")
        follow = self.query.get("follow") in ("1", "true")
        tail = int(self.query.get("tailLines") or -1)
        self.begin_stream("text/plain")
        at = max(0, len(log.lines) - tail) if tail >= 0 else 0
        while not double.closing:
            lines, ended = log.read(at, 0.5 if follow else 0)
            at += len(lines)
            for stamp, text in lines:
                if since and stamp[:19] < since[:19]:  # whole seconds, as the real one
                    continue
                self.chunk((f"{stamp} " if stamps else "").encode() + text + b"\n")
            if not lines and (ended or not follow):
                break
        self.wfile.write(b"0\r\n\r\n")

    # --- writes

    def json_body(self):
        try:
            body = json.loads(self.body)
        except ValueError as error:
            raise ApiError(400, "BadRequest", f"the object provided is unrecognized: {error}") \
                from None
        return body

    def done(self, code, item):
        double = self.server.double
        if double.random(0, 1) < double.chaos.lose_answers:
            raise DropConnection
        self.answer(code, item)

    def create(self, store, kind, namespace, name, sub):
        if name is not None or (kind.namespaced and namespace is None):
            raise ApiError(405, "MethodNotAllowed", "the server does not allow this method on the "
                           "requested resource")
        item = self.json_body()
        meta = item.get("metadata") or {}
        if (item.get("apiVersion"), item.get("kind")) != (kind.api_version, kind.kind):
            raise ApiError(400, "BadRequest", f'{item.get("kind")} in version '
                           f'"{item.get("apiVersion")}" cannot be handled as a {kind.kind}')
        if meta.get("namespace") not in (None, namespace):
            raise ApiError(400, "BadRequest", "the namespace of the provided object does not match "
                           "the namespace sent on the request")
        if kind.namespaced:
            try:
                store.get(KINDS[0], None, namespace)
            except ApiError:
                raise ApiError(404, "NotFound", f'namespaces "{namespace}" not found',
                               {"name": namespace, "kind": "namespaces"}) from None
        with store.lock:  # what admits it sees what was admitted before
            made = self.admit_and_create(store, kind, namespace, item)
        return self.done(201, made) if made is not None else self.answer(201, item)

    def admit_and_create(self, store, kind, namespace, item):
        """None: it is not to be made."""
        self.server.double.admit_object(kind, namespace, item)
        check_object(kind, item)
        if self.query.get("dryRun") == "All":
            return None
        item.pop("status", None)
        if kind.kind == "Pod":
            item["status"] = {"phase": "Pending", "qosClass": "BestEffort"}
            item["spec"].setdefault("restartPolicy", "Always")
            item["spec"].setdefault("terminationGracePeriodSeconds", 30)
        if kind.kind == "Secret":
            for key, text in (item.pop("stringData", None) or {}).items():
                item.setdefault("data", {})[key] = base64.b64encode(text.encode()).decode()
        made = store.create(kind, namespace, item)
        owners = made["metadata"].get("ownerReferences") or []
        if owners and not any(store.has(owner["uid"]) for owner in owners):
            store.remove(kind, namespace, made["metadata"]["name"])  # by the garbage collector
        return made

    def replace(self, store, kind, namespace, name, sub):
        fresh = self.json_body()

        def change(item):
            return self.changed(kind, item, fresh, sub)
        expected = (fresh.get("metadata") or {}).get("resourceVersion")
        self.done(200, store.update(kind, namespace, name, change, expected))

    def patch(self, store, kind, namespace, name, sub):
        how = self.headers.get("Content-Type", "").split(";")[0]
        patch = self.json_body()
        if how not in ("application/merge-patch+json", "application/strategic-merge-patch+json",
                       "application/json-patch+json"):
            raise ApiError(415, "UnsupportedMediaType", "the body of the request was in an unknown "
                           f"format - accepted media types include: merge-patch, not {how}")

        def change(item):
            fresh = json_patch(item, patch) if how.startswith("application/json-patch") else \
                merge(item, patch)
            return self.changed(kind, item, fresh, sub)
        expected = (patch.get("metadata") or {}).get("resourceVersion") \
            if isinstance(patch, dict) else None
        self.done(200, store.update(kind, namespace, name, change, expected))

    @staticmethod
    def changed(kind, item, fresh, sub):
        """The object after a write of its main part or of its status."""
        if sub == "status":
            return {**item, "status": fresh.get("status", {})}
        if sub is not None:
            raise NotServed
        keep = {k: item["metadata"].get(k) for k in ("uid", "creationTimestamp", "name",
                                                     "namespace", "generation", "deletionTimestamp",
                                                     "deletionGracePeriodSeconds")
                if k in item["metadata"]}
        result = {**fresh, "metadata": {**fresh.get("metadata", {}), **keep}}
        if kind.status and "status" in item:
            result["status"] = item["status"]
        if kind.kind == "Pod" and fresh.get("spec") != item.get("spec"):
            invalid(kind, item["metadata"]["name"], [("spec", "FieldValueForbidden",
                                                      "Forbidden: pod updates may not change "
                                                      "fields other than the image")])
        return result

    def delete(self, store, kind, namespace, name, sub):
        options = self.json_body() if self.body else {}
        grace = options.get("gracePeriodSeconds", self.query.get("gracePeriodSeconds"))
        policy = options.get("propagationPolicy") or self.query.get("propagationPolicy")
        conditions = options.get("preconditions") or {}
        if name is None:  # deletecollection
            items, _ = store.list(kind, namespace, self.accepts())
        else:
            items = [store.get(kind, namespace, name)]
        for item in items:
            self.server.double.delete(kind, item, grace, policy, conditions)
        if name is None:
            return self.done(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})
        return self.done(200, items[0] if kind.kind == "Pod" else
                         {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                          "details": {"name": name, "kind": kind.plural}})


class DropConnection(Exception):
    """Close without an answer."""


class NotServed(Exception):
    """No path of this server: it says so in plain text."""


def identity(held):
    meta = held[1][1]["metadata"]
    return meta.get("uid")


class Log:
    """The output of one container, followed by any number of readers."""

    def __init__(self):
        self.lines, self.ended = [], False
        self.more = threading.Condition()

    def write(self, text):
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds:09d}Z"
        with self.more:
            self.lines.append((stamp, text))
            self.more.notify_all()

    def end(self):
        with self.more:
            self.ended = True
            self.more.notify_all()

    def read(self, at, wait):
        with self.more:
            if at >= len(self.lines) and not self.ended and wait:
                self.more.wait(wait)
            return self.lines[at:], self.ended


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        pass


class Double:
    """The server.  `rights` maps tokens to functions (verb, resource, namespace) -> bool;
    None lets every request in."""

    controlled = frozenset()  # kinds with controllers of their own: Cluster plays them all

    def __init__(self, tls_folder=None, rights=None, qps=None, history=100_000):
        self.store = stores.Store(history)
        self.store.on_removed = self.removed
        self.logs = {}
        self.chaos, self.counts = Chaos(), Counts()
        self.rights, self.qps = rights, qps
        self.webhooks = []  # function(kind, item): changes what is created
        self.quota = None   # pods in the namespace "assay" that have not ended
        self.bookmark_every = 2.0
        self.connections, self.closing = set(), False
        self.rng, self.lock = random.Random(1), threading.Lock()
        self.tokens, self.refilled = float(qps or 0), time.monotonic()
        self.throttled = 0  # requests answered with 429
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.double = self
        self.tls_folder = tls_folder
        if tls_folder is not None:
            self.make_certificates()
        for name in ("default", "kube-system", "assay", "team"):
            self.store.create(KINDS[0], None, {"metadata": {"name": name}})
        self.threads = [threading.Thread(target=self.server.serve_forever, args=(0.05,),
                                         daemon=True),
                        threading.Thread(target=self.cut_streams, daemon=True)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.closing = True
        self.server.shutdown()
        self.server.server_close()
        self.cut()

    @property
    def url(self):
        scheme = "https" if self.tls_folder is not None else "http"
        return f"{scheme}://127.0.0.1:{self.server.server_address[1]}"

    def random(self, low, high):
        with self.lock:
            return self.rng.uniform(low, high)

    # --- who may

    def admit(self, handler):
        """Chaos, the request limit and authentication."""
        chaos = self.chaos
        if chaos.slow:
            time.sleep(self.random(0, chaos.slow))
        if self.random(0, 1) < chaos.refuse:
            raise DropConnection
        if self.random(0, 1) < chaos.errors:
            code, reason = [(500, "InternalError"), (503, "ServiceUnavailable"),
                            (504, "Timeout")][int(self.random(0, 2.999))]
            raise ApiError(code, reason, "the server is currently unable to handle the request")
        if self.qps is not None:
            with self.lock:
                now = time.monotonic()
                self.tokens = min(2.0 * self.qps, self.tokens + (now - self.refilled) * self.qps)
                self.refilled = now
                if self.tokens < 1.0:
                    self.throttled += 1
                    raise ApiError(429, "TooManyRequests", "too many requests, please try again "
                                   "later", retry_after=1)
                self.tokens -= 1.0
        if self.rights is not None and self.rights.get(self.token(handler)) is None:
            raise ApiError(401, "Unauthorized", "Unauthorized")

    def is_silent(self, path):
        return self.chaos.silent and self.chaos.silent in path and not self.closing

    @staticmethod
    def token(handler):
        return handler.headers.get("Authorization", "").removeprefix("Bearer ")

    def authorise(self, handler, kind, namespace, name, sub):
        verb = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch",
                "DELETE": "delete"}[handler.command]
        if verb == "get" and name is None:
            verb = "watch" if handler.query.get("watch") in ("1", "true") else "list"
        if verb == "delete" and name is None:
            verb = "deletecollection"
        resource = f"{kind.plural}/{sub}" if sub else kind.plural
        with self.lock:
            key = (verb, resource)
            self.counts.requests[key] = self.counts.requests.get(key, 0) + 1
        if self.rights is None:
            return
        if not self.rights[self.token(handler)](verb, resource, kind.group, namespace):
            where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
            raise ApiError(403, "Forbidden", f'{resource} is forbidden: User '
                           f'"system:serviceaccount:assay:assayd" cannot {verb} resource '
                           f'"{resource}" in API group "{kind.group}"{where}',
                           {"name": name or "", "group": kind.group, "kind": kind.plural})

    # --- admission

    def set_quota(self, pods):
        self.quota = pods

    def admit_object(self, kind, namespace, item):
        for hook in self.webhooks:
            hook(kind, item)
        if kind.kind != "Pod" or self.quota is None or namespace != "assay":
            return
        used = len(self.store.list(kind, namespace, lambda p: p["status"]["phase"] not in
                                   ("Succeeded", "Failed"))[0])
        if used >= self.quota:
            name = item["metadata"]["name"]
            raise ApiError(403, "Forbidden", f'pods "{name}" is forbidden: exceeded quota: trials, '
                           f"requested: pods=1, used: pods={used}, limited: pods={self.quota}",
                           {"name": name, "kind": "pods"})

    # --- deletion, for clients and for the cluster's controllers

    def delete(self, kind, item, grace=None, policy=None, conditions=None):
        meta = item["metadata"]
        with self.store.lock:  # as it is now
            item = self.store.get(kind, meta.get("namespace"), meta["name"])
            if item["metadata"]["uid"] == meta["uid"]:
                self.delete_now(kind, item, grace, policy, conditions or {})

    def delete_now(self, kind, item, grace, policy, conditions):
        meta = item["metadata"]
        namespace, name = meta.get("namespace"), meta["name"]
        running = kind.kind == "Pod" and (item.get("spec") or {}).get("nodeName") and \
            (item.get("status") or {}).get("phase") in ("Pending", "Running")
        if grace is None:
            grace = item["spec"].get("terminationGracePeriodSeconds", 30) if running else 0
        grace = int(grace) if running else 0

        foreground = policy == "Foreground" and kind.kind != "Pod" and self.owns(meta["uid"])

        def mark(fresh):
            meta = fresh["metadata"]
            if meta.get("deletionTimestamp") and meta.get("deletionGracePeriodSeconds", 0) <= grace:
                return fresh
            meta["deletionTimestamp"] = stores.now()
            meta["deletionGracePeriodSeconds"] = grace
            if foreground:
                meta["finalizers"] = [*(meta.get("finalizers") or []), "foregroundDeletion"]
            return fresh
        self.store.update(kind, namespace, name, mark, conditions.get("resourceVersion"),
                          conditions.get("uid"))
        if policy == "Orphan":
            self.store.dependents.pop(meta["uid"], None)
        else:
            self.collect_garbage(meta["uid"])

    def owns(self, uid):
        """Whether there is anything yet that this object made."""
        for kind, namespace, name in self.store.dependents.get(uid, []):
            try:
                item = self.store.get(kind, namespace, name)
            except ApiError:
                continue
            if any(r["uid"] == uid for r in item["metadata"].get("ownerReferences") or []):
                return True
        return False

    def collect_garbage(self, owner):
        for kind, namespace, name in list(self.store.dependents.get(owner, [])):
            try:
                self.delete(kind, self.store.get(kind, namespace, name))
            except ApiError:
                pass  # gone by itself

    def removed(self, item):
        """What it made goes with it; what was deleted in the foreground after all it made."""
        self.collect_garbage(item["metadata"]["uid"])
        self.store.dependents.pop(item["metadata"]["uid"], None)
        for ref in item["metadata"].get("ownerReferences") or []:
            if self.owns(ref["uid"]):
                continue
            kind = next(k for k in KINDS if (k.api_version, k.kind) ==
                        (ref["apiVersion"], ref["kind"]))
            try:
                owner = self.store.get(kind, item["metadata"]["namespace"], ref["name"])
            except ApiError:
                continue
            if "foregroundDeletion" in (owner["metadata"].get("finalizers") or []):
                self.store.remove(kind, owner["metadata"]["namespace"], ref["name"])

    # --- trouble

    def cut(self):
        """Every open connection breaks."""
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut_streams(self):
        last = time.monotonic()
        while not self.closing:
            time.sleep(0.05)
            if self.chaos.cut_every and time.monotonic() - last > self.chaos.cut_every:
                last = time.monotonic()
                self.cut()

    # --- how to reach it

    def make_certificates(self):
        """A CA, a server certificate for 127.0.0.1 and a client's, by openssl(1)."""
        folder = self.tls_folder

        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days", "2", "-subj", "/CN=double-ca", "-keyout", "ca.key", "-out", "ca.crt")
        for name, extra in (("server", "subjectAltName=IP:127.0.0.1"),
                            ("client", "extendedKeyUsage=clientAuth")):
            (folder / f"{name}.ext").write_text(extra + "\n")
            openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
            openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                    "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext",
                    "-out", f"{name}.crt")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.crt", folder / "server.key")
        context.load_verify_locations(folder / "ca.crt")
        context.verify_mode = ssl.CERT_OPTIONAL
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                 do_handshake_on_connect=False)

    def write_kubeconfig(self, path, token=None, namespace="assay", user=None):
        """A kubeconfig (JSON is YAML) with one context; `user` replaces how to log in."""
        cluster = {"server": self.url}
        if self.tls_folder is not None:
            cluster["certificate-authority"] = str(self.tls_folder / "ca.crt")
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "double",
            "clusters": [{"name": "double", "cluster": cluster}],
            "users": [{"name": "tester", "user": user or ({"token": token} if token else {})}],
            "contexts": [{"name": "double", "context": {"cluster": "double", "user": "tester",
                                                        "namespace": namespace}}]}, indent=1))
        return path
