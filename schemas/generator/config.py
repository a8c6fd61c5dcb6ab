"""config.yaml: the options of assayd."""

from generator.text import c_banner, c_string, load, md_banner, md_table

# type -> (C member, printf-able initial value)
MEMBERS = {"text": "char *{};", "path": "char *{};", "int": "int64_t {};", "bytes": "int64_t {};",
           "duration": "int64_t {};", "bool": "bool {};", "choice": "int {};",
           "list": "struct assay_config_list {};"}
SUFFIXES = {"bytes": "_bytes", "duration": "_us"}


def member(option):
    name = option.get("file", option["name"]).replace("-", "_")
    suffix = SUFFIXES.get(option["type"], "")
    return name if name.endswith(suffix) else name + suffix


def options():
    return load("config.yaml")["options"]


def comment(option):
    text = option["text"]
    if option["type"] in ("text", "path") and "default" not in option:
        text += " NULL = not set."
    return text


def wrap_comment(text, indent, width=96):
    words, lines, line = text.split(), [], ""
    for word in words:
        if line and len(indent) + 3 + len(line) + 1 + len(word) > width - 3:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    lines.append(line)
    return f"{indent}/* " + f"\n{indent} * ".join(lines) + " */"


def config_options_h():
    out = [c_banner("config.yaml", "The options of assayd and the table that reads them."),
           "#ifndef ASSAY_SCHEMAS_CONFIG_OPTIONS_H\n#define ASSAY_SCHEMAS_CONFIG_OPTIONS_H\n",
           '#include "common/base.h"\n']
    for option in options():
        if option["type"] == "choice":
            prefix = "ASSAY_CONFIG_" + option["name"].replace("-", "_").upper()
            out.append(f"enum assay_config_{option['name'].replace('-', '_')} {{")
            out += [f"    {prefix}_{choice.upper()}," for choice in option["choices"]]
            out.append("};\n")
    out.append("""/* Texts in the order given. */
struct assay_config_list {
    char **items; /* NULL-terminated; NULL when there are none */
    size_t count;
    const char *source; /* what gave them; a stronger one starts afresh */
};
""")
    out.append("struct assay_config {")
    for option in options():
        out.append(wrap_comment(comment(option), "    "))
        out.append("    " + MEMBERS[option["type"]].format(member(option)))
    out.append("};\n")
    out.append("""enum assay_config_kind {
    ASSAY_CONFIG_TEXT, /* char *, also paths */
    ASSAY_CONFIG_INT,
    ASSAY_CONFIG_BYTES,
    ASSAY_CONFIG_DURATION, /* microseconds */
    ASSAY_CONFIG_BOOL,
    ASSAY_CONFIG_CHOICE, /* index in choices */
    ASSAY_CONFIG_LIST,   /* struct assay_config_list */
};

struct assay_config_option {
    const char *name;        /* without the two dashes */
    const char *file;        /* key in the file of --config */
    const char *environment; /* variable */
    const char *value;       /* what stands for the value in the help; NULL for bool */
    const char *default_text; /* NULL = not set, false */
    enum assay_config_kind kind;
    size_t offset;
    int64_t min, max; /* int, bytes, duration */
    const char *const *choices; /* NULL-terminated */
    const char *text;
};

extern const struct assay_config_option assay_config_options[];
extern const size_t assay_config_options_count;

#endif
""")
    return "\n".join(out)


def placeholder(option):
    default = {"int": "N", "bytes": "SIZE", "duration": "TIME", "choice": "|".join(option.get("choices", []))}
    return option.get("value", default.get(option["type"]))


def option_row(option):
    kind = {"text": "TEXT", "path": "TEXT"}.get(option["type"], option["type"].upper())
    name = option["name"].replace("-", "_")
    out = [f"    {{.name = {c_string(option['name'])},",
           f"     .file = {c_string(option.get('file', option['name']).replace('-', '_'))},",
           f"     .environment = {c_string(option['environment'])},"]
    if placeholder(option):
        out.append(f"     .value = {c_string(placeholder(option))},")
    if "default" in option:
        out.append(f"     .default_text = {c_string(option['default'])},")
    out.append(f"     .kind = ASSAY_CONFIG_{kind},")
    out.append(f"     .offset = offsetof(struct assay_config, {member(option)}),")
    if "min" in option:
        out.append(f"     .min = INT64_C({option['min']}),\n     .max = INT64_C({option['max']}),")
    if "choices" in option:
        out.append(f"     .choices = {name}_choices,")
    out.append(f"     .text = {c_string(option['text'])}}},")
    return "\n".join(out)


def config_options_c():
    out = [c_banner("config.yaml", "The options of assayd."), '#include "schemas/config_options.h"\n']
    for option in options():
        if "choices" in option:
            names = ", ".join(c_string(c) for c in option["choices"])
            out.append(f"static const char *const {option['name'].replace('-', '_')}_choices[] = "
                       f"{{{names}, NULL}};")
    out.append("\nconst struct assay_config_option assay_config_options[] = {")
    out += [option_row(option) for option in options()]
    out.append("};\n\nconst size_t assay_config_options_count = ASSAY_COUNT(assay_config_options);\n")
    return "\n".join(out)


def config_md():
    kinds = {"bool": "switch", "bytes": "size (`512Mi`, `4Gi`)", "duration": "duration (`30s`, `2h`)",
             "int": "integer"}
    kinds["list"] = "text, may be repeated"
    rows = []
    for o in options():
        kind = kinds.get(o["type"], o["type"])
        if "choices" in o:
            kind = " or ".join(f"`{c}`" for c in o["choices"])
        default = f"`{o['default']}`" if "default" in o else ("off" if o["type"] == "bool" else "")
        rows.append([f"`--{o['name']}`", f"`{o['environment']}`", kind, default, o["text"]])
    return (md_banner("config.yaml") + "# Options of assayd\n\n"
            "Each option can be given on the command line (`--log-level debug` or\n"
            "`--log-level=debug`), in the environment, or in the YAML file named by `--config FILE`\n"
            "(there with `_` for `-`: `log_level: debug`). The command line counts before the\n"
            "environment, the environment before the file. What may be repeated is separated by `:`\n"
            "in the environment and an array in the file (`plugins: [/srv/a.so, /srv/b.so]`).\n"
            "`assayd --help` prints this list.\n\n"
            + md_table(["option", "environment", "value", "default", "meaning"], rows))
