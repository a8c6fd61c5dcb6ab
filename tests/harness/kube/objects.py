"""What the API server says of objects, whoever asks: selectors, patches, validation.  Pure."""

from __future__ import annotations

import copy
import re

from .store import ApiError

NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")


def selector(text):
    """A label selector as a function of a label map; equality and set based."""
    if not text:
        return lambda labels: True
    tests = []
    for part in re.findall(r"[^,(]+(?:\([^)]*\))?", text):
        part = part.strip().lstrip(",").strip()
        if not part:
            continue
        sets = re.fullmatch(r"(\S+)\s+(in|notin)\s+\(([^)]*)\)", part)
        equal = re.fullmatch(r"([^=!\s]+)\s*(==|=|!=)\s*(\S*)", part)
        if sets:
            key, how, values = sets[1], sets[2], {v.strip() for v in sets[3].split(",")}
            tests.append((lambda k, v: lambda m: m.get(k) in v)(key, values) if how == "in" else
                         (lambda k, v: lambda m: m.get(k) not in v)(key, values))
        elif equal:
            key, how, value = equal.groups()
            tests.append((lambda k, v: lambda m: m.get(k) != v)(key, value) if how == "!=" else
                         (lambda k, v: lambda m: m.get(k) == v)(key, value))
        elif part.startswith("!"):
            tests.append((lambda k: lambda m: k not in m)(part[1:]))
        elif re.fullmatch(r"[\w./-]+", part):
            tests.append((lambda k: lambda m: k in m)(part))
        else:
            raise ApiError(400, "BadRequest", f"unable to parse requirement: {part}")
    return lambda labels: all(test(labels) for test in tests)


def field_selector(text):
    known = {"metadata.name", "metadata.namespace", "spec.nodeName", "status.phase",
             "involvedObject.name", "involvedObject.uid", "involvedObject.kind", "reason", "type"}
    tests = []
    for part in filter(None, (text or "").split(",")):
        match = re.fullmatch(r"([\w.]+)(==|=|!=)(.*)", part)
        if not match or match[1] not in known:
            raise ApiError(400, "BadRequest", f"field label not supported: {part}")
        tests.append(match.groups())

    def accepts(item):
        for path, how, value in tests:
            at = item
            for key in path.split("."):
                at = at.get(key, "") if isinstance(at, dict) else ""
            if (str(at) == value) == (how == "!="):
                return False
        return True
    return accepts


def merge(target, patch):
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        else:
            target[key] = merge(target.get(key), value)
    return target


def json_patch(target, operations):
    """RFC 6902: add, replace, remove, test."""
    target = copy.deepcopy(target)
    for operation in operations:
        keys = [k.replace("~1", "/").replace("~0", "~") for k in operation["path"].split("/")[1:]]
        at = target
        for key in keys[:-1]:
            at = at[int(key)] if isinstance(at, list) else at[key]
        last = keys[-1]
        if isinstance(at, list):
            last = len(at) if last == "-" else int(last)
        if operation["op"] == "remove":
            del at[last]
        elif operation["op"] == "test":
            if at[last] != operation["value"]:
                raise ApiError(422, "Invalid", "the server rejected our request due to an error in "
                               "our request")
        elif isinstance(at, list) and operation["op"] == "add":
            at.insert(last, operation["value"])
        else:
            at[last] = operation["value"]
    return target


def invalid(kind, name, causes):
    """422 with its causes: [(field, reason, message)]."""
    text = ", ".join(f"{field}: {message}" for field, _, message in causes)
    if len(causes) > 1:
        text = f"[{text}]"
    raise ApiError(422, "Invalid", f'{kind.kind} "{name}" is invalid: {text}',
                   {"name": name, "group": kind.group, "kind": kind.kind,
                    "causes": [{"reason": reason, "message": message, "field": field}
                               for field, reason, message in causes]})


def check_object(kind, item):
    """What the API server validates of objects Assay makes."""
    meta = item.get("metadata") or {}
    name = meta.get("name") or meta.get("generateName") or ""
    causes = []
    if not name:
        causes.append(("metadata.name", "FieldValueRequired",
                       "Required value: name or generateName is required"))
    elif not NAME.fullmatch(name.rstrip("-") if not meta.get("name") else name) or len(name) > 253:
        causes.append(("metadata.name", "FieldValueInvalid", f'Invalid value: "{name}": a lowercase '
                       "RFC 1123 subdomain must consist of lower case alphanumeric characters, "
                       "'-' or '.', and must start and end with an alphanumeric character"))
    for key, value in (meta.get("labels") or {}).items():
        if not isinstance(value, str) or len(value) > 63 or not LABEL.fullmatch(value):
            causes.append(("metadata.labels", "FieldValueInvalid", f'Invalid value: "{value}": a '
                           "valid label must be an empty string or consist of alphanumeric "
                           "characters, '-', '_' or '.' and at most 63 of them"))
    if kind.kind == "Pod":
        causes += check_pod_spec(item.get("spec") or {}, "spec")
    elif kind.kind == "Job":
        template = (item.get("spec") or {}).get("template") or {}
        causes += check_pod_spec(template.get("spec") or {}, "spec.template.spec")
        if (template.get("spec") or {}).get("restartPolicy") not in ("Never", "OnFailure"):
            causes.append(("spec.template.spec.restartPolicy", "FieldValueNotSupported",
                           'Required value: valid values: "OnFailure", "Never"'))
    if causes:
        invalid(kind, name, causes)


def check_pod_spec(spec, at):
    causes = []
    containers = spec.get("containers") or []
    if not containers:
        causes.append((f"{at}.containers", "FieldValueRequired", "Required value"))
    volumes = {v.get("name") for v in spec.get("volumes") or []}
    seen = set()
    for where, group in (("containers", containers),
                         ("initContainers", spec.get("initContainers") or [])):
        for i, container in enumerate(group):
            here = f"{at}.{where}[{i}]"
            name = container.get("name", "")
            if not name:
                causes.append((f"{here}.name", "FieldValueRequired", "Required value"))
            elif name in seen:
                causes.append((f"{here}.name", "FieldValueDuplicate", f'Duplicate value: "{name}"'))
            seen.add(name)
            if not container.get("image"):
                causes.append((f"{here}.image", "FieldValueRequired", "Required value"))
            for j, mount in enumerate(container.get("volumeMounts") or []):
                if mount.get("name") not in volumes:
                    causes.append((f"{here}.volumeMounts[{j}].name", "FieldValueNotFound",
                                   f'Not found: "{mount.get("name")}"'))
            resources = container.get("resources") or {}
            for name, amount in (resources.get("requests") or {}).items():
                limit = (resources.get("limits") or {}).get(name)
                if "/" in name and limit is not None and str(limit) != str(amount):
                    causes.append((f"{here}.resources.requests", "FieldValueInvalid",
                                   f'Invalid value: "{amount}": must be equal to {name} limit'))
                if "/" in name and limit is None:
                    causes.append((f"{here}.resources.limits", "FieldValueRequired",
                                   "Required value: Limit must be set for non overcommitable "
                                   "resources"))
    return causes
