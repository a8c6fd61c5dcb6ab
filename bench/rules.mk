.PHONY: bench
## bench            what the benchmarks in bench/ need beside the programs
bench: all $(BUILD)/bench/turnover_trial

$(BUILD)/bench/turnover_trial: bench/turnover_trial.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_POSIX_C_SOURCE=200809L -O2 -Wall -Wextra $(CFLAGS) -o $@ $<
