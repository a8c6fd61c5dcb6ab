/* Study files on their way to the server: reading, overriding, placing,
 * submitting, and telling the faults with their lines. */
#ifndef ASSAY_CLI_STUDY_FILE_H
#define ASSAY_CLI_STUDY_FILE_H

#include "cli/cli.h"
#include "schemas/import.h"

#define ASSAY_STUDY_FILE_BYTES_MAX ((size_t)8 << 20)

struct assay_study_file {
    const char *path; /* as given; "-" is standard input; borrowed */
    json_t *document;
    json_t *lines; /* JSON pointer → line; NULL when not known */
    bool foreign;  /* has an apiVersion that we do not know: sent as it is */
    bool refers;   /* to a text of a cluster: not translated, see assay_study_file_complete */
    /* Of a file of Katib, W&B or Determined; the document is its translation then. */
    enum assay_import_kind imported; /* NONE: a file of ours, places and notes are NULL */
    json_t *places, *notes;          /* as in struct assay_import */
};
void assay_study_file_done(struct assay_study_file *file);
#define assay_auto_study_file ASSAY_CLEANUP(assay_study_file_done)

/* Reads YAML or JSON, translates other systems' files, and applies --name, --project,
 * --seed and --set.  Prints errors and returns the exit code; 0 on success. */
ASSAY_MUST_CHECK int assay_study_file_read(struct assay_cli *cli, const char *path,
                                           struct assay_study_file *ret_file);

/* Has the server translate a file that refers to a text of its cluster, and applies the options
 * then; the document is a study from here on, without places in the file.  Nothing is done for
 * others.  Connects if need be; prints errors and returns the exit code; 0 on success. */
ASSAY_MUST_CHECK int assay_study_file_complete(struct assay_cli *cli,
                                               struct assay_study_file *file);
/* The same where no server can be asked: prints the faults of such a file, of which the
 * reference is one. */
ASSAY_MUST_CHECK int assay_study_file_incomplete(const struct assay_cli *cli,
                                                 const struct assay_study_file *file);

/* Sets one member: "limits.trials=20", "parameters.lr.max=0.1" (items of a list by
 * index or by their "name"), "/limits/trials=20" (a JSON pointer).  The value is
 * JSON, or a text when it is not.  Missing objects on the way are made. */
ASSAY_MUST_CHECK assay_status assay_override(json_t *document, const char *setting,
                                             struct assay_error *err);

/* Where the trials run when the file does not say: `directory` (absolute) becomes
 * trial.code.directory, a relative one is taken from there.  Studies without a
 * command, with git code or for Kubernetes are left alone. */
void assay_study_place(json_t *document, const char *directory);

/* Adds "line" to the faults of a problem from the map: of the nearest place above
 * that has one, short of the whole document, whose line says nothing. */
void assay_faults_locate(json_t *faults, const json_t *lines);

/* Prints the notes of a translation; nothing for a file of ours. */
void assay_study_file_note(const struct assay_cli *cli, const struct assay_study_file *file);

/* Brings the faults of the document to their places in the file, with their lines, and
 * prints them; returns the exit code. */
int assay_study_file_fail(const struct assay_cli *cli, const struct assay_study_file *file,
                          json_t *faults);

/* Submits the file (`dry_run`: only checks it) to the connected server.  Prints
 * errors and returns the exit code; 0 on success with the server's document. */
ASSAY_MUST_CHECK int assay_study_submit(struct assay_cli *cli, const struct assay_study_file *file,
                                        bool dry_run, json_t **ret_study);

#endif
