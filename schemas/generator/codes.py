"""errors.yaml: status codes."""

from generator.text import c_banner, c_string, load, md_banner, md_table


def error_codes_h():
    rows = load("errors.yaml")["errors"]
    out = [c_banner("errors.yaml", "Status codes of every function that can fail, and of the HTTP contract."),
           "#ifndef ASSAY_COMMON_ERROR_CODES_H\n#define ASSAY_COMMON_ERROR_CODES_H\n",
           "/* X(NAME, \"name\", number, http status, exit code, worth a retry, sentence) */",
           "#define ASSAY_ERROR_CODES(X) \\"]
    for i, row in enumerate(rows):
        end = " \\" if i + 1 < len(rows) else ""
        retry = "true" if row["retry"] else "false"
        out.append(f"    X({row['name'].upper()}, {c_string(row['name'])}, {row['number']}, "
                   f"{row['http']}, {row['exit']}, {retry}, {c_string(row['text'])}){end}")
    out.append("\nenum assay_status {\n    ASSAY_OK = 0,")
    for row in rows:
        out.append(f"    ASSAY_E_{row['name'].upper()} = -{row['number']},")
    out.append("};\n\n#endif\n")
    return "\n".join(out)


def errors_md():
    rows = [[f"`{r['name']}`", r["http"], r["exit"], "yes" if r["retry"] else "no", r["text"]]
            for r in load("errors.yaml")["errors"]]
    return (md_banner("errors.yaml") + "# Error codes\n\n"
            "An error answer is `application/problem+json`; its `code` is one of these and never\n"
            "changes its meaning. `errors` names each fault of the input with a JSON pointer, and\n"
            "for YAML with a line. The exit code is that of the command `assay`. Worth a retry\n"
            "means that the same request may succeed later.\n\n"
            + md_table(["code", "HTTP status", "exit code", "worth a retry", "meaning"], rows))
