/* Every route of the contract (schemas/openapi.yaml), one row each. */
#include "api/handlers.h"
#include "common/clock.h"

#define AT(member) offsetof(struct assay_query, member)
#define WAIT_MAX (60 * ASSAY_SECOND_US)

static const char *const views[] = {"", "katib", NULL};
static const char *const final_words[] = {"", "final", NULL};

/* Members of the objects, for ?fields=. */
static const char *const study_fields[] = {
    "name", "project", "state", "reason", "message", "objectives", "algorithm", "early_stopping",
    "limits", "seed", "runs_trials", "trials", "best", "created_at", "started_at", "finished_at",
    "spec", NULL};
static const char *const trial_fields[] = {
    "number", "study", "project", "state", "reason", "message", "parameters", "metrics", "value",
    "budget", "attempts", "why", "client", "lease_expires", "steps", "created_at", "started_at",
    "finished_at", NULL};

/* As enum method of analyses.c. */
static const char *const importance_methods[] = {"", "ped_anova", "fanova", NULL};
static const char *const study_sorts[] = {"-created_at", "created_at", "name", "-name", NULL};
static const char *const trial_sorts[] = {
    "number", "-number", "value", "-value", "created_at", "-created_at", "started_at",
    "-started_at", "finished_at", "-finished_at", NULL};

#define WAIT {.key = "wait", .kind = ASSAY_QUERY_DURATION, .offset = AT(wait_us), .max = WAIT_MAX}
#define UNTIL {.key = "until", .kind = ASSAY_QUERY_WORD, .offset = AT(until), .names = final_words}
#define PAGE_SIZE \
    {.key = "page_size", .kind = ASSAY_QUERY_INT, .offset = AT(page_size), .min = 1, .max = 1000}
#define PAGE_TOKEN {.key = "page_token", .kind = ASSAY_QUERY_TEXT, .offset = AT(page_token)}
#define METRIC {.key = "metric", .kind = ASSAY_QUERY_TEXT, .offset = AT(metric)}
#define POINTS {.key = "points", .kind = ASSAY_QUERY_INT, .offset = AT(points), .min = 1, .max = 10000}
#define TRIAL_STATE {.key = "state", .kind = ASSAY_QUERY_TRIAL_STATES, .offset = AT(states)}
#define FIELDS(list) \
    {.key = "fields", .kind = ASSAY_QUERY_WORDS, .offset = AT(fields), .names = (list)}
#define END {.key = NULL}

typedef struct assay_query_field table[];

static const table dry_run = {
    {.key = "dry_run", .kind = ASSAY_QUERY_BOOL, .offset = AT(dry_run)}, END};
static const table force = {{.key = "force", .kind = ASSAY_QUERY_BOOL, .offset = AT(force)}, END};
static const table requeue = {
    {.key = "requeue", .kind = ASSAY_QUERY_BOOL, .offset = AT(requeue)}, END};
static const table poll = {WAIT, UNTIL, END};
static const table studies_list = {
    {.key = "state", .kind = ASSAY_QUERY_STUDY_STATES, .offset = AT(states)},
    {.key = "name", .kind = ASSAY_QUERY_TEXT, .offset = AT(name)},
    {.key = "sort", .kind = ASSAY_QUERY_WORD, .offset = AT(sort), .names = study_sorts},
    PAGE_SIZE, PAGE_TOKEN, FIELDS(study_fields), WAIT, END};
static const table study_get = {
    FIELDS(study_fields),
    {.key = "view", .kind = ASSAY_QUERY_WORD, .offset = AT(view), .names = views},
    WAIT, UNTIL, END};
static const table trials_list = {
    TRIAL_STATE,
    {.key = "sort", .kind = ASSAY_QUERY_WORD, .offset = AT(sort), .names = trial_sorts},
    PAGE_SIZE, PAGE_TOKEN, FIELDS(trial_fields), WAIT, UNTIL, END};
static const table trial_get = {FIELDS(trial_fields), WAIT, UNTIL, END};
static const table measurements_list = {METRIC, POINTS, PAGE_SIZE, PAGE_TOKEN, WAIT, UNTIL, END};
static const table logs = {
    {.key = "tail", .kind = ASSAY_QUERY_INT, .offset = AT(tail), .min = 0, .max = 1000000},
    {.key = "follow", .kind = ASSAY_QUERY_BOOL, .offset = AT(follow)}, END};
static const table importance = {
    {.key = "method", .kind = ASSAY_QUERY_WORD, .offset = AT(method), .names = importance_methods},
    {.key = "interactions", .kind = ASSAY_QUERY_BOOL, .offset = AT(interactions)},
    METRIC, WAIT, UNTIL, END};
static const table curves = {METRIC, POINTS, TRIAL_STATE, WAIT, UNTIL, END};
static const table events = {
    {.key = "after", .kind = ASSAY_QUERY_INT, .offset = AT(after), .min = 0, .max = INT64_MAX},
    PAGE_SIZE, PAGE_TOKEN, WAIT, UNTIL, END};

#define STUDY "/v1/projects/{project}/studies/{study}"
#define TRIAL STUDY "/trials/{number}"

#define AT_ONCE ASSAY_ROUTE_AT_ONCE
#define CALL ASSAY_ROUTE_CALL
#define READ ASSAY_ROUTE_READ
#define NOBODY ASSAY_ROLE_NONE
#define VIEWER ASSAY_ROLE_VIEWER
#define EDITOR ASSAY_ROLE_EDITOR
#define ADMIN ASSAY_ROLE_ADMIN
#define ALWAYS ASSAY_ROUTE_ALWAYS
#define BODY ASSAY_ROUTE_BODY
#define KEY ASSAY_ROUTE_KEY
#define STORE ASSAY_ROUTE_STORE
#define TOKEN ASSAY_ROUTE_TRIAL_TOKEN
#define FILE_ ASSAY_ROUTE_FILE

const struct assay_route assay_routes[] = {
    /* What workers call all day comes first: the table is searched from the top. */
    {"POST", TRIAL "/measurements", CALL, EDITOR, BODY | TOKEN, NULL, NULL,
     assay_handle_trial_report},
    {"POST", STUDY "/suggestions", CALL, EDITOR, BODY | KEY, NULL, NULL,
     assay_handle_suggestions_ask},
    {"POST", TRIAL "/complete", CALL, EDITOR, BODY | TOKEN, NULL, NULL,
     assay_handle_trial_complete},
    {"POST", STUDY "/batch", CALL, EDITOR, BODY, NULL, NULL, assay_handle_batch},

    {"POST", "/v1/projects/{project}/studies", CALL, EDITOR,
     BODY | ASSAY_ROUTE_YAML | KEY | STORE, dry_run, NULL, assay_handle_studies_create},
    {"GET", "/v1/projects/{project}/studies", READ, VIEWER, 0, studies_list, "studies",
     assay_handle_studies_list},
    {"GET", STUDY, READ, VIEWER, 0, study_get, NULL, assay_handle_study_get},
    {"PATCH", STUDY, CALL, EDITOR, BODY | STORE, NULL, NULL, assay_handle_study_patch},
    {"DELETE", STUDY, CALL, EDITOR, STORE, force, NULL, assay_handle_study_delete},
    {"POST", STUDY "/pause", CALL, EDITOR, STORE, requeue, NULL, assay_handle_study_pause},
    {"POST", STUDY "/resume", CALL, EDITOR, STORE, NULL, NULL, assay_handle_study_resume},
    {"POST", STUDY "/cancel", CALL, EDITOR, STORE, NULL, NULL, assay_handle_study_cancel},

    {"POST", STUDY "/trials", CALL, EDITOR, BODY | KEY, NULL, NULL, assay_handle_trials_add},
    {"GET", STUDY "/trials", READ, VIEWER, 0, trials_list, "trials", assay_handle_trials_list},
    {"GET", TRIAL, READ, VIEWER, TOKEN, trial_get, NULL, assay_handle_trial_get},
    {"POST", TRIAL "/stop", CALL, EDITOR, 0, NULL, NULL, assay_handle_trial_stop},
    {"GET", TRIAL "/measurements", READ, VIEWER, TOKEN, measurements_list, NULL,
     assay_handle_measurements_list},
    {"GET", TRIAL "/logs", READ, VIEWER, TOKEN | ASSAY_ROUTE_TEXT, logs, NULL,
     assay_handle_trial_logs},

    {"GET", STUDY "/best", READ, VIEWER, 0, poll, NULL, assay_handle_best},
    {"GET", STUDY "/pareto", READ, VIEWER, 0, poll, NULL, assay_handle_pareto},
    {"GET", STUDY "/importance", READ, VIEWER, 0, importance, NULL, assay_handle_importance},
    {"GET", STUDY "/advice", READ, VIEWER, 0, poll, NULL, assay_handle_advice},
    {"GET", STUDY "/curves", READ, VIEWER, 0, curves, NULL, assay_handle_curves},
    {"GET", STUDY "/events", READ, VIEWER, ASSAY_ROUTE_EVENTS, events, NULL,
     assay_handle_events},

    {"GET", "/v1/algorithms", AT_ONCE, VIEWER, 0, poll, NULL, assay_handle_algorithms},
    {"GET", "/v1/stopping_rules", AT_ONCE, VIEWER, 0, poll, NULL, assay_handle_stopping_rules},
    {"GET", "/v1/projects", READ, VIEWER, 0, poll, NULL, assay_handle_projects_list},
    {"POST", "/v1/projects", READ, ADMIN, BODY, NULL, NULL, assay_handle_projects_create},
    {"GET", "/v1/projects/{project}/tokens", READ, ADMIN, 0, poll, NULL,
     assay_handle_tokens_list},
    {"POST", "/v1/projects/{project}/tokens", READ, ADMIN, BODY, NULL, NULL,
     assay_handle_tokens_create},
    {"DELETE", "/v1/projects/{project}/tokens/{id}", READ, ADMIN, 0, NULL, NULL,
     assay_handle_token_delete},
    {"GET", "/v1/whoami", AT_ONCE, VIEWER, 0, NULL, NULL, assay_handle_whoami},

    {"GET", "/healthz", AT_ONCE, NOBODY, ALWAYS, NULL, NULL, assay_handle_healthz},
    {"GET", "/readyz", CALL, NOBODY, ALWAYS, NULL, NULL, assay_handle_readyz},
    {"GET", "/metrics", AT_ONCE, VIEWER, ASSAY_ROUTE_TEXT, NULL, NULL, assay_handle_metrics},
    {"GET", "/openapi.json", AT_ONCE, NOBODY, ALWAYS, NULL, NULL, assay_handle_openapi},
    {"GET", "/", AT_ONCE, NOBODY, ALWAYS | FILE_, NULL, NULL, assay_handle_dashboard},
    {"GET", "/index.html", AT_ONCE, NOBODY, ALWAYS | FILE_, NULL, NULL, assay_handle_dashboard},
    {"GET", "/app.js", AT_ONCE, NOBODY, ALWAYS | FILE_, NULL, NULL, assay_handle_dashboard},
    {"GET", "/app.css", AT_ONCE, NOBODY, ALWAYS | FILE_, NULL, NULL, assay_handle_dashboard},
    {"GET", "/favicon.svg", AT_ONCE, NOBODY, ALWAYS | FILE_, NULL, NULL, assay_handle_dashboard},
};

const size_t assay_n_routes = ASSAY_COUNT(assay_routes);
