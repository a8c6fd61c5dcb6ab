# What the suggest room's tests need besides their own program.  Included by the
# Makefile at the top.

-include examples/plugin-random/rules.mk

# One build of the faulty plugin for each of its faults.
BAD_PLUGINS := $(foreach n,0 1 2 3 4 5 6 7 8 9 10 11 12,$(BUILD)/tests/suggest/bad_plugin_$(n).so)

$(BUILD)/tests/suggest/bad_plugin_%.so: tests/unit/suggest/bad_plugin.c suggest/plugin.h $(BUILD)/flags.stamp
	@mkdir -p $(@D)
	$(CC) -std=c99 -O1 -fPIC -shared -I. -Wall -Wextra -DFAULT=$* -o $@ $<
	@chmod go-w $@ # the loader asks for it

# The header of the plugin ABI by itself, as C99 and as C++.
$(BUILD)/tests/suggest/abi.stamp: suggest/plugin.h $(BUILD)/flags.stamp
	@mkdir -p $(@D)
	$(CC) -std=c99 -pedantic -Wall -Wextra -Werror -fsyntax-only -x c $<
	$(CC) -std=c++11 -pedantic -Wall -Wextra -Werror -fsyntax-only -x c++ $<
	@touch $@

$(BUILD)/tests/suggest/plugin_test: | $(BAD_PLUGINS) $(BUILD)/examples/plugin-random.so $(BUILD)/tests/suggest/abi.stamp
$(BUILD)/tests/suggest/worker_test: | $(BAD_PLUGINS) $(BUILD)/examples/plugin-random.so $(BUILD)/bin/assay-suggest
