"""The study file's schema, the OpenAPI document and the generated names hold together."""

import json
import pathlib
import re
import sys
import unittest

import jsonschema
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "schemas"))

from generator import contract, states, text  # noqa: E402

VALIDATOR = jsonschema.Draft202012Validator


def walk(node):
    yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(child)


class StudySchema(unittest.TestCase):
    def setUp(self):
        self.schema = json.loads((ROOT / "docs/reference/study.schema.json").read_text())
        self.validator = VALIDATOR(self.schema)

    def check(self, document):
        return [f"{'/'.join(map(str, e.path))}: {e.message}" for e in self.validator.iter_errors(document)]

    def test_is_a_schema(self):
        VALIDATOR.check_schema(self.schema)

    def test_takes_good_files(self):
        files = list((ROOT / "examples").glob("**/study*.yaml"))
        files += [ROOT / "tests/fuzz/corpus/study_yaml" / name for name in ("full.yaml", "small.yaml")]
        self.assertGreater(len(files), 2)
        for path in files:
            with self.subTest(path=path.name):
                self.assertEqual(self.check(yaml.safe_load(path.read_text())), [])

    def test_refuses_what_the_service_refuses(self):
        base = {"objective": {"metric": "a", "goal": "minimize"},
                "parameters": [{"name": "a", "type": "bool"}]}
        self.assertEqual(self.check(base), [])
        for change in ({"algoritm": {}}, {"name": "Upper"}, {"seed": -1}, {"objectives": []},
                       {"objective": {"metric": "a", "goal": "down"}}, {"parameters": []},
                       {"parameters": [{"name": "a b", "type": "bool"}]}, {"limits": {"trials": 0}},
                       {"limits": {"time": "2x"}}, {"budget": {"name": "e"}},
                       {"warm_start": [{}]}, {"trial": {}}, {"trial": {"command": []}},
                       {"trial": {"command": ["a"], "environment": {"ASSAY_X": "1"}}},
                       {"trial": {"command": ["a"], "code": {"git": "u", "directory": "/d"}}},
                       {"trial": {"command": ["a"], "metrics": {"from": "nowhere"}}},
                       {"trial": {"command": ["a"], "resources": {"memory": "4Gx"}}}):
            with self.subTest(change=change):
                self.assertNotEqual(self.check({**base, **change}), [])

    def test_describes_every_member(self):
        for name, part in [("study file", self.schema), *self.schema["$defs"].items()]:
            for key, member in part.get("properties", {}).items():
                with self.subTest(part=name, member=key):
                    self.assertTrue(isinstance(member, dict) and member.get("description"))


class OpenApi(unittest.TestCase):
    def setUp(self):
        self.document = contract.document()

    def operations(self):
        for path, item in self.document["paths"].items():
            for method in ("get", "post", "patch", "delete", "put"):
                if method in item:
                    yield path, method, item[method], item.get("parameters", [])

    def test_schemas_are_schemas(self):
        for name, schema in self.document["components"]["schemas"].items():
            with self.subTest(schema=name):
                VALIDATOR.check_schema(schema)

    def test_references_lead_somewhere(self):
        for node in walk(self.document):
            if isinstance(node, dict) and isinstance(node.get("$ref"), str):
                target = self.document
                for step in node["$ref"].split("/")[1:]:
                    self.assertIn(step, target, node["$ref"])
                    target = target[step]

    def test_schemas_are_used(self):
        used = {node["$ref"].rsplit("/", 1)[1] for node in walk(self.document)
                if isinstance(node, dict) and isinstance(node.get("$ref"), str)}
        self.assertEqual(set(self.document["components"]["schemas"]) - used, set())

    def test_operations_are_complete(self):
        seen, tags = set(), {tag["name"] for tag in self.document["tags"]}
        for path, method, operation, shared in self.operations():
            with self.subTest(operation=f"{method} {path}"):
                self.assertNotIn(operation["operationId"], seen)
                seen.add(operation["operationId"])
                self.assertLessEqual(set(operation["tags"]), tags)
                named = set()
                for parameter in shared + operation.get("parameters", []):
                    parameter = contract.resolve(self.document, parameter)
                    if parameter["in"] == "path":
                        named.add(parameter["name"])
                self.assertEqual(named, set(re.findall(r"{(\w+)}", path)))
                if operation.get("security") != []:
                    self.assertIn("default", operation["responses"])

    def test_routes_are_those_of_the_service(self):
        source = (ROOT / "api/routes.c").read_text()
        macros = dict(re.findall(r'#define (STUDY|TRIAL) (.*)', source))
        study = macros["STUDY"].strip('"')
        trial = study + re.search(r'"(.*)"', macros["TRIAL"]).group(1)
        routes = set()
        for method, prefix, path in re.findall(r'{"([A-Z]+)", (STUDY|TRIAL)? ?(?:"([^"]*)")?,', source):
            routes.add((method.lower(), {"STUDY": study, "TRIAL": trial, "": ""}[prefix] + path))
        # The files of the dashboard are no part of the contract.
        routes -= {("get", f"/{name}") for name in ("index.html", "app.js", "app.css", "favicon.svg")}
        self.assertGreater(len(routes), 30)
        self.assertEqual({(method, path) for path, method, _, _ in self.operations()}, routes)

    def test_counts_name_every_trial_state(self):
        counts = self.document["components"]["schemas"]["TrialCounts"]
        names = set(text.load("states.yaml")["trial_states"]) | {"total"}
        self.assertEqual(set(counts["properties"]), names)
        self.assertEqual(set(counts["required"]), names)

    def test_example_answers_fit(self):
        document = {"$ref": "#/components/schemas/Trial", "components": self.document["components"]}
        trial = {"number": 1, "study": "s", "project": "p", "state": "stopped",
                 "reason": "stopped_by_rule", "message": None, "parameters": {"lr": 0.1, "o": "sgd"},
                 "metrics": {"loss": "nan", "acc": 0.5}, "value": None, "budget": 3.0,
                 "attempts": [], "why": {"proposed_by": "sobol", "stop": None}, "client": None,
                 "lease_expires": None, "steps": 3, "created_at": "2026-01-02T03:04:05.123456Z",
                 "started_at": None, "finished_at": None}
        self.assertEqual(list(VALIDATOR(document).iter_errors(trial)), [])
        self.assertNotEqual(list(VALIDATOR(document).iter_errors({**trial, "extra": 1})), [])
        self.assertNotEqual(list(VALIDATOR(document).iter_errors({**trial, "state": "gone"})), [])


class Names(unittest.TestCase):
    def test_python_and_typescript_have_them_all(self):
        names = {}
        exec((ROOT / "python/assay/_generated.py").read_text(), names)
        typescript = (ROOT / "dashboard/src/generated.ts").read_text()
        for key, _, _, final in states.ENUMS:
            rows = text.load("states.yaml")[key]
            self.assertEqual(names[key.upper()], set(rows))
            for name in rows:
                self.assertIn(f'"{name}"', typescript)
            if final:
                self.assertEqual(names[f"FINAL_{key.upper()}"], set(states.final_names(rows)))


if __name__ == "__main__":
    unittest.main()
