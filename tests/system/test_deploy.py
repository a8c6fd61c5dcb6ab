#!/usr/bin/env python3
"""deploy/: the manifests and the image's recipe agree with each other, with the options of
assayd, with what its programs need, and with what they do."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import yaml

from base import BUILD, ROOT

KUBERNETES = ROOT / "deploy" / "kubernetes"
DOCKERFILE = ROOT / "deploy" / "image" / "Dockerfile"
RUNNER = re.search(r'ASSAY_KUBE_RUNNER_IN_IMAGE "(.*)"',
                   (ROOT / "controller" / "kubernetes" / "runner.h").read_text())[1]


def options_of_assayd():
    found = yaml.safe_load((ROOT / "schemas" / "config.yaml").read_text())["options"]
    return {o["name"]: o for o in found}


def stages():
    """The recipe: stage name -> list of (instruction, text), lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    found, name = {}, None
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if not line.strip():
            continue
        word, rest = line.split(None, 1)
        if word == "ARG" and name is None:  # of the whole recipe
            continue
        if word == "FROM":
            name = re.fullmatch(r"\S+ AS (\S+)", rest)[1]
            found[name] = []
        found[name].append((word, re.sub(r"\s+", " ", rest.strip())))
    return found


def not_sent():
    """What the recipe's ignore file keeps from the builder: path -> bool.  The last pattern
    that matches the path or a folder above it counts."""
    patterns = []
    for line in pathlib.Path(f"{DOCKERFILE}.dockerignore").read_text().splitlines():
        if line and not line.startswith("#"):
            kept = line.startswith("!")
            parts = re.split(r"(\*\*/|\*)", line.removeprefix("!"))
            text = "".join({"**/": "(?:.*/)?", "*": "[^/]*"}.get(p, re.escape(p)) for p in parts)
            patterns.append((re.compile(text), kept))

    def is_not_sent(path):
        path, left_out = pathlib.PurePosixPath(path), False
        for pattern, kept in patterns:
            if any(pattern.fullmatch(str(p)) for p in (path, *path.parents)):
                left_out = not kept
        return left_out
    return is_not_sent


def packages_of(stage):
    """What the stage installs."""
    text = next(t for w, t in stage if w == "RUN" and "apt-get install" in t)
    listed = re.search(r"--no-install-recommends (.*?) &&", text)[1]
    return listed.split()


class Manifests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kustomization = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
        cls.objects = [o for f in cls.kustomization["resources"]
                       for o in yaml.safe_load_all((KUBERNETES / f).read_text())]

    def one(self, kind, name=None):
        found = [o for o in self.objects if o["kind"] == kind and
                 name in (None, o["metadata"]["name"])]
        self.assertEqual(len(found), 1, (kind, name))
        return found[0]

    def setUp(self):
        self.pod = self.one("Deployment")["spec"]["template"]
        self.container = self.pod["spec"]["containers"][0]
        self.arguments = dict(a.removeprefix("--").split("=", 1) if "=" in a else
                              (a.removeprefix("--"), "") for a in self.container["args"])

    def test_every_file_is_listed(self):
        self.assertEqual(sorted(self.kustomization["resources"] + ["kustomization.yaml"]),
                         sorted(p.name for p in KUBERNETES.iterdir()))

    def test_the_account_has_the_role(self):
        binding, account = self.one("RoleBinding"), self.one("ServiceAccount")
        self.assertEqual(binding["roleRef"]["name"], self.one("Role")["metadata"]["name"])
        self.assertEqual(binding["subjects"][0]["name"], account["metadata"]["name"])
        self.assertEqual(binding["subjects"][0]["namespace"], self.kustomization["namespace"])
        self.assertEqual(self.pod["spec"]["serviceAccountName"], account["metadata"]["name"])

    def test_options_exist(self):
        options = options_of_assayd()
        for name, value in self.arguments.items():
            self.assertIn(name, options)
            self.assertEqual(options[name]["type"] == "bool", value == "", name)
        known = {o["environment"] for o in options.values() if "environment" in o}
        for variable in self.container["env"]:
            self.assertIn(variable["name"], known)

    def test_assayd_takes_them(self):
        """assayd itself reads the command line; --help afterwards keeps it from starting."""
        done = subprocess.run([str(BUILD / "bin" / "assayd"), *self.container["args"], "--help"],
                              capture_output=True, text=True, timeout=240)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_addresses_agree(self):
        port = int(self.arguments["listen"].rsplit(":", 1)[1])
        service = self.one("Service")
        namespace = self.kustomization["namespace"]
        self.assertEqual(self.container["ports"][0]["containerPort"], port)
        self.assertEqual(service["spec"]["ports"][0]["targetPort"],
                         self.container["ports"][0]["name"])
        self.assertEqual(service["spec"]["selector"], self.pod["metadata"]["labels"])
        self.assertEqual(self.one("Deployment")["spec"]["selector"]["matchLabels"],
                         self.pod["metadata"]["labels"])
        self.assertEqual(self.arguments["kube-url"],
                         f"https://{service['metadata']['name']}.{namespace}.svc:"
                         f"{service['spec']['ports'][0]['port']}")
        self.assertEqual(self.arguments["kube-namespace"], namespace)
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            get = self.container[probe]["httpGet"]
            self.assertEqual((get["port"], get["scheme"]), ("https", "HTTPS"))
            self.assertIn(get["path"], ("/healthz", "/readyz"))
        recipe = dict(stages()["assay"])
        self.assertEqual(int(recipe["EXPOSE"]), port)

    def test_files_are_mounted(self):
        mounts = {m["mountPath"]: m for m in self.container["volumeMounts"]}
        volumes = {v["name"]: v for v in self.pod["spec"]["volumes"]}
        self.assertEqual({m["name"] for m in mounts.values()}, set(volumes))
        for option in ("tls-cert", "tls-key", "kube-url-ca"):
            folder = str(pathlib.PurePosixPath(self.arguments[option]).parent)
            self.assertIn("secret", volumes[mounts[folder]["name"]])
        data = re.search(r"ASSAYD_DATA=(\S+)", dict(stages()["assay"])["ENV"])[1]
        self.assertEqual(volumes[mounts[data]["name"]].get("emptyDir"), {})
        self.assertEqual(mounts[f"{data}/token"]["subPath"], "token")

    def test_nothing_but_needed_rights(self):
        for context, wanted in ((self.pod["spec"]["securityContext"], {"runAsNonRoot": True}),
                                (self.container["securityContext"],
                                 {"allowPrivilegeEscalation": False, "capabilities":
                                  {"drop": ["ALL"]}, "readOnlyRootFilesystem": True})):
            self.assertEqual({**context, **wanted}, context)
        for rule in self.one("Role")["rules"]:
            self.assertNotIn("*", rule["verbs"] + rule["resources"] + rule["apiGroups"])
        secrets = [r for r in self.one("Role")["rules"] if "secrets" in r["resources"]]
        self.assertEqual([r["verbs"] for r in secrets], [["create"]])

    def test_policies_select_what_there_is(self):
        trial = {"app.kubernetes.io/managed-by": "assay"}
        self.assertIn('"app.kubernetes.io/managed-by", "assay"',
                      (ROOT / "controller" / "kubernetes" / "pod_manifest.c").read_text())
        own = self.one("NetworkPolicy", "assayd")["spec"]
        self.assertEqual(own["podSelector"]["matchLabels"], self.pod["metadata"]["labels"])
        self.assertEqual(own["ingress"][0]["ports"][0]["port"], self.container["ports"][0]["name"])
        self.assertIn({"podSelector": {"matchLabels": trial}}, own["ingress"][0]["from"])
        trials = self.one("NetworkPolicy", "assay-trials")["spec"]
        self.assertEqual(trials["podSelector"]["matchLabels"], trial)

    def test_one_image(self):
        variable = next(v for v in self.container["env"]
                        if v["name"] == "ASSAYD_KUBE_RUNNER_IMAGE")
        image = self.kustomization["images"][0]
        self.assertEqual(variable["value"], self.container["image"])
        self.assertEqual(self.container["image"], f"{image['name']}:{image['newTag']}")
        self.assertIn(f'VERSION "{image["newTag"]}"', (ROOT / "api" / "assayd.c").read_text())

    @unittest.skipUnless(shutil.which("kubectl"), "needs kubectl")
    def test_kustomize_takes_it(self):
        done = subprocess.run(["kubectl", "kustomize", str(KUBERNETES)], capture_output=True,
                              text=True, timeout=240)
        self.assertEqual(done.returncode, 0, done.stderr)
        made = list(yaml.safe_load_all(done.stdout))
        self.assertEqual(sorted(o["kind"] for o in made), sorted(o["kind"] for o in self.objects))


class Readme(unittest.TestCase):
    """What deploy/README.md tells one to type and to write."""

    def setUp(self):
        text = (ROOT / "deploy" / "README.md").read_text()
        self.blocks = re.findall(r"```(sh|yaml)\n(.*?)```", text, re.DOTALL)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    @unittest.skipUnless(shutil.which("openssl"), "needs openssl")
    def test_the_certificate(self):
        script = next(b for kind, b in self.blocks if kind == "sh" and "openssl req" in b)
        subprocess.run(["sh", "-e", "-c", script], cwd=self.folder, check=True,
                       capture_output=True)
        done = subprocess.run(["openssl", "verify", "-CAfile", "ca.crt", "-verify_hostname",
                               "assayd.assay.svc", "tls.crt"], cwd=self.folder,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        create = next(b for kind, b in self.blocks if "create secret" in b)
        wanted = re.findall(r"--from-file=(\S+)", create)
        self.assertEqual(wanted, ["tls.crt", "tls.key", "ca.crt"])
        for name in wanted:
            self.assertTrue((self.folder / name).exists(), name)

    @unittest.skipUnless(shutil.which("kubectl"), "needs kubectl")
    def test_the_overlay(self):
        shutil.copytree(ROOT / "deploy", self.folder / "deploy")
        own = self.folder / "own"
        own.mkdir()
        (own / "kustomization.yaml").write_text(
            next(b for kind, b in self.blocks if kind == "yaml"))
        done = subprocess.run(["kubectl", "kustomize", str(own)], capture_output=True, text=True,
                              timeout=240)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotRegex(done.stdout, r"[ \"]assay:\d")
        names = {o["metadata"]["name"] for o in yaml.safe_load_all(done.stdout)}
        self.assertIn("assay-trials-jobs", names)


def bytes_of(quantity):
    number, unit = re.fullmatch(r"(\d+)([KMG]i)", quantity).groups()
    return int(number) << {"Ki": 10, "Mi": 20, "Gi": 30}[unit]


class Workers(unittest.TestCase):
    """Suggestion workers as pods of their own: the component, put on what it is put on."""

    folder = ROOT / "deploy" / "suggestion-workers"

    def setUp(self):
        self.kustomization = yaml.safe_load((self.folder / "kustomization.yaml").read_text())
        made = {o["kind"]: o for f in self.kustomization["resources"]
                for o in yaml.safe_load_all((self.folder / f).read_text())}
        self.service, self.policy = made["Service"], made["NetworkPolicy"]["spec"]
        self.deployment = made["Deployment"]
        self.pod = self.deployment["spec"]["template"]
        self.container = self.pod["spec"]["containers"][0]
        self.arguments = dict(a.removeprefix("--").split("=", 1) for a in self.container["args"])
        self.assayd = yaml.safe_load((KUBERNETES / "deployment.yaml").read_text())
        self.plain = json.loads(json.dumps(self.assayd))
        for change in yaml.safe_load((self.folder / "assayd.yaml").read_text()):
            at = self.assayd
            *path, last = change["path"].strip("/").split("/")
            for key in path:
                at = at[int(key) if isinstance(at, list) else key]
            self.assertEqual((change["op"], last), ("add", "-"))
            at.append(change["value"])
        self.daemon = self.assayd["spec"]["template"]["spec"]
        self.given = dict(a.removeprefix("--").split("=", 1)
                          for a in self.daemon["containers"][0]["args"])

    def test_it_is_a_component(self):
        self.assertEqual(self.kustomization["kind"], "Component")
        patch = self.kustomization["patches"][0]
        self.assertEqual(patch["target"], {"kind": "Deployment",
                                           "name": self.assayd["metadata"]["name"]})
        self.assertEqual(sorted([*self.kustomization["resources"], patch["path"],
                                 "kustomization.yaml"]),
                         sorted(p.name for p in self.folder.iterdir()))

    def test_the_programs_take_their_options(self):
        for program, arguments in (("assay-suggest", self.container["args"]),
                                   ("assayd", self.daemon["containers"][0]["args"])):
            done = subprocess.run([str(BUILD / "bin" / program), *arguments, "--help"],
                                  capture_output=True, text=True, timeout=240)
            self.assertEqual(done.returncode, 0, done.stderr)
        options = options_of_assayd()
        for name in self.given:
            self.assertIn(name, options)
        self.assertEqual(self.container["command"], ["/usr/local/bin/assay-suggest"])
        self.assertEqual(self.container["image"],
                         self.plain["spec"]["template"]["spec"]["containers"][0]["image"])

    def test_addresses_agree(self):
        namespace = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["namespace"]
        port = self.service["spec"]["ports"][0]
        self.assertEqual(self.given["suggest-connect"],
                         f"{self.service['metadata']['name']}.{namespace}.svc:{port['port']}")
        name = self.container["ports"][0]["name"]
        self.assertEqual(port["targetPort"], name)
        self.assertEqual(int(self.arguments["listen"].rsplit(":", 1)[1]),
                         self.container["ports"][0]["containerPort"])
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            self.assertEqual(self.container[probe]["tcpSocket"], {"port": name})
        labels = self.pod["metadata"]["labels"]
        self.assertEqual(self.service["spec"]["selector"], labels)
        self.assertEqual(self.deployment["spec"]["selector"]["matchLabels"], labels)

    def test_only_assayd_comes_in_and_nobody_out(self):
        self.assertEqual(self.policy["podSelector"]["matchLabels"], self.pod["metadata"]["labels"])
        self.assertEqual(self.policy["policyTypes"], ["Ingress", "Egress"])
        self.assertEqual(self.policy["egress"], [])
        daemon = self.assayd["spec"]["template"]["metadata"]["labels"]
        self.assertEqual(self.policy["ingress"],
                         [{"from": [{"podSelector": {"matchLabels": daemon}}],
                           "ports": [{"protocol": "TCP",
                                      "port": self.container["ports"][0]["name"]}]}])

    def test_files_are_mounted(self):
        for spec, arguments, wanted in (
                (self.pod["spec"], self.arguments, ("tls-cert", "tls-key", "token-file")),
                (self.daemon, self.given, ("suggest-ca", "suggest-token-file"))):
            mounts = {m["mountPath"]: m for m in spec["containers"][0]["volumeMounts"]}
            volumes = {v["name"]: v for v in spec["volumes"]}
            self.assertEqual({m["name"] for m in mounts.values()}, set(volumes))
            for option in wanted:
                path = pathlib.PurePosixPath(arguments[option])
                secret = volumes[mounts[str(path.parent)]["name"]]["secret"]
                self.assertEqual(secret["secretName"], "assay-suggest")
                if "items" in secret:
                    self.assertIn({"key": path.name, "path": path.name}, secret["items"])
        given = self.daemon["volumes"][-1]["secret"]["items"]
        self.assertNotIn("tls.key", [item["key"] for item in given])

    def test_nothing_but_needed_rights(self):
        daemon = self.plain["spec"]["template"]["spec"]
        self.assertEqual(self.pod["spec"]["securityContext"], daemon["securityContext"])
        self.assertEqual(self.container["securityContext"],
                         daemon["containers"][0]["securityContext"])
        self.assertIs(self.pod["spec"]["automountServiceAccountToken"], False)
        self.assertNotIn("serviceAccountName", self.pod["spec"])

    def test_there_is_room_for_every_worker(self):
        """On each of the pods, as all connections may go to one."""
        header = (ROOT / "controller" / "host" / "host.h").read_text()
        apart = int(re.search(r"#define ASSAY_SUGGEST_APART (\d+)", header)[1])
        shared = int(self.given.get("workers", options_of_assayd()["workers"]["default"]))
        connections = int(self.arguments["connections"])
        self.assertGreaterEqual(connections, shared + 1 + apart)
        self.assertLessEqual(connections * bytes_of(self.arguments["memory-limit"]),
                             bytes_of(self.container["resources"]["limits"]["memory"]))

    @unittest.skipUnless(shutil.which("kubectl"), "needs kubectl")
    def test_kustomize_takes_it(self):
        with tempfile.TemporaryDirectory() as copy:
            folder = pathlib.Path(copy) / "deploy"
            shutil.copytree(ROOT / "deploy", folder)
            with open(folder / "kubernetes" / "kustomization.yaml", "a") as file:
                file.write("components: [../suggestion-workers]\n")
            done = subprocess.run(["kubectl", "kustomize", str(folder / "kubernetes")],
                                  capture_output=True, text=True, timeout=240)
        self.assertEqual(done.returncode, 0, done.stderr)
        made = {o["metadata"]["name"]: o for o in yaml.safe_load_all(done.stdout)
                if o["kind"] == "Deployment"}
        self.assertEqual(set(made), {"assayd", "assay-suggest"})
        self.assertEqual(made["assayd"]["spec"]["template"]["spec"]["containers"][0]["args"],
                         self.daemon["containers"][0]["args"])
        self.assertEqual(made["assay-suggest"]["metadata"]["namespace"], "assay")

    def test_it_is_said(self):
        text = (ROOT / "deploy" / "README.md").read_text()
        self.assertIn("`suggestion-workers/`", text)
        self.assertIn("secret generic assay-suggest", text)


class Kinds(unittest.TestCase):
    """The rights for templates, a component for each operator, and to read templates."""

    folder = ROOT / "deploy" / "kinds"
    reads = "katib-templates"

    def setUp(self):
        self.components = {d.name: list(yaml.safe_load_all((d / "role.yaml").read_text()))
                           for d in sorted(self.folder.iterdir())}

    def test_each_is_a_component(self):
        account = yaml.safe_load((KUBERNETES / "trials-rolebinding.yaml").read_text())["subjects"]
        for name, (role, binding) in self.components.items():
            with self.subTest(name):
                made = yaml.safe_load((self.folder / name / "kustomization.yaml").read_text())
                self.assertEqual((made["kind"], made["resources"]), ("Component", ["role.yaml"]))
                self.assertEqual(role["metadata"]["name"], f"assay-trials-{name}")
                self.assertEqual(binding["roleRef"]["name"], role["metadata"]["name"])
                self.assertEqual(binding["subjects"], account)

    def test_as_little_as_pods(self):
        pods = yaml.safe_load((KUBERNETES / "trials-role.yaml").read_text())["rules"][0]["verbs"]
        for name, (role, _) in self.components.items():
            if name == self.reads:
                continue
            *rules, events = role["rules"]
            self.assertEqual(events, {"apiGroups": [""], "resources": ["events"],
                                      "verbs": ["list"]})
            for rule in rules:
                self.assertEqual(rule["verbs"], pods, name)
                self.assertEqual(len(rule["apiGroups"]), 1, name)

    def test_every_known_kind_has_one(self):
        """And there is none for a kind that nobody knows."""
        text = (ROOT / "schemas" / "kubernetes_kind.c").read_text()
        known = set(re.findall(r'\.group = "([^"]+)", \.kind = "(\w+)"', text))
        known |= {("kubeflow.org", k) for k in re.findall(r'KUBEFLOW_KIND\("(\w+)"', text)}
        granted = {(rule["apiGroups"][0], resource) for name, (role, _) in self.components.items()
                   if name != self.reads for rule in role["rules"][:-1] for resource in rule["resources"]}
        self.assertEqual(granted, {(group, kind.lower() + "s") for group, kind in known})

    def test_templates_are_read_and_no_more(self):
        self.assertEqual(self.components[self.reads][0]["rules"],
                         [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}])
        base = yaml.safe_load((KUBERNETES / "trials-role.yaml").read_text())["rules"]
        self.assertFalse([r for r in base if "configmaps" in r["resources"]])
        source = (ROOT / "controller" / "kubernetes" / "config_map.c").read_text()
        self.assertIn(f"deploy/kinds/{self.reads}", source)
        label = yaml.safe_load(
            (ROOT / "tests/katib/templates/trial-templates.yaml").read_text())["metadata"]["labels"]
        text = (self.folder / self.reads / "role.yaml").read_text()
        for key, value in label.items():
            self.assertIn(f"{key}: {value}", text)

    def test_each_is_said(self):
        text = (ROOT / "deploy" / "README.md").read_text()
        for name in self.components:
            self.assertIn(f"`{name}`", text)

    @unittest.skipUnless(shutil.which("kubectl"), "needs kubectl")
    def test_kustomize_takes_them(self):
        for name in self.components:
            done = subprocess.run(["kubectl", "kustomize", str(self.folder / name)],
                                  capture_output=True, text=True, timeout=240)
            self.assertEqual(done.returncode, 0, done.stderr)


class Image(unittest.TestCase):
    def setUp(self):
        self.stages = stages()

    def test_the_stages(self):
        self.assertEqual(list(self.stages), ["build", "runner", "assay"])
        self.assertEqual(self.stages["runner"][0][1], "scratch AS runner")
        for name in ("runner", "assay"):
            words = dict(self.stages[name])
            self.assertEqual(words["USER"], "65532:65532")
            self.assertTrue(words["COPY"].startswith("--from=build /out/usr/local"))
            json.loads(words["ENTRYPOINT"])
        self.assertIn(RUNNER, dict(self.stages["runner"])["COPY"])
        made = next(t for w, t in self.stages["build"] if w == "RUN" and t.startswith("make "))
        self.assertIn("install DESTDIR=/out PREFIX=/usr/local", made)
        self.assertTrue(RUNNER.startswith("/usr/local/libexec/assay/"))

    def test_the_bases(self):
        recipe = DOCKERFILE.read_text()
        self.assertEqual(re.findall(r"^FROM (\S+)", recipe, re.MULTILINE),
                         ["${BASE}", "scratch", "${BASE}"])
        self.assertRegex(recipe, r"(?m)^ARG BASE=debian:12-slim$")

    def test_the_labels(self):
        version = re.search(r'VERSION "(.*?)"', (ROOT / "api" / "assayd.c").read_text())[1]
        for name, title in (("runner", "assay-runner"), ("assay", "assay")):
            labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="(.*?)"',
                                     dict(self.stages[name])["LABEL"]))
            self.assertEqual((labels["title"], labels["version"]), (title, version))

    def test_what_the_builder_gets(self):
        """All that the programs and the dashboard are made of, and nothing of this checkout's own:
        config.mak would make another image of the same commit."""
        not_sent_ = not_sent()
        own = [".git/config", "config.mak", "build.log", "build/bin/assayd", ".venv/bin/python",
               "dashboard/node_modules/esbuild/package.json", "schemas/__pycache__/x.pyc"]
        self.assertEqual([p for p in own if not not_sent_(p)], [])
        needed = {"Makefile", "README.md", "LICENSE", "suggest/plugin.h"}
        tests = ("tests", "bench", "examples", BUILD.name)
        for found in (BUILD / "obj").rglob("*.d"):
            for path in re.findall(r"[\w./-]+\.[ch](?=\s|$)", found.read_text().split(":", 1)[1]):
                needed.add(path)
        for folder, files in (("schemas", "**/*"), ("sql", "**/*"), ("suggest", "**/*"), ("cli", "*"),
                              ("dashboard", "*"), ("dashboard/src", "**/*")):
            needed |= {str(p.relative_to(ROOT)) for p in (ROOT / folder).glob(files) if p.is_file()
                       and p.suffix not in (".md", ".pyc")}
        needed = {p for p in needed if not p.startswith("/") and p.split("/")[0] not in tests}
        self.assertGreater(len(needed), 300)
        self.assertEqual([p for p in sorted(needed) if not_sent_(p)], [])

    def test_what_the_build_needs(self):
        """The same packages as ./quickstart's, less what only running and testing need."""
        text = (ROOT / "quickstart").read_text()
        quickstart = set(re.search(r"build_packages=\((.*?)\)", text, re.DOTALL)[1].split())
        quickstart |= {"libcurl4-gnutls-dev", "nodejs", "npm"}
        self.assertEqual(set(packages_of(self.stages["build"])),
                         quickstart - {"postgresql", "python3-sklearn"})

    @unittest.skipUnless(shutil.which("dpkg"), "needs Debian")
    def test_what_the_programs_need(self):
        """Every library that a program is linked with comes from a package that is installed."""
        listed = set(packages_of(self.stages["assay"]))
        needed = set()
        for program in ("assayd", "assay", "assay-suggest", "assay-runner"):
            text = subprocess.run(["readelf", "-d", str(BUILD / "bin" / program)], check=True,
                                  capture_output=True, text=True).stdout
            needed |= set(re.findall(r"\(NEEDED\).*\[(.*)\]", text))
        cache = subprocess.run(["/sbin/ldconfig", "-p"], check=True, capture_output=True,
                               text=True).stdout
        for library in sorted(needed):
            if library.startswith("libcurl"):  # either flavour will do here
                self.assertIn("libcurl3-gnutls", listed)
                continue
            path = re.search(rf"^\s*{re.escape(library)} .*=> (\S+)", cache, re.MULTILINE)[1]
            owner = subprocess.run(["dpkg", "-S", str(pathlib.Path(path).resolve())],
                                   capture_output=True, text=True).stdout.split(":")[0]
            if owner in ("", "libc6", "libgcc-s1", "libstdc++6"):
                continue
            self.assertIn(owner, listed, library)


IMAGE_ROOT = os.environ.get("ASSAY_TEST_IMAGE_ROOT")


@unittest.skipUnless(IMAGE_ROOT and os.geteuid() == 0,
                     "needs ASSAY_TEST_IMAGE_ROOT, the mounted root of a built image, and root")
class Built(unittest.TestCase):
    programs = ("assayd", "assay", "assay-suggest", "assay-runner")

    def inside(self, *command):
        done = subprocess.run(["chroot", "--userspec=65532:65532", IMAGE_ROOT, *command],
                              capture_output=True, text=True, timeout=240)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_programs_find_their_libraries(self):
        for program in self.programs:
            path = f"/usr/local/bin/{program}"
            self.assertNotIn("not found", self.inside("ldd", path))
            self.assertIn(program, self.inside(path, "--help"))
        self.assertIn("libopenblas", self.inside("ldd", "/usr/local/bin/assay-suggest"))

    def test_the_runner_is_static(self):
        text = subprocess.run(["readelf", "-l", "-d", IMAGE_ROOT + RUNNER], check=True,
                              capture_output=True, text=True).stdout
        self.assertNotIn("INTERP", text)
        self.assertNotIn("NEEDED", text)
        self.inside(RUNNER, "--help")

    def test_what_is_there_and_what_is_not(self):
        self.inside("git", "--version")
        root = pathlib.Path(IMAGE_ROOT)
        self.assertTrue((root / "usr/local/share/assay/dashboard/index.html").exists())
        for name in ("gcc", "cc", "make", "node", "npm", "python3"):
            self.assertFalse((root / "usr/bin" / name).exists(), name)
        data = root / "var/lib/assay"
        self.assertEqual((data.stat().st_uid, data.stat().st_gid), (65532, 65532))
        self.assertEqual(list(data.iterdir()), [])


if __name__ == "__main__":
    unittest.main()
