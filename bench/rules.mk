.PHONY: bench
## bench            what the benchmarks in bench/ need beside the programs
bench: all $(BUILD)/bench/turnover_trial $(BUILD)/bench/suggest_cost $(BUILD)/bench/stopping_judge $(BUILD)/bench/kube_cluster

$(BUILD)/bench/turnover_trial: bench/turnover_trial.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_POSIX_C_SOURCE=200809L -O2 -Wall -Wextra $(CFLAGS) -o $@ $<

# With the rooms that the suggestion worker has.
$(BUILD)/bench/suggest_cost: $(BUILD)/obj/bench/suggest_cost.o $(foreach r,$(ROOMS_assay-suggest),$(call library,$(r)))
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) $(ASSAY_LDFLAGS) $(LDFLAGS) -o $@ $^ \
	    $(shell $(PKG_CONFIG) --libs jansson $(foreach r,$(ROOMS_assay-suggest),$(PACKAGES_$(r)))) -lm -ldl

$(BUILD)/bench/stopping_judge: $(BUILD)/obj/bench/stopping_judge.o $(foreach r,$(ROOMS_assay-suggest),$(call library,$(r)))
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) $(ASSAY_LDFLAGS) $(LDFLAGS) -o $@ $^ \
	    $(shell $(PKG_CONFIG) --libs jansson $(foreach r,$(ROOMS_assay-suggest),$(PACKAGES_$(r)))) -lm -ldl

$(BUILD)/bench/kube_cluster: $(BUILD)/obj/bench/kube_cluster.o $(call library,common)
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) $(ASSAY_LDFLAGS) $(LDFLAGS) -o $@ $^ $(shell $(PKG_CONFIG) --libs jansson libuv) -lm
