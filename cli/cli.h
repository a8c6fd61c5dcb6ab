/* What every verb works with: the options, the server, and how things are said.
 *
 * Results go to standard output, everything else (progress, hints, errors) to
 * standard error.  With --json standard output carries one JSON document: the
 * result, or the problem.  One thread. */
#ifndef ASSAY_CLI_CLI_H
#define ASSAY_CLI_CLI_H

#include "cli/args.h"
#include "client/find.h"
#include "client/http.h"

#define ASSAY_CLI_VERSION "0.1.0"

/* Exit codes; assay_status_exit() gives the first three for an error. */
enum assay_cli_exit {
    ASSAY_EXIT_DONE = 0,
    ASSAY_EXIT_FAILED = 1, /* the study, or the work, failed */
    ASSAY_EXIT_INPUT = 2,  /* what was asked for is wrong */
    ASSAY_EXIT_LIMIT = 3,  /* a limit was hit before the target */
    ASSAY_EXIT_INTERRUPTED = 130,
};

struct assay_cli {
    const struct assay_verb *verb;
    struct assay_args args;
    bool json;
    bool colour_out, colour_err; /* standard output, error: a terminal that takes colours */
    bool terminal_err;           /* standard error can redraw a line */
    bool unicode;                /* the locale's characters are UTF-8 */
    struct assay_target target;
    struct assay_http *http;      /* NULL until connected */
    bool (*cancelled)(void *arg); /* NULL = requests are not interrupted */
};

/* --- terminal */

void assay_cli_init(struct assay_cli *cli, const struct assay_verb *verb);
void assay_cli_done(struct assay_cli *cli);

enum assay_style {
    ASSAY_STYLE_BOLD,
    ASSAY_STYLE_DIM,
    ASSAY_STYLE_GOOD,
    ASSAY_STYLE_BAD,
    ASSAY_STYLE_WARN,
    ASSAY_STYLE_NONE,
};
/* The escape sequence that starts / ends the style; "" where colours are off. */
const char *assay_style(bool colour, enum assay_style style);
const char *assay_style_end(bool colour);
/* The style of a study's or trial's state. */
enum assay_style assay_style_of_state(const char *state);

/* Columns of the terminal on standard error; 80 when not known. */
size_t assay_cli_columns(void);

/* One sentence on standard error. */
void assay_cli_note(const struct assay_cli *cli, const char *format, ...) ASSAY_PRINTF(2, 3);
/* Prints and flushes; ends the program when standard output is broken. */
void assay_cli_print(const struct assay_buffer *text);
void assay_cli_print_json(const json_t *document);

/* --- errors; these return the exit code */

/* Prints the error: a sentence on standard error, with --json the problem on
 * standard output.  `problem` is the server's document or NULL. */
int assay_cli_fail(const struct assay_cli *cli, const json_t *problem,
                   const struct assay_error *err);
/* The same for the faults of a file: one block each.  `faults` is the "errors"
 * array of a problem, each with "line" where known. */
int assay_cli_fail_faults(const struct assay_cli *cli, const char *file, const json_t *faults);
/* A mistake on the command line. */
int assay_cli_fail_usage(const struct assay_cli *cli, const char *format, ...) ASSAY_PRINTF(2, 3);

/* --- server */

/* Finds the server and prepares the connection; nothing is sent yet.
 * ASSAY_E_UNAVAILABLE when there is none to be found. */
ASSAY_MUST_CHECK assay_status assay_cli_find(struct assay_cli *cli, struct assay_error *err);
ASSAY_MUST_CHECK assay_status assay_cli_connect(struct assay_cli *cli, struct assay_error *err);

/* Requests, also of later connections, ask `cancelled` whether to end early. */
void assay_cli_set_cancelled(struct assay_cli *cli, bool (*cancelled)(void *arg));

/* Sends with retries for up to `patience_ms` (0 = no retries).  Looks the address
 * up again when a data directory's daemon has come back under another one.
 * Connects first if need be. */
ASSAY_MUST_CHECK assay_status assay_cli_send(struct assay_cli *cli,
                                             const struct assay_http_request *request,
                                             int64_t patience_ms, struct assay_http_answer *answer,
                                             struct assay_error *err);
/* A daemon that restarts is back within this. */
#define ASSAY_CLI_PATIENCE_MS 2500

/* Sends a request with a JSON body (NULL = none) and hands out the JSON answer (a
 * new reference; NULL after 204).  On failure prints and returns the exit code
 * (> 0); 0 on success.  `ret_json` may be NULL.  Retries: only for requests that
 * may arrive twice. */
ASSAY_MUST_CHECK int assay_cli_call(struct assay_cli *cli, const char *method, const char *path,
                                    const char *query, const json_t *body, json_t **ret_json);
/* The same without retries. */
ASSAY_MUST_CHECK int assay_cli_call_once(struct assay_cli *cli, const char *method,
                                         const char *path, const char *query, const json_t *body,
                                         json_t **ret_json);

/* Calls `each` for every item of the list `member` at `path`, page after page, up
 * to `limit` items (< 0 = all).  `query` may be NULL.  Prints errors; exit code. */
ASSAY_MUST_CHECK int assay_cli_each(struct assay_cli *cli, const char *path, const char *query,
                                    const char *member, int64_t limit,
                                    void (*each)(void *arg, json_t *item), void *arg);
/* The same as one array. */
ASSAY_MUST_CHECK int assay_cli_all(struct assay_cli *cli, const char *path, const char *query,
                                   const char *member, int64_t limit, json_t **ret_array);

/* --- arguments */

/* Splits NAME or PROJECT/NAME (project "default", or $ASSAY_PROJECT).  False when
 * a part is not a name, with the error printed by the caller. */
ASSAY_MUST_CHECK assay_status assay_cli_study_path(const char *argument, char **ret_path,
                                                   struct assay_error *err);
/* "/v1/projects/P/studies" of --project or the default.  */
ASSAY_MUST_CHECK assay_status assay_cli_project_path(const struct assay_cli *cli,
                                                     const char *resource, char **ret_path,
                                                     struct assay_error *err);
const char *assay_cli_project(const struct assay_cli *cli);

/* "<url>/#token=<token>".  Caller frees. */
char *assay_cli_dashboard(const struct assay_cli *cli);

/* --- JSON members; borrowed, "" / 0 / NaN when missing or null */
const char *assay_member_text(const json_t *object, const char *key);
int64_t assay_member_int(const json_t *object, const char *key);
double assay_member_number(const json_t *object, const char *key);
/* Time of the member, ASSAY_TIME_NONE when there is none. */
int64_t assay_member_time(const json_t *object, const char *key);
/* Duration member: a text ("2h") or seconds; -1 when there is none. */
int64_t assay_member_duration_us(const json_t *object, const char *key);

#endif
