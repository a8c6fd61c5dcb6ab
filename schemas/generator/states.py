"""states.yaml: states and reasons of studies, trials and attempts."""

from generator.text import c_banner, c_string, load, md_banner, md_table

# (key in the file, C type, C prefix, has `final`)
ENUMS = [
    ("study_states", "assay_study_state", "ASSAY_STUDY", True),
    ("study_reasons", "assay_study_reason", "ASSAY_STUDY_REASON", False),
    ("trial_states", "assay_trial_state", "ASSAY_TRIAL", True),
    ("trial_reasons", "assay_trial_reason", "ASSAY_TRIAL_REASON", False),
    ("attempt_states", "assay_attempt_state", "ASSAY_ATTEMPT", True),
]


def final_names(states):
    return [name for name, row in states.items() if row["final"]]


def declare_enum(states, key, ctype, prefix, final):
    out = [f"enum {ctype} {{"]
    if not final:
        out.append(f"    {prefix}_NONE = 0,")
    for i, (name, row) in enumerate(states[key].items()):
        text = row["text"] if final else row
        start = " = 1" if not final and i == 0 else ""
        out.append(f"    {prefix}_{name.upper()}{start}, /* {text} */")
    out.append(f"    {prefix}_{'STATE_' if final else ''}MAX_,")
    out.append("};\n")
    out.append(f"/* The name used in JSON and SQL{'' if final else '; NULL for none'}. */")
    out.append(f"const char *{ctype}_name(enum {ctype} value);")
    out.append("/* False when the name is not one of them. */")
    out.append(f"ASSAY_MUST_CHECK bool {ctype}_parse(const char *name, enum {ctype} *ret_value);")
    if final:
        out.append(f"bool {ctype}_is_final(enum {ctype} value);")
    else:
        out.append("/* A sentence without capital and full stop; \"\" for none. */")
        out.append(f"const char *{ctype}_text(enum {ctype} value);")
    out.append("")
    return out


def states_h():
    states = load("states.yaml")
    out = [c_banner("states.yaml", "States and reasons of studies, trials and attempts."),
           "#ifndef ASSAY_SCHEMAS_STATES_H\n#define ASSAY_SCHEMAS_STATES_H\n",
           '#include "common/base.h"\n']
    for enum in ENUMS:
        out += declare_enum(states, *enum)
    out.append("#endif\n")
    return "\n".join(out)


def define_enum(states, key, ctype, prefix, final):
    names = list(states[key])
    table = f"{ctype}_names"
    rows = [f"    [{prefix}_{n.upper()}] = {c_string(n)}," for n in names]
    out = [f"static const char *const {table}[] = {{\n" + "\n".join(rows) + "\n};\n",
           f"const char *\n{ctype}_name(enum {ctype} value)\n{{\n"
           f"    ASSAY_ASSERT((size_t)value < ASSAY_COUNT({table}));\n"
           f"    return {table}[value];\n}}\n",
           f"bool\n{ctype}_parse(const char *name, enum {ctype} *ret_value)\n{{\n"
           f"    int i = find_name({table}, ASSAY_COUNT({table}), name);\n\n"
           f"    if (i < 0)\n        return false;\n"
           f"    *ret_value = (enum {ctype})i;\n    return true;\n}}\n"]
    if final:
        cond = " ||\n           ".join(f"value == {prefix}_{n.upper()}"
                                       for n in final_names(states[key]))
        out.append(f"bool\n{ctype}_is_final(enum {ctype} value)\n{{\n    return {cond};\n}}\n")
    else:
        rows = [f"    [{prefix}_{n.upper()}] = {c_string(states[key][n])}," for n in names]
        out.append(f"static const char *const {ctype}_texts[] = {{\n    [{prefix}_NONE] = \"\",\n"
                   + "\n".join(rows) + "\n};\n")
        out.append(f"const char *\n{ctype}_text(enum {ctype} value)\n{{\n"
                   f"    ASSAY_ASSERT((size_t)value < ASSAY_COUNT({ctype}_texts));\n"
                   f"    return {ctype}_texts[value];\n}}\n")
    return out


def states_c():
    states = load("states.yaml")
    out = [c_banner("states.yaml", "Names of states and reasons."), '#include "schemas/states.h"\n',
           "#include <string.h>\n",
           "static int\nfind_name(const char *const *names, size_t count, const char *name)\n{\n"
           "    for (size_t i = 0; i < count; i++) {\n"
           "        if (names[i] != NULL && strcmp(names[i], name) == 0)\n"
           "            return (int)i;\n    }\n    return -1;\n}\n"]
    for enum in ENUMS:
        out += define_enum(states, *enum)
    return "\n".join(out)


def states_md():
    states = load("states.yaml")
    titles = {"study_states": "Study states", "study_reasons": "Reasons of studies",
              "trial_states": "Trial states", "trial_reasons": "Reasons of trials and attempts",
              "attempt_states": "Attempt states"}
    out = [md_banner("states.yaml"), "# States and reasons\n"]
    for key, _, _, final in ENUMS:
        out.append(f"## {titles[key]}\n")
        if final:
            out.append(md_table(["state", "final", "meaning"],
                                [[f"`{n}`", "yes" if r["final"] else "no", r["text"]]
                                 for n, r in states[key].items()]))
        else:
            out.append(md_table(["reason", "meaning"],
                                [[f"`{n}`", text[0].upper() + text[1:] + "."]
                                 for n, text in states[key].items()]))
    return "\n".join(out)
