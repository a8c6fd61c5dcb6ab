# The example plugin: plain C99 against the one header of the ABI.

$(BUILD)/examples/plugin-random.so: examples/plugin-random/plugin_random.c suggest/plugin.h $(BUILD)/flags.stamp
	@mkdir -p $(@D)
	$(CC) -std=c99 -O2 -fPIC -shared -I. -Wall -Wextra -Wconversion -pedantic -Werror -o $@ $< -lm
	@chmod go-w $@ # the loader asks for it

.PHONY: plugin-example
## plugin-example   build the example plugin
plugin-example: $(BUILD)/examples/plugin-random.so
