"""A real API server in place of the double: with Real(kubeconfig) as api: …

For an API server, etcd and controller manager on this machine, without nodes: Cluster plays
scheduler and kubelet through its API, and its logs are served to it as a kubelet does.  The
kubeconfig's user must be an admin with a client certificate.  assayd gets the account and the
rights of deploy/kubernetes, no more.
"""

from __future__ import annotations

import fcntl
import http.client
import http.server
import json
import pathlib
import ssl
import subprocess
import threading
import time
import urllib.parse

import yaml

from .double import Chaos, Counts
from .store import KINDS, ApiError, Watcher

ROOT = pathlib.Path(__file__).resolve().parents[3]
NAMESPACE = "assay"
SECRETS = next(k for k in KINDS if k.kind == "Secret")
TEMPLATE_KINDS = [k for k in KINDS if k.namespaced and k.group]
OURS = "assay.dev/test-node"


class RemoteStore:
    """What cluster.py asks of a store, through the API."""

    def __init__(self, server, context):
        self.host, self.context = urllib.parse.urlsplit(server).netloc, context
        self.own = threading.local()

    def connect(self, timeout=60):
        return http.client.HTTPSConnection(self.host, context=self.context, timeout=timeout)

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body)
        until = time.monotonic() + 60  # the server may be away for a while
        while True:
            if not hasattr(self.own, "connection"):
                self.own.connection = self.connect()
            try:
                self.own.connection.request(method, path, data,
                                            {"Content-Type": "application/json"})
                answer = self.own.connection.getresponse()
                text = answer.read()
                if (answer.status < 500 and answer.status != 429) or time.monotonic() > until:
                    break
            except (http.client.HTTPException, OSError):
                del self.own.connection
                if time.monotonic() > until:
                    raise
            time.sleep(0.05)
        found = json.loads(text) if text[:1] == b"{" else {"message": text.decode()}
        if answer.status >= 300:
            raise ApiError(answer.status, found.get("reason", ""), found.get("message", ""))
        return found

    @staticmethod
    def path(kind, namespace=None, name=None, sub=None):
        parts = [f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"]
        parts += [f"namespaces/{namespace}"] if namespace else []
        parts += [part for part in (kind.plural, name, sub) if part]
        return "/".join(parts)

    def get(self, kind, namespace, name):
        return self.call("GET", self.path(kind, namespace, name))

    def list(self, kind, namespace, accepts):
        found = self.call("GET", self.path(kind, namespace))
        return [i for i in found["items"] if accepts(i)], found["metadata"]["resourceVersion"]

    def create(self, kind, namespace, item):
        item = {**item, "apiVersion": kind.api_version, "kind": kind.kind}
        if kind.kind == "Node":
            item["metadata"]["labels"][OURS] = ""
        made = self.call("POST", self.path(kind, namespace), item)
        if kind.kind == "Node":
            self.update(kind, None, made["metadata"]["name"], lambda fresh: {
                **fresh, "status": {**fresh["status"], **item["status"]}})
        return made

    def update(self, kind, namespace, name, change, expected=None, uid=None):
        while True:
            item = self.get(kind, namespace, name)
            if uid is not None and item["metadata"]["uid"] != uid:
                raise ApiError(409, "Conflict", "another object of this name")
            node = item["spec"].get("nodeName")
            before, spec = json.dumps(item), json.dumps(item["spec"])
            item = change(item) or item
            if json.dumps(item) == before:
                return item
            try:
                if kind.kind == "Pod" and node is None and item["spec"].get("nodeName"):
                    return self.call("POST", self.path(kind, namespace, name, "binding"), {
                        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
                        "target": {"kind": "Node", "name": item["spec"]["nodeName"]}})
                of_status = "status" in item and json.dumps(item["spec"]) == spec
                return self.call("PUT", self.path(kind, namespace, name,
                                                  "status" if of_status else None), item)
            except ApiError as error:
                if error.code != 409 or expected is not None:
                    raise

    def remove(self, kind, namespace, name):
        return self.call("DELETE", self.path(kind, namespace, name), {
            "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0,
            "propagationPolicy": "Background"})  # of Jobs the default is Orphan

    def watch(self, kind, namespace, accepts, since):
        watcher = Watcher(kind, namespace, accepts)
        threading.Thread(target=self.follow, args=(watcher,), daemon=True).start()
        return watcher

    def follow(self, watcher):
        version = None
        while not watcher.closed:
            if version is None:
                items, version = self.list(watcher.kind, watcher.namespace, watcher.accepts)
                for item in items:
                    watcher.put(("ADDED", item))
            connection = self.connect()
            try:
                connection.request("GET", f"{self.path(watcher.kind, watcher.namespace)}?watch=1"
                                   f"&resourceVersion={version}&timeoutSeconds=30")
                for line in connection.getresponse():
                    event = json.loads(line)
                    if event.get("type", "ERROR") == "ERROR":
                        version = None
                    if version is None or watcher.closed:
                        break
                    version = event["object"]["metadata"]["resourceVersion"]
                    watcher.put((event["type"], event["object"]))
            except (http.client.HTTPException, OSError, ValueError):
                time.sleep(0.1)
            finally:
                connection.close()

    def unwatch(self, watcher):
        watcher.close()


class KubeletHandler(http.server.BaseHTTPRequestHandler):
    """GET /containerLogs/NAMESPACE/POD/CONTAINER, asked by the API server."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = {k: v[-1] for k, v in urllib.parse.parse_qs(url.query).items()}
        api = self.server.api
        log = None
        parts = url.path.strip("/").split("/")
        if len(parts) == 4 and parts[0] == "containerLogs":
            try:
                pod = api.store.get(KINDS[2], parts[1], parts[2])
                log = api.logs.get((pod["metadata"]["uid"], parts[3]))
            except ApiError:
                pass
        if log is None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        at, follow, since = 0, query.get("follow") == "true", query.get("sinceTime", "")
        try:
            while not api.closing:
                lines, ended = log.read(at, 0.5 if follow else 0)
                at += len(lines)
                for stamp, text in lines:
                    if stamp[:19] < since[:19]:
                        continue
                    data = (f"{stamp} " if query.get("timestamps") == "true" else "").encode() \
                        + text + b"\n"
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()
                if not lines and (ended or not follow):
                    break
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True
        return None


class Kubelet(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass


def definition(kind):
    """A kind of somebody's operator, whose objects may hold anything."""
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": kind.title}, "spec": {
                "group": kind.group, "scope": "Namespaced",
                "names": {"plural": kind.plural, "singular": kind.kind.lower(), "kind": kind.kind,
                          "listKind": f"{kind.kind}List"},
                "versions": [{"name": kind.version, "served": True, "storage": True,
                              "subresources": {"status": {}}, "schema": {"openAPIV3Schema": {
                                  "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}}


class Real:
    """Stands in for Double in tests that need no trouble of its making."""

    controlled = {"Job"}  # kinds that the server's own controllers see to

    def __init__(self, kubeconfig, folder, kinds=None, standard="restricted"):
        """`kinds`: the folders of deploy/kinds whose rights assayd gets; None: all.
        `standard`: what the namespace holds pods to."""
        self.kubeconfig = kubeconfig
        config = yaml.safe_load(pathlib.Path(kubeconfig).read_text())

        def named(section, key, name):
            return next(e[key] for e in config[section] if e["name"] == name)
        context = named("contexts", "context", config["current-context"])
        self.cluster = named("clusters", "cluster", context["cluster"])
        user = named("users", "user", context["user"])
        tls = ssl.create_default_context(cafile=self.cluster["certificate-authority"])
        tls.load_cert_chain(user["client-certificate"], user["client-key"])
        self.store, self.logs = RemoteStore(self.cluster["server"], tls), {}
        self.chaos, self.counts, self.closing = Chaos(), Counts(), False
        self.folder, self.kinds, self.standard = folder, kinds, standard

    @property
    def version(self):
        return self.store.call("GET", "/version")["gitVersion"]

    QUOTAS = f"/api/v1/namespaces/{NAMESPACE}/resourcequotas"

    def set_quota(self, pods):
        self.store.call("POST", self.QUOTAS, {
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "trials"},
            "spec": {"hard": {"pods": str(pods)}}})
        until = time.monotonic() + 30
        while time.monotonic() < until:  # it holds once its controller has counted
            if self.store.call("GET", self.QUOTAS + "/trials").get("status", {}).get("used"):
                return
            time.sleep(0.1)
        raise RuntimeError("the quota is not enforced")

    def own_nodes(self):
        return [n["metadata"]["name"] for n in self.store.list(
            KINDS[1], None, lambda n: OURS in n["metadata"].get("labels", {}))[0]]

    def sweep(self):
        """What a test that failed or was killed has left."""
        try:
            self.store.call("DELETE", self.QUOTAS + "/trials")
        except ApiError:
            pass
        for name in self.own_nodes():
            self.store.remove(KINDS[1], None, name)
        for kind in [*TEMPLATE_KINDS, KINDS[2], SECRETS]:
            try:
                items = self.store.list(kind, NAMESPACE, lambda o: o.get("type") in (
                    None, "Opaque"))[0]
            except ApiError:
                continue  # a kind that is not there yet
            for item in items:
                try:
                    self.store.remove(kind, NAMESPACE, item["metadata"]["name"])
                except ApiError:
                    pass  # it has gone by itself

    def __enter__(self):
        self.turn = open(self.kubeconfig)  # two kubelets would run each other's pods
        fcntl.flock(self.turn, fcntl.LOCK_EX)
        self.sweep()
        if self.store.list(KINDS[1], None, lambda n: True)[0]:
            raise RuntimeError("this cluster has nodes of its own; the tests play the only ones")
        certificate, key = self.folder / "kubelet.crt", self.folder / "kubelet.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=node",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key),
                        "-out", str(certificate)], check=True, capture_output=True)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        self.kubelet = Kubelet(("127.0.0.1", 0), KubeletHandler)
        self.kubelet.api = self
        self.kubelet.socket = tls.wrap_socket(self.kubelet.socket, server_side=True,
                                              do_handshake_on_connect=False)
        threading.Thread(target=self.kubelet.serve_forever, args=(0.05,), daemon=True).start()
        self.prepare()
        threading.Thread(target=self.beat, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.closing = True
        self.sweep()
        self.kubelet.shutdown()
        self.kubelet.server_close()
        self.turn.close()

    def apply(self, path, item):
        try:
            self.store.call("POST", path, item)
        except ApiError as error:
            if error.code != 409:
                raise
            if item["kind"] == "Role":  # of an earlier version
                self.store.call("PUT", f"{path}/{item['metadata']['name']}", item)

    def prepare(self):
        """The namespace, held to the restricted standard, with the account and its rights."""
        self.apply("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace",
                                          "metadata": {"name": NAMESPACE}})
        self.store.update(KINDS[0], None, NAMESPACE, lambda fresh: fresh["metadata"].setdefault(
            "labels", {}).update({"pod-security.kubernetes.io/enforce": self.standard}))
        places = {"ServiceAccount": "/api/v1", "Role": "/apis/rbac.authorization.k8s.io/v1",
                  "RoleBinding": "/apis/rbac.authorization.k8s.io/v1"}
        folder = ROOT / "deploy/kubernetes"
        for file in [folder / name for name in
                     yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]]:
            for item in yaml.safe_load_all(file.read_text()):
                if item["kind"] in places:
                    self.apply(f"{places[item['kind']]}/namespaces/{NAMESPACE}/"
                               f"{item['kind'].lower()}s", item)
        rules = []  # (rule, whether it is granted)
        for file in sorted((ROOT / "deploy/kinds").glob("*/role.yaml")):
            granted = self.kinds is None or file.parent.name in self.kinds
            for item in yaml.safe_load_all(file.read_text()):
                path = f"{places[item['kind']]}/namespaces/{NAMESPACE}/{item['kind'].lower()}s"
                if granted:
                    self.apply(path, item)
                elif item["kind"] == "RoleBinding":
                    self.withdraw(f"{path}/{item['metadata']['name']}")
                rules += [(rule, granted) for rule in (item.get("rules") or [])[:-1]]
        for rule, granted in rules:
            self.wait_rights(rule, granted)
        for kind in TEMPLATE_KINDS:
            if kind.group != "batch":
                self.apply("/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
                           definition(kind))
        until = time.monotonic() + 60
        while time.monotonic() < until:  # the controller manager makes the account of pods
            try:
                for kind in TEMPLATE_KINDS:  # and the server takes its time to serve a kind
                    self.store.list(kind, NAMESPACE, lambda o: True)
                return self.store.call("GET", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/"
                                       "default")
            except ApiError:
                time.sleep(0.2)
        raise RuntimeError("the namespace got no default service account, or a kind is not served")

    def withdraw(self, path):
        try:
            self.store.call("DELETE", path)
        except ApiError as error:
            if error.code != 404:
                raise

    def wait_rights(self, rule, granted):
        """The server looks at roles from a memory of its own, which follows."""
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
            "user": f"system:serviceaccount:{NAMESPACE}:assayd", "resourceAttributes": {
                "namespace": NAMESPACE, "verb": rule["verbs"][0], "group": rule["apiGroups"][0],
                "resource": rule["resources"][0]}}}
        until = time.monotonic() + 30
        while time.monotonic() < until:
            made = self.store.call(
                "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
            if made["status"]["allowed"] == granted:
                return
            time.sleep(0.1)
        raise RuntimeError(f"the rights of {NAMESPACE} did not change: {rule}")

    def node_status(self):
        """What a kubelet adds: where it is, and that it lives."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": self.kubelet.server_address[1]}},
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
                                "message": "", "lastHeartbeatTime": now,
                                "lastTransitionTime": now}]}

    def beat(self):
        while not self.closing:
            names = self.own_nodes()
            for name in names:
                def alive(fresh):
                    fresh["status"].update(self.node_status())
                    return fresh
                try:
                    self.store.update(KINDS[1], None, name, alive)
                except ApiError:
                    pass
            time.sleep(5 if names else 0.2)

    def delete(self, kind, item, grace=None):
        meta = item["metadata"]
        self.store.call("DELETE", self.store.path(kind, meta["namespace"], meta["name"]),
                        {"apiVersion": "v1", "kind": "DeleteOptions",
                         **({} if grace is None else {"gracePeriodSeconds": int(grace)})})

    def collect_garbage(self, uid):
        """An operator takes its pods back; those of what is deleted are the server's to find."""
        for pod in self.store.list(KINDS[2], NAMESPACE, lambda p: any(
                r["uid"] == uid for r in p["metadata"].get("ownerReferences") or []))[0]:
            try:
                self.delete(KINDS[2], pod)
            except ApiError:
                pass

    def write_kubeconfig(self, path, token=None, namespace=NAMESPACE, user=None):
        """For assayd: the service account's token."""
        if user is None:
            made = self.store.call("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/assayd/"
                                   "token", {"apiVersion": "authentication.k8s.io/v1",
                                             "kind": "TokenRequest",
                                             "spec": {"expirationSeconds": 3600}})
            user = {"token": made["status"]["token"]}
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "real",
            "clusters": [{"name": "real", "cluster": self.cluster}],
            "users": [{"name": "assayd", "user": user}],
            "contexts": [{"name": "real", "context": {"cluster": "real", "user": "assayd",
                                                      "namespace": namespace}}]}))
        return path
