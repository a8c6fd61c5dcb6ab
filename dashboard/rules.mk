# The dashboard: included by the main Makefile, which sets BUILD. Needs Node 18 or later and npm.
#   make dashboard         bundle it into $(BUILD)/dashboard
#   make check-dashboard   type check, unit tests and browser tests (against ASSAY_URL and
#                          ASSAY_TOKEN too, where both are set)

NPM  ?= npm
NODE ?= node
CHROMIUM ?= /usr/bin/chromium

DASHBOARD_DIR := dashboard
DASHBOARD_OUT := $(BUILD)/dashboard
DASHBOARD_MODULES := $(DASHBOARD_DIR)/node_modules/.assay-stamp
DASHBOARD_SOURCES := $(DASHBOARD_DIR)/build.mjs $(DASHBOARD_DIR)/tsconfig.json \
	$(shell find $(DASHBOARD_DIR)/src -type f 2>/dev/null)
DASHBOARD_TESTS := $(wildcard $(DASHBOARD_DIR)/test/*.mjs)

.PHONY: dashboard check-dashboard

dashboard: $(DASHBOARD_OUT)/.stamp

$(DASHBOARD_MODULES): $(DASHBOARD_DIR)/package.json $(DASHBOARD_DIR)/package-lock.json
	cd $(DASHBOARD_DIR) && $(NPM) ci --no-audit --no-fund --loglevel=error
	@touch $@

$(DASHBOARD_OUT)/.stamp: $(DASHBOARD_MODULES) $(DASHBOARD_SOURCES)
	$(NODE) $(DASHBOARD_DIR)/build.mjs $(DASHBOARD_OUT)
	@touch $@

$(DASHBOARD_OUT)/.types: $(DASHBOARD_MODULES) $(DASHBOARD_SOURCES)
	@mkdir -p $(@D)
	$(NODE) $(DASHBOARD_DIR)/node_modules/typescript/bin/tsc --noEmit -p $(DASHBOARD_DIR)
	@touch $@

check-dashboard: $(DASHBOARD_OUT)/.stamp $(DASHBOARD_OUT)/.types $(DASHBOARD_TESTS)
	DASHBOARD=$(abspath $(DASHBOARD_OUT)) CHROMIUM=$(CHROMIUM) \
		$(NODE) --test $(filter %.test.mjs,$(DASHBOARD_TESTS))
