# What the suggest room's tests need besides their own program.  Included by the
# Makefile at the top.

-include examples/plugin-random/rules.mk

# One build of the faulty plugin for each of its faults.
BAD_PLUGINS := $(foreach n,0 1 2 3 4 5 6 7 8 9 10 11 12 13,$(BUILD)/tests/suggest/bad_plugin_$(n).so)

$(BUILD)/tests/suggest/bad_plugin_%.so: tests/unit/suggest/bad_plugin.c suggest/plugin.h $(BUILD)/flags.stamp
	@mkdir -p $(@D)
	$(CC) -std=c99 -O1 -fPIC -shared -I. -Wall -Wextra -DFAULT=$* -o $@ $<
	@chmod go-w $@ # the loader asks for it

$(BUILD)/tests/suggest/flawed_plugin.so: tests/unit/suggest/flawed_plugin.c examples/plugin-random/plugin_random.c suggest/plugin.h $(BUILD)/flags.stamp
	@mkdir -p $(@D)
	$(CC) -std=c99 -D_POSIX_C_SOURCE=199309L -O1 -fPIC -shared -I. -Wall -Wextra -o $@ $< -lm
	@chmod go-w $@ # the loader asks for it

# The plugins of tests/system.
MISCHIEF := $(BUILD)/tests/system/misbehaving.so $(BUILD)/tests/system/crash_on_load.so
tests: $(MISCHIEF) $(BUILD)/examples/plugin-random.so

$(BUILD)/tests/system/crash_on_load.so: MISCHIEF_FLAGS := -DCRASH_ON_LOAD
$(MISCHIEF): tests/system/misbehaving.c suggest/plugin.h $(BUILD)/flags.stamp
	@mkdir -p $(@D)
	$(CC) -std=c99 -O1 -fPIC -shared -I. -Wall -Wextra $(MISCHIEF_FLAGS) -o $@ $< -lm
	@chmod go-w $@ # the loader asks for it

# The header of the plugin ABI by itself, as C99 and as C++.
$(BUILD)/tests/suggest/abi.stamp: suggest/plugin.h $(BUILD)/flags.stamp
	@mkdir -p $(@D)
	$(CC) -std=c99 -pedantic -Wall -Wextra -Werror -fsyntax-only -x c $<
	$(CC) -std=c++11 -pedantic -Wall -Wextra -Werror -fsyntax-only -x c++ $<
	@touch $@

$(BUILD)/tests/suggest/plugin_test: | $(BAD_PLUGINS) $(BUILD)/examples/plugin-random.so $(BUILD)/tests/suggest/abi.stamp
$(BUILD)/tests/suggest/worker_test: | $(BAD_PLUGINS) $(BUILD)/examples/plugin-random.so $(BUILD)/bin/assay-suggest
$(BUILD)/tests/suggest/plugin_check_test: | $(BUILD)/tests/suggest/flawed_plugin.so
