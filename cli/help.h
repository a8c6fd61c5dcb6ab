/* Help texts, made from the table of commands. */
#ifndef ASSAY_CLI_HELP_H
#define ASSAY_CLI_HELP_H

#include "cli/args.h"
#include "common/buffer.h"

/* `assay --help`: the commands and how to go on. */
void assay_help_overview(struct assay_buffer *text);
/* The commands of a group ("server"). */
void assay_help_group(const char *group, struct assay_buffer *text);
/* One command: usage, options, exit codes, examples. */
void assay_help_verb(const struct assay_verb *verb, struct assay_buffer *text);
/* The whole reference page, docs/reference/cli.md. */
void assay_help_markdown(struct assay_buffer *text);

/* The exit codes of a verb in their order, from 0 up; calls back for each. */
void assay_help_exits(const struct assay_verb *verb,
                      void (*each)(struct assay_buffer *text, int code, const char *meaning),
                      struct assay_buffer *text);

#endif
