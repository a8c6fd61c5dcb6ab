# The room sql: the migrations are built into the library.

SQL_MIGRATIONS := $(sort $(wildcard sql/migrations/[0-9]*.sql))

$(BUILD)/gen/sql_migrations.c: sql/embed.sh $(SQL_MIGRATIONS) $(BUILD)/flags.stamp
	@mkdir -p $(@D)
	sh sql/embed.sh $(SQL_MIGRATIONS) > $@.new && mv $@.new $@

$(BUILD)/obj/gen/sql_migrations.o: $(BUILD)/gen/sql_migrations.c
	@mkdir -p $(@D)
	$(CC) $(ASSAY_CFLAGS) $(CFLAGS) -c -o $@ $<

$(call library,sql): $(BUILD)/obj/gen/sql_migrations.o

.PHONY: check-states
## check-states     the state names in the SQL are those of schemas/states.yaml
check-states:
	$(PYTHON) sql/check_states.py
