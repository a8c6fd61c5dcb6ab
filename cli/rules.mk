# The room cli: its reference page is printed by the program itself.

CLI_REFERENCE := docs/reference/cli.md

.PHONY: cli-reference check-cli-reference
## cli-reference    write docs/reference/cli.md from the table of commands
cli-reference: $(BUILD)/bin/assay
	$(BUILD)/bin/assay help --markdown > $(CLI_REFERENCE)

check-cli-reference: $(BUILD)/bin/assay
	@$(BUILD)/bin/assay help --markdown | cmp -s - $(CLI_REFERENCE) || \
	    { echo "$(CLI_REFERENCE) is old; run: make cli-reference" >&2; exit 1; }

# Together with the other generated files.
check-generated: check-cli-reference
