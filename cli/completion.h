/* Completion scripts for shells, made from the table of commands. */
#ifndef ASSAY_CLI_COMPLETION_H
#define ASSAY_CLI_COMPLETION_H

#include "common/buffer.h"

void assay_completion_bash(struct assay_buffer *text);
void assay_completion_zsh(struct assay_buffer *text);
void assay_completion_fish(struct assay_buffer *text);

#endif
