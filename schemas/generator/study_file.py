"""study.schema.yaml: the study file."""

import json

from generator.text import load, md_banner, md_table

SOURCE = "study.schema.yaml"

# Sections of the reference page: name of the $def and its title.
PARTS = [("objective", "objective, objectives"), ("constraint", "constraints"),
         ("parameter", "parameters"), ("choice", "algorithm"),
         ("stopping", "early_stopping"), ("rule", "early_stopping.rules"),
         ("budget", "budget"), ("limits", "limits"), ("source", "warm_start"), ("trial", "trial"),
         ("code", "trial.code"), ("metrics", "trial.metrics"), ("resources", "trial.resources")]

SCALARS = {"name": "name", "metric": "name", "duration": "duration", "bytes": "size",
           "scalar": "text, number or boolean", "point": "object"}


def study_schema_json():
    return json.dumps(load(SOURCE), indent=2, ensure_ascii=False) + "\n"


def kind_of(schema, defs):
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return SCALARS.get(name, kind_of(defs[name], defs))
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"]).replace("\\|", "or")
    if "oneOf" in schema and "type" not in schema:
        return " or ".join(kind_of(s, defs) for s in schema["oneOf"] if s.get("type") != "null")
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        kind = " or ".join(k for k in kind if k != "null")
    if kind == "array":
        return "list of " + kind_of(schema["items"], defs)
    return kind


def bounds_of(schema):
    words = []
    if "exclusiveMinimum" in schema:
        words.append(f"above {schema['exclusiveMinimum']}")
    if "minimum" in schema:
        words.append(f"from {schema['minimum']}")
    if "maximum" in schema:
        words.append(f"to {schema['maximum']:g}" if isinstance(schema["maximum"], float)
                     else f"to {schema['maximum']}")
    return " ".join(words)


def default_of(schema):
    if "default" not in schema:
        return ""
    value = schema["default"]
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def member_table(schema, defs):
    rows = []
    for name, member in schema["properties"].items():
        kind = kind_of(member, defs)
        if bounds_of(member):
            kind += f", {bounds_of(member)}"
        if name in schema.get("required", []):
            kind += ", required"
        rows.append([f"`{name}`", kind, default_of(member), member.get("description", "")])
    return md_table(["member", "value", "default", "meaning"], rows)


def study_file_md():
    schema = load(SOURCE)
    defs = schema["$defs"]
    out = [md_banner(SOURCE), "# The study file\n", schema["description"],
           "\nEditors complete and check it with [study.schema.json](study.schema.json), for YAML\n"
           "with this first line:\n\n"
           "```yaml\n# yaml-language-server: $schema=study.schema.json\n```\n\n"
           "The service checks more than the schema can say, and names every fault at once.\n\n"
           "Durations are written `90s`, `30m`, `1h30m`, `2d`, or as a number of seconds; sizes\n"
           "`512Mi`, `4Gi`, `2G`, or as a number of bytes. Names of studies and projects have 1 to\n"
           "63 lower-case letters, digits, `.`, `_` and `-`, the first a letter or digit.\n",
           "## Top level\n", member_table(schema, defs)]
    for name, title in PARTS:
        out += [f"## {title}\n", defs[name].get("description", ""), "", member_table(defs[name], defs)]
    return "\n".join(out)
