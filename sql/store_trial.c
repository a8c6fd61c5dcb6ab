/* One trial: by number, or the best. */
#include <stdlib.h>

#include "common/memory.h"
#include "sql/store_internal.h"

static enum assay_trial_reason
read_reason(const PGresult *result, int row, int column)
{
    const char *name = assay__pg_get_text(result, row, column);
    enum assay_trial_reason reason = ASSAY_TRIAL_REASON_NONE;

    if (name != NULL && !assay_trial_reason_parse(name, &reason))
        ASSAY_BUG("a trial reason that the schema does not allow");
    return reason;
}

void
assay__read_trial(const PGresult *result, int row, int64_t study_id, struct assay_trial *ret_trial)
{
    struct assay_trial trial = {.study_id = study_id};

    trial.number = assay__pg_get_int(result, row, 0);
    if (!assay_trial_state_parse(assay__pg_get_text(result, row, 1), &trial.state))
        ASSAY_BUG("a trial state that the schema does not allow");
    trial.reason = read_reason(result, row, 2);
    trial.message = assay__pg_dup_text(result, row, 3);
    trial.parameters = assay__pg_get_json(result, row, 4);
    trial.metrics = assay__pg_get_json(result, row, 5);
    trial.value = assay__pg_get_double(result, row, 6);
    trial.budget = assay__pg_get_double(result, row, 7);
    trial.why = assay__pg_get_json(result, row, 8);
    trial.client = assay__pg_dup_text(result, row, 9);
    trial.lease_expires_us = assay__pg_get_time(result, row, 10);
    trial.last_step = assay__pg_get_int_or(result, row, 11, -1);
    trial.created_us = assay__pg_get_time(result, row, 12);
    trial.started_us = assay__pg_get_time(result, row, 13);
    trial.finished_us = assay__pg_get_time(result, row, 14);
    *ret_trial = trial;
}

/* --- attempts */

/* OFFSET 0 keeps it one look into the index for each trial. */
static const struct assay__pg_statement attempts = {
    .name = "attempts",
    .sql = "SELECT a.trial, a.number, a.state, a.reason, a.message, a.exit_code, a.signal, a.pid,"
           " a.gpus, a.started_at, a.finished_at, a.interrupted FROM unnest($2::bigint[]) u (trial)"
           " CROSS JOIN LATERAL (SELECT * FROM attempt t WHERE t.study_id = $1"
           "  AND t.trial = u.trial OFFSET 0) a"
           " ORDER BY a.trial, a.number",
    .in = "qQ",
    .out = "iitttiiqjzzb",
    .repeat = true,
};

static void
read_attempt(const PGresult *result, int row, struct assay_attempt *ret_attempt)
{
    struct assay_attempt attempt = {.number = assay__pg_get_int(result, row, 1)};

    if (!assay_attempt_state_parse(assay__pg_get_text(result, row, 2), &attempt.state))
        ASSAY_BUG("an attempt state that the schema does not allow");
    attempt.reason = read_reason(result, row, 3);
    attempt.message = assay__pg_dup_text(result, row, 4);
    attempt.exit_code = (int)assay__pg_get_int_or(result, row, 5, -1);
    attempt.signal = (int)assay__pg_get_int_or(result, row, 6, 0);
    attempt.pid = assay__pg_get_int_or(result, row, 7, 0);
    attempt.gpus = assay__pg_get_json(result, row, 8);
    attempt.started_us = assay__pg_get_time(result, row, 9);
    attempt.finished_us = assay__pg_get_time(result, row, 10);
    attempt.interrupted = assay__pg_get_bool(result, row, 11);
    *ret_attempt = attempt;
}

/* Rows [first, return) belong to trial `number`; rows are in order of it. */
static int
find_rows(const PGresult *result, int64_t number, int *ret_first)
{
    int low = 0, high = PQntuples(result);

    while (low < high) {
        int middle = low + (high - low) / 2;

        if (assay__pg_get_int(result, middle, 0) < number)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_first = low;
    while (low < PQntuples(result) && assay__pg_get_int(result, low, 0) == number)
        low++;
    return low;
}

assay_status
assay__read_attempts(struct assay_store *store, int64_t study_id, struct assay_trial *trials,
                     size_t n_trials, struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay__auto_pg_result PGresult *result = NULL;
    assay_status status;

    assay__pg_add_int64(&args, study_id);
    assay__pg_add_array(&args, 'q', n_trials);
    for (size_t i = 0; i < n_trials; i++)
        assay__pg_item_int64(&args, trials[i].number);
    assay__pg_end_array(&args);
    status = assay__pg_query(store->pg, &attempts, &args, &result, err);
    if (status != ASSAY_OK)
        return status;
    for (size_t i = 0; i < n_trials; i++) {
        int first, end = find_rows(result, trials[i].number, &first);

        if (first == end)
            continue;
        trials[i].n_attempts = (size_t)(end - first);
        trials[i].attempts = assay_zalloc(trials[i].n_attempts, sizeof *trials[i].attempts);
        for (int row = first; row < end; row++)
            read_attempt(result, row, &trials[i].attempts[row - first]);
    }
    return ASSAY_OK;
}

/* --- one trial */

static const struct assay__pg_statement trial_read = {
    .name = "trial_read",
    .sql = "SELECT " ASSAY__TRIAL_COLUMNS " FROM trial t WHERE t.study_id = $1 AND t.number = $2",
    .in = "qq",
    .out = ASSAY__TRIAL_COLUMN_TYPES,
    .repeat = true,
};

/* The row with its attempts. */
static assay_status
finish_trial(struct assay_store *store, const PGresult *result, int64_t study_id,
             struct assay_trial *ret_trial, struct assay_error *err)
{
    struct assay_trial trial;
    assay_status status;

    assay__read_trial(result, 0, study_id, &trial);
    status = assay__read_attempts(store, study_id, &trial, 1, err);
    if (status != ASSAY_OK) {
        assay_trial_done(&trial);
        return status;
    }
    *ret_trial = trial;
    return ASSAY_OK;
}

assay_status
assay_store_trial(struct assay_store *store, int64_t study_id, int64_t number,
                  struct assay_trial *ret_trial, struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay__auto_pg_result PGresult *result = NULL;
    assay_status status;

    assay__pg_add_int64(&args, study_id);
    assay__pg_add_int64(&args, number);
    status = assay__pg_optional(store->pg, &trial_read, &args, &result, err);
    if (status != ASSAY_OK)
        return status;
    if (result == NULL)
        return assay_fail(err, ASSAY_E_NOT_FOUND, "there is no trial %lld", (long long)number);
    return finish_trial(store, result, study_id, ret_trial, err);
}

/* --- the best */

#define BEST(suffix, direction)                                                                    \
    {                                                                                              \
        .name = "best_" suffix,                                                                    \
        .sql = "SELECT " ASSAY__TRIAL_COLUMNS                                                      \
               " FROM trial t WHERE t.study_id = $1 AND " ASSAY__TRIAL_CAN_BE_BEST                 \
               " ORDER BY t.value " direction ", t.number LIMIT 1",                                \
        .in = "q", .out = ASSAY__TRIAL_COLUMN_TYPES, .repeat = true,                               \
    }

static const struct assay__pg_statement best[2] = {BEST("low", "ASC"), BEST("high", "DESC")};

assay_status
assay_store_best(struct assay_store *store, int64_t study_id, bool maximize,
                 struct assay_trial *ret_trial, struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay__auto_pg_result PGresult *result = NULL;
    assay_status status;

    assay__pg_add_int64(&args, study_id);
    status = assay__pg_optional(store->pg, &best[maximize], &args, &result, err);
    if (status != ASSAY_OK)
        return status;
    if (result == NULL)
        return assay_fail(err, ASSAY_E_NOT_FOUND, "no trial has a usable value yet");
    return finish_trial(store, result, study_id, ret_trial, err);
}
