/* Other systems' study files as Assay's: Katib's Experiment, the sweep of Weights & Biases,
 * the experiment configuration of Determined.
 *
 * A translation says where each of its parts comes from, so that faults found in it can be
 * told at their place in the file that was given; what has no counterpart and can be left
 * out becomes a note, what can not a fault.  Pure; any thread. */
#ifndef ASSAY_SCHEMAS_IMPORT_H
#define ASSAY_SCHEMAS_IMPORT_H

#include "common/buffer.h"
#include "schemas/study.h"

enum assay_import_kind {
    ASSAY_IMPORT_NONE, /* a file of Assay, or of nobody */
    ASSAY_IMPORT_KATIB,
    ASSAY_IMPORT_WANDB,
    ASSAY_IMPORT_DETERMINED,
};

/* By what marks it: apiVersion and kind; method and parameters; searcher and
 * hyperparameters.  Anything else of the API group kubeflow.org counts as Katib's, to be
 * refused with a sentence. */
enum assay_import_kind assay_import_recognise(const json_t *file);
/* "Katib", "Weights & Biases", "Determined"; "" for none. */
const char *assay_import_name(enum assay_import_kind kind);

struct assay_import {
    enum assay_import_kind kind;
    json_t *document; /* the study file; as far as it goes when there are faults */
    json_t *places;   /* pointer in the document -> pointer in the file; see assay_import_place */
    json_t *notes;    /* [{"pointer","message"}]: what was left out or means something else */
};
void assay_import_done(struct assay_import *import);
#define assay_auto_import ASSAY_CLEANUP(assay_import_done)

/* Translates a file of a recognised system.  Faults have pointers into the file.  A reference
 * to a text that is not in the file is one, unless there are faults at it already: the caller's,
 * who could not read it. */
void assay_import_translate(const json_t *file, struct assay_import *ret_import,
                            struct assay_faults *faults);

/* Translates and decodes: as assay_study_decode, with all faults of both steps at once and
 * at their places in the file.  The import is set in either case. */
struct assay_study_spec *assay_import_decode(const json_t *file, const char *project,
                                             const struct assay_study_checks *checks,
                                             struct assay_import *ret_import,
                                             struct assay_faults *faults);

/* A text that a file refers to and does not hold: one of the texts of a ConfigMap. */
struct assay_import_source {
    char *namespace_, *name, *key;
    const char *label, *label_value; /* which the ConfigMap must carry */
    /* Where the file says so: the whole reference, and its members. */
    const char *pointer, *namespace_at, *name_at, *key_at;
};
void assay_import_source_done(struct assay_import_source *source);
void assay_import_source_copy(const struct assay_import_source *source,
                              struct assay_import_source *ret_copy);
#define assay_auto_import_source ASSAY_CLEANUP(assay_import_source_done)

/* Whether the file can only be translated together with such a text.  False for a reference
 * with faults, which the translation tells. */
bool assay_import_refers(const json_t *file, struct assay_import_source *ret_source);

/* The file with the text, which must be YAML, in the place of the reference; from here on it is
 * as any other.  `version` is the ConfigMap's and is kept with its name.  New references; NULL
 * with a fault.  `ret_lines`: as of assay_yaml_read, of the text. */
json_t *assay_import_include(const json_t *file, const struct assay_import_source *source,
                             const char *text, const char *version, json_t **ret_lines,
                             struct assay_faults *faults);

/* Faults within what was included are told at the reference, with their place and line in the
 * text. */
void assay_import_faults_outside(struct assay_faults *faults,
                                 const struct assay_import_source *source, const json_t *lines);

/* Where the file has what the document has at `pointer`: the place of its nearest ancestor
 * that has one, and for parts that were taken over as they are the same way on.
 * Caller frees. */
char *assay_import_place(const json_t *places, const char *pointer);

/* JSON as YAML in blocks, as assay_yaml_read takes it back. */
void assay_yaml_write(const json_t *json, struct assay_buffer *buffer);

#endif
