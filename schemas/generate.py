#!/usr/bin/env python3
"""Writes everything that is generated from the YAML files of this folder.

    schemas/generate.py           write the files that changed
    schemas/generate.py --check   write nothing; exit 1 and name the stale files

The outputs are committed, so building needs no Python; `make check-generated`
keeps them honest.  One function per output, in the modules of generator/.
"""

import sys

sys.dont_write_bytecode = True

from generator import codes, config, contract, names, states, study_file  # noqa: E402
from generator.text import ROOT  # noqa: E402

# path below the root -> function that makes the text
OUTPUTS = {
    "common/error_codes.h": codes.error_codes_h,
    "docs/reference/errors.md": codes.errors_md,
    "schemas/states.h": states.states_h,
    "schemas/states.c": states.states_c,
    "docs/reference/states.md": states.states_md,
    "python/assay/_generated.py": names.python_names,
    "dashboard/src/generated.ts": names.typescript_names,
    "schemas/config_options.h": config.config_options_h,
    "schemas/config_options.c": config.config_options_c,
    "docs/reference/config.md": config.config_md,
    "docs/reference/study.schema.json": study_file.study_schema_json,
    "docs/reference/study-file.md": study_file.study_file_md,
    "schemas/openapi_json.c": contract.openapi_json_c,
    "docs/reference/api.md": contract.api_md,
}


def main():
    stale = []
    for path, make in OUTPUTS.items():
        target, text = ROOT / path, make()
        if target.exists() and target.read_text() == text:
            continue
        stale.append(path)
        if "--check" not in sys.argv[1:]:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            print("wrote", path)
    if stale and "--check" in sys.argv[1:]:
        print("stale (run schemas/generate.py):", *stale, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
