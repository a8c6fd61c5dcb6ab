/* What a set can say about trials and attempts. */
#include "sql/changes_internal.h"

static void
add_step(struct assay__pg_args *args, int64_t last_step)
{
    if (last_step < 0)
        assay__pg_add_null(args, 'q');
    else
        assay__pg_add_int64(args, last_step);
}

static void
add_object(struct assay__pg_args *args, const json_t *object)
{
    ASSAY_ASSERT(json_is_object(object));
    assay__pg_add_json(args, object);
}

const struct assay__pg_statement assay__insert_trial = {
    .name = "trial_insert",
    .sql = "INSERT INTO trial (study_id, number, state, reason, message, metrics, value, budget,"
           " why, client, lease_expires_at, last_step, started_at, finished_at, feasible,"
           " parameters, created_at)"
           " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
    .in = "qqtttjddjtzqzzbjz",
};

/* IS TRUE keeps the planner from the index on the state: with stale statistics it
 * would prefer all trials in that state to the one of that number. */
const struct assay__pg_statement assay__trial_update = {
    .name = "trial_update",
    .sql = "WITH done AS (UPDATE trial SET state = $3, reason = $4, message = $5, metrics = $6,"
           "  value = $7, budget = $8, why = $9, client = $10, lease_expires_at = $11,"
           "  last_step = $12, started_at = $13, finished_at = $14, feasible = $15"
           "  WHERE study_id = $1 AND number = $2 AND (state = $16) IS TRUE RETURNING 1)"
           " SELECT assay_trial_conflict($1, $2, $16) WHERE NOT EXISTS (SELECT FROM done)",
    .in = "qqtttjddjtzqzzbt",
};

/* The fields both statements have, in the same order. */
static void
add_fields(struct assay__pg_args *args, const struct assay_trial *trial, bool feasible)
{
    assay__pg_add_int64(args, trial->study_id);
    assay__pg_add_int64(args, trial->number);
    assay__pg_add_text(args, assay_trial_state_name(trial->state));
    assay__pg_add_text(args, assay_trial_reason_name(trial->reason));
    assay__pg_add_text(args, trial->message);
    add_object(args, trial->metrics);
    assay__pg_add_double_or_null(args, trial->value);
    assay__pg_add_double_or_null(args, trial->budget);
    add_object(args, trial->why);
    assay__pg_add_text(args, trial->client);
    assay__pg_add_time(args, trial->lease_expires_us);
    add_step(args, trial->last_step);
    assay__pg_add_time(args, trial->started_us);
    assay__pg_add_time(args, trial->finished_us);
    assay__pg_add_bool(args, feasible);
}

void
assay_changes_trial_insert(struct assay_changes *changes, const struct assay_trial *trial,
                           bool feasible)
{
    struct assay__pg_args *args = assay__changes_add(changes, &assay__insert_trial);

    assay__moves_of(&changes->moves, trial->study_id)->by[trial->state]++;
    add_fields(args, trial, feasible);
    add_object(args, trial->parameters);
    assay__pg_add_time(args, trial->created_us);
}

void
assay_changes_trial_update(struct assay_changes *changes, enum assay_trial_state from,
                           const struct assay_trial *trial, bool feasible)
{
    struct assay__pg_args *args = assay__changes_add(changes, &assay__trial_update);
    struct assay__moves *moves = assay__moves_of(&changes->moves, trial->study_id);

    moves->by[from]--;
    moves->by[trial->state]++;
    add_fields(args, trial, feasible);
    assay__pg_add_text(args, assay_trial_state_name(from));
}

const struct assay__pg_statement assay__trial_lease = {
    .name = "trial_lease",
    .sql = "UPDATE trial SET lease_expires_at = $3 WHERE study_id = $1 AND number = $2"
           " AND state IN ('queued', 'running', 'paused', 'stopping')",
    .in = "qqz",
};

void
assay_changes_trial_lease(struct assay_changes *changes, int64_t study_id, int64_t number,
                          int64_t lease_expires_us)
{
    struct assay__pg_args *args = assay__changes_add(changes, &assay__trial_lease);

    assay__pg_add_int64(args, study_id);
    assay__pg_add_int64(args, number);
    assay__pg_add_time(args, lease_expires_us);
}

const struct assay__pg_statement assay__attempt_put = {
    .name = "attempt_put",
    .sql = "INSERT INTO attempt (study_id, trial, number, state, reason, message, exit_code,"
           " signal, pid, gpus, started_at, finished_at, interrupted)"
           " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
           " ON CONFLICT (study_id, trial, number) DO UPDATE SET state = EXCLUDED.state,"
           " reason = EXCLUDED.reason, message = EXCLUDED.message,"
           " exit_code = EXCLUDED.exit_code, signal = EXCLUDED.signal, pid = EXCLUDED.pid,"
           " gpus = EXCLUDED.gpus, started_at = EXCLUDED.started_at,"
           " finished_at = EXCLUDED.finished_at, interrupted = EXCLUDED.interrupted",
    .in = "qqqtttqqqjzzb",
};

static void
add_unless(struct assay__pg_args *args, int64_t value, int64_t none)
{
    if (value == none)
        assay__pg_add_null(args, 'q');
    else
        assay__pg_add_int64(args, value);
}

void
assay_changes_attempt_put(struct assay_changes *changes, int64_t study_id, int64_t trial_number,
                          const struct assay_attempt *attempt)
{
    struct assay__pg_args *args = assay__changes_add(changes, &assay__attempt_put);

    assay__pg_add_int64(args, study_id);
    assay__pg_add_int64(args, trial_number);
    assay__pg_add_int64(args, attempt->number);
    assay__pg_add_text(args, assay_attempt_state_name(attempt->state));
    assay__pg_add_text(args, assay_trial_reason_name(attempt->reason));
    assay__pg_add_text(args, attempt->message);
    add_unless(args, attempt->exit_code, -1);
    add_unless(args, attempt->signal, 0);
    add_unless(args, attempt->pid, 0);
    assay__pg_add_json(args, attempt->gpus);
    assay__pg_add_time(args, attempt->started_us);
    assay__pg_add_time(args, attempt->finished_us);
    assay__pg_add_bool(args, attempt->interrupted);
}
