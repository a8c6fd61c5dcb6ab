"""openapi.yaml: the HTTP contract, completed with the study file and the enums."""

import json

from generator.states import ENUMS
from generator.text import c_banner, c_string, load, md_banner, md_table

SOURCE = "openapi.yaml"


def part_name(name):
    return "StudyFile" + name[0].upper() + name[1:]


def with_moved_refs(node):
    """$defs of the study file become components of their own."""
    if isinstance(node, dict):
        return {key: "#/components/schemas/" + part_name(value.rsplit("/", 1)[1])
                if key == "$ref" else with_moved_refs(value) for key, value in node.items()}
    if isinstance(node, list):
        return [with_moved_refs(item) for item in node]
    return node


def study_file_schemas():
    schema = load("study.schema.yaml")
    parts = schema.pop("$defs")
    schema.pop("$schema")
    schemas = {"StudyFile": with_moved_refs(schema)}
    for name, part in parts.items():
        schemas[part_name(name)] = with_moved_refs(part)
    return schemas


def enum_schemas():
    states = load("states.yaml")
    schemas = {}
    for key, ctype, _, final in ENUMS:
        name = "".join(word.capitalize() for word in ctype.split("_")[1:])
        texts = [f"{n}: {r['text'] if final else r}" for n, r in states[key].items()]
        schemas[name] = {"enum": list(states[key]), "description": "\n".join(texts)}
    schemas["ErrorCode"] = {"enum": [row["name"] for row in load("errors.yaml")["errors"]]}
    return schemas


def document():
    contract = load(SOURCE)
    contract["components"]["schemas"].update(enum_schemas())
    contract["components"]["schemas"].update(study_file_schemas())
    return contract


def openapi_json_c():
    lines = json.dumps(document(), indent=1, ensure_ascii=False).split("\n")
    out = [c_banner(SOURCE + " and the files named there", "The OpenAPI document as it is served."),
           '#include "schemas/openapi_json.h"\n',
           "const char assay_openapi_json[] ="]
    out += ["    " + c_string(line + "\n") for line in lines]
    out[-1] += ";"
    out.append("const size_t assay_openapi_json_length = sizeof assay_openapi_json - 1;\n")
    return "\n".join(out)


# --- the reference page ---


def resolve(contract, node):
    while "$ref" in node:
        target = contract
        for step in node["$ref"].split("/")[1:]:
            target = target[step]
        node = {**target, **{k: v for k, v in node.items() if k != "$ref"}}
    return node


def link(name):
    return f"[{name}](#{name.lower()})"


def kind_of(schema):
    if "$ref" in schema:
        return link(schema["$ref"].rsplit("/", 1)[1])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "oneOf" in schema:
        return " or ".join(kind_of(option) for option in schema["oneOf"])
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        return "list of " + kind_of(schema.get("items", {}))
    return kind


def parameter_rows(contract, operation, shared):
    rows = []
    for parameter in shared + operation.get("parameters", []):
        parameter = resolve(contract, parameter)
        if parameter["in"] == "path":
            continue
        schema = parameter["schema"]
        default = f"`{json.dumps(schema['default'])}`" if "default" in schema else ""
        rows.append([f"`{parameter['name']}`", parameter["in"], kind_of(schema), default,
                     parameter.get("description", "")])
    return rows


def body_text(content):
    return ", ".join(f"`{media}` {kind_of(body['schema'])}" for media, body in content.items())


def operation_md(contract, method, path, operation, shared):
    out = [f"### {method.upper()} {path}\n", f"{operation['summary']}."]
    if "description" in operation:
        out.append(operation["description"])
    out.append("")
    rows = parameter_rows(contract, operation, shared)
    if rows:
        out.append(md_table(["parameter", "in", "value", "default", "meaning"], rows))
    if "requestBody" in operation:
        out.append(f"Body: {body_text(operation['requestBody']['content'])}\n")
    rows = []
    for status, response in operation["responses"].items():
        response = resolve(contract, response)
        rows.append([status, response["description"], body_text(response.get("content", {}))])
    out.append(md_table(["status", "when", "body"], rows))
    return out


def schema_md(name, schema):
    out = [f"### {name}\n"]
    if "enum" in schema:
        lines = schema.get("description", "").split("\n")
        texts = dict(line.split(": ", 1) for line in lines if ": " in line)
        return out + ["\n".join(f"- `{v}`" + (f": {texts[v]}" if v in texts else "")
                                for v in schema["enum"]) + "\n"]
    if "description" in schema:
        out += [schema["description"], ""]
    if "properties" in schema:
        required = schema.get("required", [])
        out.append(md_table(["member", "value", "always", "meaning"],
                            [[f"`{key}`", kind_of(member), "yes" if key in required else "",
                              member.get("description", "")]
                             for key, member in schema["properties"].items()]))
    else:
        out.append(kind_of(schema) + "\n")
    return out


def api_md():
    contract = document()
    out = [md_banner(SOURCE), "# HTTP contract\n", contract["info"]["description"],
           "\nThe same as OpenAPI 3.1: `GET /openapi.json`. Send `Authorization: Bearer TOKEN`. The\n"
           "study file has [its own page](study-file.md), so have the [error codes](errors.md).\n"]
    for tag in contract["tags"]:
        name = tag["name"]
        out += [f"## {name[0].upper() + name[1:]}\n", tag["description"], ""]
        for path, item in contract["paths"].items():
            for method in ("post", "get", "patch", "delete"):
                if method in item and name in item[method]["tags"]:
                    out += operation_md(contract, method, path, item[method],
                                        item.get("parameters", []))
    out.append("## Shapes\n")
    for name, schema in contract["components"]["schemas"].items():
        if name == "StudyFile":
            out += ["### StudyFile\n", "See [the study file](study-file.md).\n"]
        elif not name.startswith("StudyFile"):
            out += schema_md(name, schema)
    return "\n".join(out).replace("[StudyFileLimits](#studyfilelimits)", "[limits](study-file.md#limits)") \
        .replace("[StudyFileStopping](#studyfilestopping)",
                 "[early_stopping](study-file.md#early_stopping)") \
        .replace("[StudyFilePoint](#studyfilepoint)", "object of parameter values")
