# The examples' programs.  Included by the Makefile at the top.
#
#   NVCC=/path/to/nvcc      CUDA compiler; found by itself if left out

ifneq ($(CUDA),no)
NVCC ?= $(firstword $(wildcard $(shell command -v nvcc 2>/dev/null) /usr/local/cuda/bin/nvcc))
endif
NVCC_HOST_FLAGS := -Wall,-Wextra,-ffp-contract=off
NVCC_FLAGS := -std=c++17 -O3 -Xcompiler $(NVCC_HOST_FLAGS) \
              -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=sm_90 \
              -gencode arch=compute_90,code=compute_90

EXAMPLES := $(BUILD)/examples/digits $(BUILD)/examples/digits.csv
ifneq ($(NVCC),)
EXAMPLES += $(BUILD)/examples/digits-cuda
endif

.PHONY: examples examples-check
## examples         build the example programs (the CUDA one where nvcc is found)
examples: $(EXAMPLES)

# The vector loops want -O3, which comes after the tree's -O2.
$(BUILD)/examples/%.o: examples/digits/%.c examples/digits/digits.h $(BUILD)/flags.stamp
	@mkdir -p $(@D)
	$(CC) $(ASSAY_CFLAGS) $(CFLAGS) -O3 -c -o $@ $<

$(BUILD)/examples/digits: $(BUILD)/examples/digits.o
	$(CC) $(ASSAY_LDFLAGS) $(LDFLAGS) -o $@ $< -lm

$(BUILD)/examples/digits.csv: examples/digits/export_data.py examples/digits/train.py
	@mkdir -p $(@D)
	PYTHONDONTWRITEBYTECODE=1 $(PYTHON) examples/digits/export_data.py $@

# Without the tree's flags: nvcc links it, and knows nothing of sanitizers or coverage.
$(BUILD)/examples/digits_shared.o: examples/digits/digits.c examples/digits/digits.h
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE -O3 -ffp-contract=off $(WARNINGS) -DDIGITS_NO_MAIN -c -o $@ $<

$(BUILD)/examples/digits-cuda: examples/digits/digits.cu examples/digits/digits.h $(BUILD)/examples/digits_shared.o
	$(NVCC) $(NVCC_FLAGS) -Iexamples/digits -o $@ $< $(BUILD)/examples/digits_shared.o -lm

## examples-check   run the examples' own checks
examples-check: examples
	$(BUILD)/examples/digits --check
	$(BUILD)/examples/digits --check --dropout=0.4 --units=200 --seed=3
	BUILD=$(BUILD) PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m unittest discover -s examples/digits -p 'test_*.py'
