# Generated files and the fuzz drivers.  Included by the Makefile at the top.
#
#   FUZZ_SECONDS=60     how long each driver runs
#   FUZZ=name           one driver of tests/fuzz only

.PHONY: generate check-generated fuzz
## generate         rewrite the files generated from schemas/*.yaml
generate:
	$(PYTHON) schemas/generate.py

## check-generated  fail when a generated file is not what its source says, or the contract has holes
check-generated:
	$(PYTHON) schemas/generate.py --check
	$(PYTHON) -W ignore -m unittest discover -q -s tests/schemas

FUZZ ?= $(patsubst tests/fuzz/%_fuzz.c,%,$(wildcard tests/fuzz/*_fuzz.c))
FUZZ_SECONDS ?= 60
FUZZ_FLAGS := -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all

# The drivers are built by clang with the sources of the rooms they reach, all
# instrumented: a folder of its own, apart from the ordinary objects.
$(BUILD)/fuzz/%: tests/fuzz/%_fuzz.c $(wildcard common/*.[ch] schemas/*.[ch] schemas/*/*.[ch])
	@mkdir -p $(@D)
	clang $(filter-out -fsanitize=% -fno-sanitize-recover=all -MMD -MP --coverage,$(ASSAY_CFLAGS)) -O1 \
	    $(FUZZ_FLAGS) -o $@ $(filter %.c,$^) $(shell $(PKG_CONFIG) --libs jansson yaml-0.1) -lm

## fuzz             run each fuzz driver for FUZZ_SECONDS (FUZZ=name for one)
fuzz: $(addprefix $(BUILD)/fuzz/,$(FUZZ))
	@for name in $(FUZZ); do \
	    mkdir -p $(BUILD)/fuzz/corpus/$$name; \
	    $(BUILD)/fuzz/$$name -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 \
	        -artifact_prefix=$(BUILD)/fuzz/$$name- -print_final_stats=1 \
	        $(BUILD)/fuzz/corpus/$$name tests/fuzz/corpus/$$name || exit 1; \
	done
