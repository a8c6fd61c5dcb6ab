/* What the translations share.  Other rooms do not include this. */
#ifndef ASSAY_SCHEMAS_IMPORT_TRANSLATION_H
#define ASSAY_SCHEMAS_IMPORT_TRANSLATION_H

#include "schemas/decode.h"
#include "schemas/import.h"

/* A translation at work. */
struct assay_translation {
    struct assay_import *import;
    json_t *study; /* import->document */
    struct assay_faults *faults;
};

void assay__import_katib(const json_t *file, struct assay_translation *t);
void assay__import_wandb(const json_t *file, struct assay_translation *t);
void assay__import_determined(const json_t *file, struct assay_translation *t);

/* What is left out, or means something else than there. */
void assay__note(struct assay_translation *t, const char *pointer, const char *format, ...)
    ASSAY_PRINTF(3, 4);
/* `from` of the document comes from `to` of the file; `to` ending in slash and asterisk: as
 * does everything below it. */
void assay__place(struct assay_translation *t, const char *from, const char *to);
/* As assay__place with the members `from_key` and `to_key` of both. */
void assay__place_key(struct assay_translation *t, const char *from, const char *from_key,
                      const char *to, const char *to_key);

/* Adds a fault at pointer + "/" + key. */
void assay__fault_at(struct assay_translation *t, const char *pointer, const char *key,
                     const json_t *found, const char *allowed, const char *format, ...)
    ASSAY_PRINTF(6, 7);

/* Whether there is a fault at or around the place already, among the first `n`. */
bool assay__told(const struct assay_faults *faults, size_t n, const char *pointer);

/* Appends a parameter that takes the place of one with a fault, so that what refers to it is
 * no fault too; "x" when `name` is NULL. */
void assay__placeholder(json_t *parameters, const char *name);
/* The object at a key, made when it is not there.  Borrowed. */
json_t *assay__section(json_t *object, const char *key);
/* Sets trial.… or limits.…: assay__set(t, "limits", "trials", value); steals the value. */
void assay__set(struct assay_translation *t, const char *section, const char *key, json_t *value);
/* `name` if it can be a study's, or else one made of it with a note, or NULL when nothing is
 * left.  New reference. */
json_t *assay__study_name(struct assay_translation *t, const char *name, const char *pointer);
/* A text with each "${" as "$${": it refers to nothing.  Caller frees. */
char *assay__literal(const char *text);

/* Every member of the object that is none of `known` (NULL-terminated) becomes a note. */
void assay__note_others(struct assay_translation *t, const json_t *object, const char *pointer,
                        const char *const *known);

#endif
