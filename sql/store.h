/* The store's reading side, and the few writes that need no engine.
 *
 * A store is one connection for one thread at a time; it connects when first
 * used and again after a loss (reads are retried once on a fresh connection).
 * Rows become domain types; no SQL, no PGresult leaves this room.  Everything
 * that belongs to a running study is written by sql/writer.h. */
#ifndef ASSAY_SQL_STORE_H
#define ASSAY_SQL_STORE_H

#include "schemas/study_record.h"
#include "schemas/trial.h"

struct assay_store;

struct assay_store *assay_store_new(const char *url, const char *application_name);
struct assay_store *assay_store_free(struct assay_store *store); /* NULL allowed */

/* Brings the schema to this program's version (migrations are forward-only, each
 * in its own transaction, under a lock).  A database newer than the program is
 * ASSAY_E_CONFLICT. */
ASSAY_MUST_CHECK assay_status assay_store_migrate(struct assay_store *store,
                                                  struct assay_error *err);
/* One round trip; for /readyz. */
ASSAY_MUST_CHECK assay_status assay_store_ping(struct assay_store *store, struct assay_error *err);

/* --- settings: small secrets and constants of this database (trial token key) */
/* Returns the value, storing `fresh` first when there is none (race-free). */
ASSAY_MUST_CHECK assay_status assay_store_setting(struct assay_store *store, const char *name,
                                                  const char *fresh, char **ret_value,
                                                  struct assay_error *err);

/* --- projects and tokens */
ASSAY_MUST_CHECK assay_status assay_store_project_insert(struct assay_store *store,
                                                         const char *name, struct assay_error *err);
/* Array of {"name","created_at"}.  New reference. */
ASSAY_MUST_CHECK assay_status assay_store_projects(struct assay_store *store, json_t **ret_list,
                                                   struct assay_error *err);
ASSAY_MUST_CHECK assay_status assay_store_project_exists(struct assay_store *store,
                                                         const char *name, bool *ret_exists,
                                                         struct assay_error *err);
/* `project` NULL: every project.  `hash` is the SHA-256 of the token in hex; the
 * token itself is never stored.  An existing (project, name) is ASSAY_E_CONFLICT. */
ASSAY_MUST_CHECK assay_status assay_store_token_insert(struct assay_store *store,
                                                       const char *project, const char *name,
                                                       const char *role, const char *hash,
                                                       int64_t *ret_id, struct assay_error *err);
/* Array of {"id","name","role","created_at"} of one project.  New reference. */
ASSAY_MUST_CHECK assay_status assay_store_tokens(struct assay_store *store, const char *project,
                                                 json_t **ret_list, struct assay_error *err);
ASSAY_MUST_CHECK assay_status assay_store_token_delete(struct assay_store *store,
                                                       const char *project, int64_t id,
                                                       struct assay_error *err);
/* ASSAY_E_UNAUTHORIZED when no token has this hash.  `ret_project` is NULL for
 * every project; the caller frees both. */
ASSAY_MUST_CHECK assay_status assay_store_token_find(struct assay_store *store, const char *hash,
                                                     char **ret_project, char **ret_role,
                                                     struct assay_error *err);

/* --- remembered answers */
/* ASSAY_E_NOT_FOUND when the key is new. */
ASSAY_MUST_CHECK assay_status assay_store_idempotency_find(
    struct assay_store *store, const char *project, const char *key, char **ret_request_hash,
    int *ret_http_status, json_t **ret_answer, struct assay_error *err);
/* Forgets the answers given longer ago than `older_than_us` (an age). */
ASSAY_MUST_CHECK assay_status assay_store_idempotency_expire(struct assay_store *store,
                                                             int64_t older_than_us,
                                                             struct assay_error *err);

/* --- studies */
ASSAY_MUST_CHECK assay_status assay_store_next_study_id(struct assay_store *store, int64_t *ret_id,
                                                        struct assay_error *err);
/* With counts and best.  ASSAY_E_NOT_FOUND names project and study. */
ASSAY_MUST_CHECK assay_status assay_store_study(struct assay_store *store, const char *project,
                                                const char *name,
                                                struct assay_study_record *ret_study,
                                                struct assay_error *err);
/* Just the key and state: cheap. */
ASSAY_MUST_CHECK assay_status assay_store_study_find(struct assay_store *store, const char *project,
                                                     const char *name, int64_t *ret_id,
                                                     enum assay_study_state *ret_state,
                                                     struct assay_error *err);

/* What the study took over from earlier ones (assay_changes_study_sources); NULL when
 * nothing.  New reference. */
ASSAY_MUST_CHECK assay_status assay_store_study_sources(struct assay_store *store,
                                                        int64_t study_id, json_t **ret_sources,
                                                        struct assay_error *err);

enum assay_study_sort { ASSAY_STUDY_BY_CREATED, ASSAY_STUDY_BY_NAME };
struct assay_study_query {
    const char *project;     /* NULL: all projects */
    uint32_t states;         /* bit per enum assay_study_state; 0 = any */
    const char *name_prefix; /* NULL = any */
    enum assay_study_sort sort;
    bool descending;
    size_t limit;            /* 1..1000 */
    const char *after;       /* page token as given out; NULL = first page */
};
/* Calls `row` for each (borrowed) and gives the next page token (NULL at the
 * end; caller frees).  A malformed token is ASSAY_E_BAD_REQUEST. */
typedef void (*assay_study_fn)(void *arg, const struct assay_study_record *study);
ASSAY_MUST_CHECK assay_status assay_store_studies(struct assay_store *store,
                                                  const struct assay_study_query *query,
                                                  assay_study_fn row, void *arg, char **ret_next,
                                                  struct assay_error *err);

/* --- trials */
enum assay_trial_sort {
    ASSAY_TRIAL_BY_NUMBER,
    ASSAY_TRIAL_BY_VALUE, /* trials without a value last, whichever direction */
    ASSAY_TRIAL_BY_STARTED,
    ASSAY_TRIAL_BY_FINISHED,
};
struct assay_trial_query {
    int64_t study_id;
    uint32_t states; /* bit per enum assay_trial_state; 0 = any */
    enum assay_trial_sort sort;
    bool descending;
    bool with_attempts;
    size_t limit;      /* 1..1000; 0 = all, by number, streamed (for the engine and exports) */
    const char *after; /* page token; NULL = first page */
};
typedef void (*assay_trial_fn)(void *arg, const struct assay_trial *trial);
ASSAY_MUST_CHECK assay_status assay_store_trials(struct assay_store *store,
                                                 const struct assay_trial_query *query,
                                                 assay_trial_fn row, void *arg, char **ret_next,
                                                 struct assay_error *err);
/* One trial with its attempts.  Caller: assay_trial_done. */
ASSAY_MUST_CHECK assay_status assay_store_trial(struct assay_store *store, int64_t study_id,
                                                int64_t number, struct assay_trial *ret_trial,
                                                struct assay_error *err);
/* The best feasible trial by the first objective (succeeded or stopped, finite
 * value); ASSAY_E_NOT_FOUND when there is none yet. */
ASSAY_MUST_CHECK assay_status assay_store_best(struct assay_store *store, int64_t study_id,
                                               bool maximize, struct assay_trial *ret_trial,
                                               struct assay_error *err);

/* --- measurements */
struct assay_measurement_query {
    int64_t study_id;
    int64_t trial_number;
    const char *metric; /* NULL = all */
    size_t limit;       /* 1..1000 steps a page; 0 = all, streamed */
    const char *after;
    size_t points;      /* > 0: down-sample every metric to at most this many steps,
                           first, last, minimum and maximum of each bucket kept */
};
/* One row per (step): a borrowed object of metric values. */
typedef void (*assay_measurement_fn)(void *arg, int64_t step, int64_t time_us,
                                     const json_t *metrics);
ASSAY_MUST_CHECK assay_status assay_store_measurements(struct assay_store *store,
                                                       const struct assay_measurement_query *query,
                                                       assay_measurement_fn row, void *arg,
                                                       char **ret_next, struct assay_error *err);
/* Curves of one metric of every trial whose state is in `states` (0 = any), each
 * down-sampled to at most `points` (>= 1), in order of number; the newest
 * `trials_max` trials when there are more.  Borrowed arrays. */
typedef void (*assay_curve_fn)(void *arg, int64_t trial_number, enum assay_trial_state state,
                               size_t n, const int64_t *steps, const double *values);
ASSAY_MUST_CHECK assay_status assay_store_curves(struct assay_store *store, int64_t study_id,
                                                 const char *metric, uint32_t states, size_t points,
                                                 size_t trials_max, assay_curve_fn row, void *arg,
                                                 struct assay_error *err);
/* Every value of the study in (trial, step) order, for the engine's start:
 * rows of (trial number, metric id, step, value). */
typedef void (*assay_value_fn)(void *arg, int64_t trial_number, int metric_id, int64_t step,
                               double value);
ASSAY_MUST_CHECK assay_status assay_store_values(struct assay_store *store, int64_t study_id,
                                                 assay_value_fn row, void *arg,
                                                 struct assay_error *err);
typedef void (*assay_metric_fn)(void *arg, int metric_id, const char *name);
ASSAY_MUST_CHECK assay_status assay_store_metrics(struct assay_store *store, int64_t study_id,
                                                  assay_metric_fn row, void *arg,
                                                  struct assay_error *err);

/* --- events */
typedef void (*assay_event_fn)(void *arg, const struct assay_event *event);
/* Events of the study with id > after_id, at most `limit`, in order. */
ASSAY_MUST_CHECK assay_status assay_store_events(struct assay_store *store, int64_t study_id,
                                                 int64_t after_id, size_t limit,
                                                 assay_event_fn row, void *arg,
                                                 struct assay_error *err);

#endif
