"""states.yaml and errors.yaml as names for Python and TypeScript."""

from generator.states import ENUMS, final_names
from generator.text import generated_from, load

SOURCES = "states.yaml and schemas/errors.yaml"


def python_names():
    states = load("states.yaml")
    out = ['"""States, reasons and error codes of the service.', "", generated_from(SOURCES), '"""', ""]
    for key, _, _, final in ENUMS:
        out.append(f"{key.upper()} = frozenset({{")
        out += [f'    "{name}",' for name in states[key]]
        out.append("})")
        if final:
            out.append(f"FINAL_{key.upper()} = frozenset({{")
            out += [f'    "{name}",' for name in final_names(states[key])]
            out.append("})")
        else:
            out.append(f"{key.upper()[:-1]}_TEXTS = {{")
            out += [f'    "{name}": "{text}",' for name, text in states[key].items()]
            out.append("}")
        out.append("")
    out.append("# code -> (HTTP status, worth a retry, sentence)")
    out.append("ERROR_CODES = {")
    out += [f'    "{r["name"]}": ({r["http"]}, {r["retry"]}, "{r["text"]}"),'
            for r in load("errors.yaml")["errors"]]
    out.append("}\n")
    return "\n".join(out)


def ts_union(name, values):
    lines = "\n".join(f'  | "{value}"' for value in values)
    return f"export type {name} =\n{lines};\n"


def ts_list(name, kind, values):
    lines = "\n".join(f'  "{value}",' for value in values)
    return f"export const {name}: readonly {kind}[] = [\n{lines}\n];\n"


def typescript_names():
    states = load("states.yaml")
    out = [f"/* States, reasons and error codes of the service.\n *\n * {generated_from(SOURCES)} */\n"]
    for key, ctype, _, final in ENUMS:
        kind = "".join(word.capitalize() for word in ctype.split("_")[1:])
        out.append(ts_union(kind, states[key]))
        out.append(ts_list(key.upper(), kind, states[key]))
        if final:
            out.append(ts_list(f"FINAL_{key.upper()}", kind, final_names(states[key])))
        else:
            rows = "\n".join(f'  {name}: "{text}",' for name, text in states[key].items())
            out.append(f"export const {key.upper()[:-1]}_TEXTS: Readonly<Record<{kind}, string>> = "
                       f"{{\n{rows}\n}};\n")
    out.append(ts_union("ErrorCode", [r["name"] for r in load("errors.yaml")["errors"]]))
    return "\n".join(out)
