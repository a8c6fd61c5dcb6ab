# Generated files and the fuzz drivers.  Included by the Makefile at the top.

.PHONY: generate check-generated fuzz
## generate         rewrite the files generated from schemas/*.yaml
generate:
	$(PYTHON) schemas/generate.py

## check-generated  fail when a generated file is not what its source says
check-generated:
	$(PYTHON) schemas/generate.py --check
