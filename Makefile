# Assay: build, test, install.   `make help` lists the targets.
#
# Knobs (on the command line, or in config.mak, which is not tracked):
#   BUILD=build        where everything goes that is made
#   DEVELOPER=1        warnings are errors
#   SANITIZE=address,undefined | thread
#   COVERAGE=1         gcov instrumentation
#   CC=gcc|clang       PREFIX=/usr/local  DESTDIR=
#   CUDA=no            do not look for nvcc
#   V=1                show the commands

-include config.mak

CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
BUILD ?= build
PREFIX ?= /usr/local
PYTHON ?= /usr/bin/python3
PKG_CONFIG ?= pkg-config
OPTIMIZE ?= -O2
Q := $(if $(V),,@)
say = $(if $(V),@:,@printf '  %-6s %s\n')

# Every room, from the bottom up: a room may include itself and those to its left
# as tests/layers.py allows (make check-layers).
ROOMS := common schemas suggest sql client controller trial-runner api cli
PROGRAMS := assayd assay assay-suggest assay-runner

PACKAGES_schemas := yaml-0.1
# OpenBLAS first: GSL brings a slow BLAS of its own under the same names.
PACKAGES_suggest := openblas gsl nlopt
PACKAGES_sql := libpq
PACKAGES_client := libcurl
PACKAGES_controller := libuv gnutls libcurl
PACKAGES_api := libmicrohttpd gnutls
ALL_PACKAGES := jansson $(foreach r,$(ROOMS),$(PACKAGES_$(r)))

# Each warning finds a class of real bugs: lost precision and sign (-Wconversion),
# constness thrown away, formats from data, functions nobody declared, stack
# arrays of a user's size, macros that silently are 0.
WARNINGS := -Wall -Wextra -Wconversion -Wcast-qual -Wformat=2 -Wmissing-prototypes \
            -Wstrict-prototypes -Wvla -Wwrite-strings -Wpointer-arith -Wundef -Wshadow
ifdef DEVELOPER
WARNINGS += -Werror
endif

# -ffp-contract=off: the same suggestion from the same history, whatever the compiler fuses.
ASSAY_CFLAGS := -std=c11 -D_GNU_SOURCE -I. -I$(BUILD) -include common/banned.h -pthread \
                -ffp-contract=off -fno-math-errno -g $(OPTIMIZE) $(WARNINGS) -MMD -MP -fPIC
ifdef SANITIZE
ASSAY_CFLAGS += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
ASSAY_LDFLAGS += -fsanitize=$(SANITIZE)
else
ASSAY_CFLAGS += -D_FORTIFY_SOURCE=2 -fstack-protector-strong
endif
ifdef COVERAGE
ASSAY_CFLAGS += --coverage
ASSAY_LDFLAGS += --coverage
endif
ASSAY_CFLAGS += $(shell $(PKG_CONFIG) --cflags $(ALL_PACKAGES) | sed 's/-I/-isystem /g')
ASSAY_LDFLAGS += -pthread -Wl,--as-needed -Wl,-z,relro,-z,now

.DEFAULT_GOAL := all

# --- objects: every .c of a room; the ones that hold main() are no part of the library
MAIN_assayd := api/assayd.c
MAIN_assay := cli/assay.c
MAIN_assay-suggest := suggest/assay_suggest.c
# Remote algorithms are spoken to by the worker alone (docs/adr/0010-remote-algorithms.md), as
# workers elsewhere are (docs/adr/0021-workers-elsewhere.md).
PACKAGES_assay-suggest := libcurl gnutls
MAIN_assay-runner := trial-runner/assay_runner.c
MAINS := $(foreach p,$(PROGRAMS),$(MAIN_$(p)))

# Larger algorithms have a folder of their own.
ALGORITHM_FOLDERS := auto bayesian cmaes fidelity nsga2 tpe
# Code of the static runner alone (see below), linked instead of files of the same purpose.
BUNDLE_SOURCES := $(wildcard trial-runner/bundle/*.c)
sources = $(filter-out $(MAINS) $(BUNDLE_SOURCES),$(wildcard $(1)/*.c $(1)/*/*.c $(foreach f,$(ALGORITHM_FOLDERS),$(1)/algorithms/$(f)/*.c)))
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(call sources,$(1)))
library = $(BUILD)/lib/libassay-$(1).a

# flags.stamp changes only when the flags do: a change of knobs rebuilds.
# A file of its own for each make: the tests run several at once.
$(shell mkdir -p $(BUILD) && new=$(BUILD)/flags.$$$$ && \
	echo '$(CC) $(ASSAY_CFLAGS) $(CFLAGS) $(ASSAY_LDFLAGS)' > $$new && \
	(cmp -s $$new $(BUILD)/flags.stamp || cp $$new $(BUILD)/flags.stamp); rm -f $$new)

$(BUILD)/obj/%.o: %.c $(BUILD)/flags.stamp
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(ASSAY_CFLAGS) $(CFLAGS) -c -o $@ $<

define room_rules
$(call library,$(1)): $(call objects,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(Q)ar rcs $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call room_rules,$(r))))

# --- programs: their rooms from the top down, then the libraries of those rooms
ROOMS_assayd := api controller sql suggest schemas common
ROOMS_assay := cli client schemas common
ROOMS_assay-suggest := suggest schemas common
ROOMS_assay-runner := trial-runner client schemas common

define program_rules
$(BUILD)/bin/$(1): $(BUILD)/obj/$(MAIN_$(1):.c=.o) $(foreach r,$(ROOMS_$(1)),$(call library,$(r)))
	@mkdir -p $$(@D)
	$$(say) LINK $$@
	$$(Q)$$(CC) $$(ASSAY_LDFLAGS) $$(LDFLAGS) -o $$@ $$^ \
	    $$(shell $$(PKG_CONFIG) --libs jansson $(foreach r,$(ROOMS_$(1)),$(PACKAGES_$(r))) $(PACKAGES_$(1))) -lm -ldl
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rules,$(p))))

# --- the runner as one static file, for pods: it runs in any image of this CPU.  What would
# load shared objects (libcurl, the C library's name service) gives way to trial-runner/bundle.
BUNDLE := $(BUILD)/bundle/assay-runner
$(BUNDLE): $(BUILD)/obj/trial-runner/assay_runner.o $(BUNDLE_SOURCES:%.c=$(BUILD)/obj/%.o) \
           $(foreach r,trial-runner client schemas common,$(call library,$(r)))
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) $(ASSAY_LDFLAGS) $(LDFLAGS) -static-pie -o $@ $^ -lmbedtls -lmbedx509 -lmbedcrypto -ljansson -lresolv -lm

.PHONY: runner-static
## runner-static    assay-runner as one static file (BUILD/bundle), for pods
runner-static: $(BUNDLE)

.PHONY: all help
all: $(addprefix $(BUILD)/bin/,$(PROGRAMS))

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

# --- tests: tests/unit/ROOM/NAME_test.c, each a cmocka program over all rooms' libraries
TEST_SOURCES := $(wildcard tests/unit/*/*_test.c)
TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(TEST_SOURCES))
# A test links its own room first; the runner's stand-ins for libcurl (curl_loader.c)
# must not reach the others.
TEST_ROOMS := cli api controller client sql suggest schemas common
TEST_PACKAGES := cmocka jansson $(foreach r,$(TEST_ROOMS),$(PACKAGES_$(r)))

define test_rules
$(BUILD)/tests/$(1)/%: $(BUILD)/obj/tests/unit/$(1)/%.o $(call library,$(1)) $(foreach r,$(TEST_ROOMS),$(call library,$(r)))
	@mkdir -p $$(@D)
	$$(say) LINK $$@
	$$(Q)$$(CC) $$(ASSAY_LDFLAGS) $$(LDFLAGS) -o $$@ $$^ $$(shell $$(PKG_CONFIG) --libs $(TEST_PACKAGES)) -lm -ldl
endef
$(foreach r,$(sort $(patsubst tests/unit/%/,%,$(dir $(TEST_SOURCES)))),$(eval $(call test_rules,$(r))))
.PRECIOUS: $(BUILD)/obj/%.o

-include schemas/rules.mk
-include sql/rules.mk
-include suggest/rules.mk
-include cli/rules.mk
-include examples/rules.mk
-include dashboard/rules.mk
-include tests/rules.mk
-include bench/rules.mk
-include deploy/rules.mk

# --- install: runs from there with no further setting
.PHONY: install uninstall
## install          programs, static runner, dashboard, plugin header into DESTDIR/PREFIX
install: all runner-static dashboard
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/assay/dashboard \
	    $(DESTDIR)$(PREFIX)/include/assay $(DESTDIR)$(PREFIX)/share/doc/assay \
	    $(DESTDIR)$(PREFIX)/libexec/assay
	install -m 755 $(addprefix $(BUILD)/bin/,$(PROGRAMS)) $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(BUNDLE) $(DESTDIR)$(PREFIX)/libexec/assay
	install -m 644 $(BUILD)/dashboard/* $(DESTDIR)$(PREFIX)/share/assay/dashboard
	install -m 644 suggest/plugin.h $(DESTDIR)$(PREFIX)/include/assay
	install -m 644 README.md LICENSE $(DESTDIR)$(PREFIX)/share/doc/assay

## uninstall        removes what install put there
uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/bin/,$(PROGRAMS))
	rm -rf $(DESTDIR)$(PREFIX)/share/assay $(DESTDIR)$(PREFIX)/include/assay \
	    $(DESTDIR)$(PREFIX)/share/doc/assay $(DESTDIR)$(PREFIX)/libexec/assay

.PHONY: clean
## clean            remove what was built
clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
