#include "suggest/algorithms/bayesian/maximise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/bayesian/lbfgs.h"
#include "suggest/host.h"

#define SPREAD_CANDIDATES 512
#define NEAR_CANDIDATES 256
#define NEAR_TRIALS 5
/* With more rows than this, standard deviations are worked out only for the
 * candidates with the best means and an equal number of others. */
#define SCREEN_ROWS 400
#define SCREEN_KEPT 128
#define STARTS 8
#define STARTS_LARGE 4
#define TRIAL_STARTS 2
#define ROUNDS 3
#define CHANGES_MAX 6
/* Starts that step 4 goes on from: as long as that is cheap, and then. */
#define CHANGED_STARTS 8
#define CHANGED_STARTS_LATER 4
#define CHEAP_ROWS 150
/* Starts closer together than this, in lengthscales squared, are taken for one. */
#define SAME_SQUARE 1e-6
/* Numbers with more values than this are also searched as if continuous. */
#define RELAXED_FROM 16
#define GAIN_MIN 1e-6
/* Choices of a parameter tried in one go, random ones when there are more; and numbers
 * held for all changes of all parameters. */
#define CHOICES_TRIED 64
#define CHANGES_NUMBERS_MAX 4000000
/* How far such a number is moved at once, in steps; a power of two. */
#define STEPS_MAX 256.0

/* Places in the unit cube with their scaled rows and worths. */
struct pool {
    size_t n, room;
    double *units, *scaled, *worths;
};

struct maximiser {
    const struct assay_gp_search *search;
    const struct assay_gp_features *features;
    struct assay_gp_posterior *posterior;
    struct assay_random *random;
    size_t n_dimensions, n_columns;
    double *point; /* scratch */
    struct pool candidates, starts;
    bool *moved; /* starts whose continuous parameters are to be looked at (again) */
};

static void
pool_init(struct pool *pool, const struct maximiser *m, size_t room)
{
    *pool = (struct pool){
        .room = room,
        .units = assay_alloc(room * m->n_dimensions + 1, sizeof(double)),
        .scaled = assay_alloc(room * m->n_columns + 1, sizeof(double)),
        .worths = assay_alloc(room + 1, sizeof(double)),
    };
}

static void
pool_done(struct pool *pool)
{
    free(pool->units);
    free(pool->scaled);
    free(pool->worths);
}

static void
set_scaled(const struct maximiser *m, const double *unit, double *ret_scaled)
{
    assay_gp_features_of_unit(m->features, unit, m->point, ret_scaled);
    for (size_t c = 0; c < m->n_columns; c++)
        ret_scaled[c] *= m->posterior->roots[c];
}

static double *
pool_unit(const struct maximiser *m, const struct pool *pool, size_t i)
{
    return &pool->units[i * m->n_dimensions];
}

static void
evaluate(const struct maximiser *m, struct pool *pool, size_t from)
{
    for (size_t i = from; i < pool->n; i++)
        set_scaled(m, pool_unit(m, pool, i), &pool->scaled[i * m->n_columns]);
    assay_gp_posterior_worths(m->posterior, m->search->acquisition,
                              &pool->scaled[from * m->n_columns], pool->n - from,
                              &pool->worths[from], NULL);
}

/* --- 1. candidates --- */

/* Sobol' points with a random digital shift. */
static void
add_spread(struct maximiser *m)
{
    assay_auto_free uint32_t *shifts = assay_alloc(m->n_dimensions + 1, sizeof *shifts);

    for (size_t d = 0; d < m->n_dimensions; d++)
        shifts[d] = assay_random_u32(m->random);
    for (uint32_t i = 0; i < SPREAD_CANDIDATES; i++) {
        double *unit = pool_unit(m, &m->candidates, m->candidates.n++);

        for (size_t d = 0; d < m->n_dimensions; d++)
            unit[d] = ((assay_sobol_digits(m->search->sequence, d, i) ^ shifts[d]) + 0.5) * 0x1p-32;
    }
}

/* The place of a trial; parameters that are not active there stand anywhere. */
static void
unit_of_row(struct maximiser *m, size_t row, double *ret_unit)
{
    const double *point = m->search->model->data.trials[row]->point;

    assay_transform_encode(m->features->transform, point, ret_unit);
    for (size_t d = 0; d < m->n_dimensions; d++) {
        if (isnan(point[m->features->dimensions[d].parameter]))
            ret_unit[d] = assay_random_unit(m->random);
    }
}

static double
perturbed(struct maximiser *m, size_t d, double unit, double width)
{
    const struct assay_gp_dimension *dimension = &m->features->dimensions[d];

    if (dimension->kind == ASSAY_GP_CHOICE)
        return assay_random_unit(m->random);
    unit += width * assay_random_normal(m->random);
    unit = unit < 0.0 ? -unit : unit > 1.0 ? 2.0 - unit : unit;
    return fmin(fmax(unit, 0.0), 1.0);
}

/* Points near the best trials: some parameters moved, near or far. */
static void
add_near(struct maximiser *m)
{
    size_t rows[NEAR_TRIALS];
    size_t n = assay_gp_model_best(m->search->model, NEAR_TRIALS, rows);

    for (size_t i = 0; i < NEAR_CANDIDATES && n > 0; i++) {
        double *unit = pool_unit(m, &m->candidates, m->candidates.n++);
        double width = pow(10.0, -2.5 + 2.0 * assay_random_unit(m->random));
        double share = i % 2 == 0 ? 1.0 : fmax(0.2, 1.0 / (double)m->n_dimensions);
        size_t certain = (size_t)assay_random_below(m->random, m->n_dimensions);

        unit_of_row(m, rows[i % n], unit);
        for (size_t d = 0; d < m->n_dimensions; d++) {
            bool choice = m->features->dimensions[d].kind == ASSAY_GP_CHOICE;

            if (d == certain || assay_random_unit(m->random) < (choice ? 0.2 * share : share))
                unit[d] = perturbed(m, d, unit[d], width);
        }
    }
}

static int
compare_descending(const void *a, const void *b)
{
    double x = **(const double *const *)a, y = **(const double *const *)b;

    if (x != y)
        return x > y ? -1 : 1;
    return *(const double *const *)a < *(const double *const *)b ? -1 : 1;
}

/* Indices of a pool by decreasing worth. */
static size_t *
sorted(const struct pool *pool)
{
    const double **order = assay_alloc(pool->n + 1, sizeof *order);
    size_t *indices = assay_alloc(pool->n + 1, sizeof *indices);

    for (size_t i = 0; i < pool->n; i++)
        order[i] = &pool->worths[i];
    qsort(order, pool->n, sizeof *order, compare_descending);
    for (size_t i = 0; i < pool->n; i++)
        indices[i] = (size_t)(order[i] - pool->worths);
    free(order);
    return indices;
}

/* Keeps the candidates with the lowest means, and as many random ones. */
static void
screen(struct maximiser *m)
{
    struct pool *pool = &m->candidates;
    struct pool kept;
    size_t *order;

    for (size_t i = 0; i < pool->n; i++)
        set_scaled(m, pool_unit(m, pool, i), &pool->scaled[i * m->n_columns]);
    assay_gp_posterior_means(m->posterior, pool->scaled, pool->n, pool->worths);
    for (size_t i = 0; i < pool->n; i++)
        pool->worths[i] = -pool->worths[i];
    order = sorted(pool);
    pool_init(&kept, m, 2 * SCREEN_KEPT);
    for (size_t i = 0; i < 2 * SCREEN_KEPT; i++) {
        size_t from =
            i < SCREEN_KEPT
                ? order[i]
                : order[SCREEN_KEPT + (size_t)assay_random_below(m->random, pool->n - SCREEN_KEPT)];

        memcpy(pool_unit(m, &kept, kept.n++), pool_unit(m, pool, from),
               m->n_dimensions * sizeof(double));
    }
    free(order);
    pool_done(pool);
    *pool = kept;
}

/* --- 2. starts --- */

static void
add_start(struct maximiser *m, const double *unit)
{
    memcpy(pool_unit(m, &m->starts, m->starts.n++), unit, m->n_dimensions * sizeof *unit);
}

/* The best candidate and others drawn with probability exp(worth). */
static void
choose_starts(struct maximiser *m, size_t wanted)
{
    struct pool *pool = &m->candidates;
    size_t *order = sorted(pool), n = 0, rows[TRIAL_STARTS];
    assay_auto_free double *weights = assay_alloc(pool->n + 1, sizeof *weights);

    for (size_t i = 0; i < pool->n; i++)
        weights[i] = exp(pool->worths[order[i]] - pool->worths[order[0]]);
    while (n < wanted) {
        double sum = 0.0, lot;
        size_t i = 0;

        for (size_t k = 0; k < pool->n; k++)
            sum += weights[k];
        if (!(sum > 0.0))
            break;
        lot = n == 0 ? 0.0 : sum * assay_random_unit(m->random);
        while (i + 1 < pool->n && (weights[i] <= 0.0 || (lot -= weights[i]) >= 0.0))
            i++;
        if (n == 0)
            i = 0;
        add_start(m, pool_unit(m, pool, order[i]));
        weights[i] = 0.0;
        n++;
    }
    free(order);
    n = assay_gp_model_best(m->search->model, TRIAL_STARTS, rows);
    for (size_t k = 0; k < n; k++)
        unit_of_row(m, rows[k], pool_unit(m, &m->starts, m->starts.n++));
}

/* --- 3. continuous parameters --- */

static bool
is_relaxed(const struct assay_gp_dimension *dimension)
{
    return dimension->kind == ASSAY_GP_CONTINUOUS ||
           (dimension->kind == ASSAY_GP_STEPPED && dimension->values > RELAXED_FROM);
}

/* One start's search: which dimensions move, in which box. */
struct ascent {
    struct assay_lbfgs lbfgs;
    size_t *dimensions;
    double *low, *high; /* of each */
};

static void
ascent_init(struct maximiser *m, struct ascent *ascent, size_t start, unsigned evaluations)
{
    const struct assay_lbfgs_limits limits = {
        .tolerance = 1e-3,
        .least_gain = 1e-4,
        .first_step = 0.2,
        .evaluations = evaluations,
    };
    const double *unit = pool_unit(m, &m->starts, start);
    assay_auto_free double *from = assay_alloc(m->n_dimensions + 1, sizeof *from);
    size_t n = 0;

    ascent->dimensions = assay_alloc(m->n_dimensions + 1, sizeof *ascent->dimensions);
    ascent->low = assay_zalloc(m->n_dimensions + 1, sizeof *ascent->low);
    ascent->high = assay_alloc(m->n_dimensions + 1, sizeof *ascent->high);
    set_scaled(m, unit, &m->starts.scaled[start * m->n_columns]); /* and m->point */
    for (size_t d = 0; d < m->n_dimensions; d++) {
        const struct assay_gp_dimension *dimension = &m->features->dimensions[d];
        double root = m->posterior->roots[dimension->first];

        if (!is_relaxed(dimension) || isnan(m->point[dimension->parameter]))
            continue;
        ascent->dimensions[n] = d;
        ascent->high[n] = root;
        from[n++] = unit[d] * root;
    }
    assay_lbfgs_init(&ascent->lbfgs, n, from, ascent->low, ascent->high, &limits);
    ascent->lbfgs.done = n == 0 || !m->moved[start];
}

static void
ascent_done(struct ascent *ascent)
{
    assay_lbfgs_done(&ascent->lbfgs);
    free(ascent->dimensions);
    free(ascent->low);
    free(ascent->high);
}

/* Evaluates the trial points of all searches that go on; false when none does. */
static bool
ascend_once(struct maximiser *m, struct ascent *ascents, double *scaled, double *gradients,
            double *worths, double *gradient)
{
    size_t k = 0;

    for (size_t r = 0; r < m->starts.n; r++) {
        const struct ascent *ascent = &ascents[r];
        double *row = &scaled[k * m->n_columns];

        if (ascent->lbfgs.done)
            continue;
        memcpy(row, &m->starts.scaled[r * m->n_columns], m->n_columns * sizeof *row);
        for (size_t i = 0; i < ascent->lbfgs.n; i++)
            row[m->features->dimensions[ascent->dimensions[i]].first] = ascent->lbfgs.trial[i];
        k++;
    }
    if (k == 0)
        return false;
    assay_gp_posterior_worths(m->posterior, m->search->acquisition, scaled, k, worths, gradients);
    k = 0;
    for (size_t r = 0; r < m->starts.n; r++) {
        struct ascent *ascent = &ascents[r];

        if (ascent->lbfgs.done)
            continue;
        for (size_t i = 0; i < ascent->lbfgs.n; i++)
            gradient[i] =
                -gradients[k * m->n_columns + m->features->dimensions[ascent->dimensions[i]].first];
        assay_lbfgs_tell(&ascent->lbfgs, -worths[k], gradient);
        k++;
    }
    return true;
}

static void
ascend(struct maximiser *m, unsigned evaluations)
{
    size_t n = m->starts.n, wide = n * m->n_columns;
    struct ascent *ascents = assay_zalloc(n + 1, sizeof *ascents);
    assay_auto_free double *work = assay_alloc(2 * wide + n + m->n_dimensions + 1, sizeof *work);

    for (size_t r = 0; r < n; r++)
        ascent_init(m, &ascents[r], r, evaluations);
    while (ascend_once(m, ascents, work, work + wide, work + 2 * wide, work + 2 * wide + n) &&
           !assay_host_table()->should_stop())
        ;
    for (size_t r = 0; r < n; r++) {
        double *unit = pool_unit(m, &m->starts, r);

        for (size_t i = 0; i < ascents[r].lbfgs.n; i++) {
            if (ascents[r].high[i] > 0.0)
                unit[ascents[r].dimensions[i]] =
                    fmin(ascents[r].lbfgs.x[i] / ascents[r].high[i], 1.0);
        }
        ascent_done(&ascents[r]);
    }
    free(ascents);
    evaluate(m, &m->starts, 0);
}

/* --- 4. parameters with values --- */

static void
add_change(struct maximiser *m, struct pool *pool, const double *unit, size_t d, double to)
{
    double *changed;

    if (pool->n >= pool->room)
        return;
    changed = pool_unit(m, pool, pool->n++);
    memcpy(changed, unit, m->n_dimensions * sizeof *changed);
    changed[d] = to;
}

/* Every other value when they are few or without order, else those 1, 2, 4, ... steps
 * away. */
static void
add_changes(struct maximiser *m, struct pool *pool, const double *unit, size_t d)
{
    const struct assay_gp_dimension *dimension = &m->features->dimensions[d];
    const struct assay_transform *transform = m->features->transform;
    const struct assay_plugin_parameter *parameter =
        transform->space->parameters[dimension->parameter];
    double at = m->point[dimension->parameter];

    if (dimension->kind == ASSAY_GP_CHOICE && dimension->values > CHOICES_TRIED) {
        for (size_t i = 0; i < CHOICES_TRIED; i++)
            add_change(m, pool, unit, d, assay_random_unit(m->random));
        return;
    }
    if (dimension->kind == ASSAY_GP_CHOICE || dimension->values <= RELAXED_FROM) {
        for (double v = 0.0; v < dimension->values; v++) {
            double value = parameter->min + v * parameter->step;

            if (fabs(value - at) > 0.5 * parameter->step)
                add_change(m, pool, unit, d, assay_transform_unit(transform, d, value));
        }
        return;
    }
    for (double steps = 1.0; steps < dimension->values && steps <= STEPS_MAX; steps *= 2.0) {
        double move = steps * parameter->step;

        if (at - move >= parameter->min)
            add_change(m, pool, unit, d, assay_transform_unit(transform, d, at - move));
        if (at + move <= parameter->max)
            add_change(m, pool, unit, d, assay_transform_unit(transform, d, at + move));
    }
}

/* The best single change of each start, taken where it gains; false when none does. */
static bool
change_once(struct maximiser *m, struct pool *changes, bool *settled)
{
    bool any = false;

    changes->n = 0;
    for (size_t r = 0; r < m->starts.n; r++) {
        size_t from = changes->n, best = SIZE_MAX, first;
        double *unit = pool_unit(m, &m->starts, r);

        if (settled[r])
            continue;
        set_scaled(m, unit, &m->starts.scaled[r * m->n_columns]); /* for m->point */
        /* From anywhere on, as there may not be room for all. */
        first = (size_t)assay_random_below(m->random, m->n_dimensions);
        for (size_t i = 0; i < m->n_dimensions; i++) {
            size_t d = (first + i) % m->n_dimensions;

            if (m->features->dimensions[d].kind != ASSAY_GP_CONTINUOUS &&
                !isnan(m->point[m->features->dimensions[d].parameter]))
                add_changes(m, changes, unit, d);
        }
        settled[r] = true;
        if (changes->n == from)
            continue;
        evaluate(m, changes, from);
        for (size_t i = from; i < changes->n; i++) {
            if (best == SIZE_MAX || changes->worths[i] > changes->worths[best])
                best = i;
        }
        if (changes->worths[best] > m->starts.worths[r] + GAIN_MIN) {
            memcpy(unit, pool_unit(m, changes, best), m->n_dimensions * sizeof *unit);
            memcpy(&m->starts.scaled[r * m->n_columns], &changes->scaled[best * m->n_columns],
                   m->n_columns * sizeof(double));
            m->starts.worths[r] = changes->worths[best];
            settled[r] = false;
            m->moved[r] = true;
            any = true;
        }
        changes->n = from;
    }
    return any;
}

static bool
is_same(const struct maximiser *m, size_t a, size_t b)
{
    double square = 0.0;

    for (size_t c = 0; c < m->n_columns; c++) {
        double apart =
            m->starts.scaled[a * m->n_columns + c] - m->starts.scaled[b * m->n_columns + c];

        square += apart * apart;
    }
    return square < SAME_SQUARE;
}

/* All but the best starts that differ from each other are settled. */
static void
settle_others(const struct maximiser *m, bool *ret_settled)
{
    assay_auto_free size_t *order = sorted(&m->starts);
    size_t open[CHANGED_STARTS], n = 0;
    size_t most = m->posterior->factor.n <= CHEAP_ROWS ? CHANGED_STARTS : CHANGED_STARTS_LATER;

    for (size_t i = 0; i < m->starts.n; i++) {
        bool settled = n == most;

        for (size_t k = 0; k < n && !settled; k++)
            settled = is_same(m, order[i], open[k]);
        ret_settled[order[i]] = settled;
        if (!settled)
            open[n++] = order[i];
    }
}

/* Whether anything changed. */
static bool
change(struct maximiser *m, struct pool *changes)
{
    assay_auto_free bool *settled = assay_alloc(m->starts.n + 1, sizeof *settled);
    bool any = false;

    settle_others(m, settled);
    memset(m->moved, 0, m->starts.n * sizeof *m->moved);
    for (unsigned i = 0; i < CHANGES_MAX && change_once(m, changes, settled); i++)
        any = true;
    return any;
}

/* --- all together --- */

/* The best of the pool that has not been tried. */
static bool
take_best(struct maximiser *m, const struct pool *pool, double *ret_point, double *ret_worth,
          double *ret_scaled)
{
    size_t *order = sorted(pool);
    bool found = false;

    for (size_t i = 0; i < pool->n && !found; i++) {
        size_t r = order[i];

        assay_transform_decode(m->features->transform, pool_unit(m, pool, r), m->point);
        found = assay_untried(m->search->history, m->search->batch, m->features->transform->space,
                              m->point);
        if (!found)
            continue;
        memcpy(ret_point, m->point,
               m->features->transform->space->n_parameters * sizeof *ret_point);
        memcpy(ret_scaled, &pool->scaled[r * m->n_columns], m->n_columns * sizeof *ret_scaled);
        *ret_worth = pool->worths[r];
    }
    free(order);
    return found;
}

static size_t
count_changes(const struct maximiser *m)
{
    size_t n = 0;

    for (size_t d = 0; d < m->n_dimensions; d++) {
        const struct assay_gp_dimension *dimension = &m->features->dimensions[d];

        if (dimension->kind == ASSAY_GP_CHOICE || dimension->values <= RELAXED_FROM)
            n += (size_t)fmin(dimension->values, CHOICES_TRIED);
        else if (dimension->kind == ASSAY_GP_STEPPED)
            n += 18;
    }
    return ASSAY_MIN(n, CHANGES_NUMBERS_MAX / (m->n_columns + m->n_dimensions + 1));
}

static void
improve(struct maximiser *m)
{
    bool continuous = false, large = m->posterior->factor.n > SCREEN_ROWS;
    size_t n_changes = count_changes(m);
    struct pool changes;

    for (size_t r = 0; r < m->starts.n; r++)
        m->moved[r] = true;
    for (size_t d = 0; d < m->n_dimensions; d++)
        continuous = continuous || is_relaxed(&m->features->dimensions[d]);
    pool_init(&changes, m, n_changes + 1);
    evaluate(m, &m->starts, 0);
    for (unsigned round = 0; round < (large ? ROUNDS - 1 : ROUNDS); round++) {
        if (continuous)
            ascend(m, n_changes == 0 ? 80 : 30);
        if (n_changes == 0 || !change(m, &changes) || assay_host_table()->should_stop())
            break;
    }
    pool_done(&changes);
}

enum assay_gp_found
assay_gp_maximise(const struct assay_gp_search *search, struct assay_random *random,
                  double *ret_point, double *ret_worth, double *ret_scaled)
{
    const struct assay_gp_features *features = search->model->features;
    struct maximiser m = {
        .search = search,
        .features = features,
        .posterior = &search->model->posterior,
        .random = random,
        .n_dimensions = features->n_dimensions,
        .n_columns = features->n_columns,
        .point = assay_alloc(features->transform->space->n_parameters + 1, sizeof(double)),
    };
    size_t starts = m.posterior->factor.n > SCREEN_ROWS ? STARTS_LARGE : STARTS;
    enum assay_gp_found result = ASSAY_GP_NONE_UNTRIED;

    pool_init(&m.candidates, &m, SPREAD_CANDIDATES + NEAR_CANDIDATES);
    pool_init(&m.starts, &m, starts + TRIAL_STARTS);
    m.moved = assay_zalloc(starts + TRIAL_STARTS, sizeof *m.moved);
    add_spread(&m);
    add_near(&m);
    if (m.posterior->factor.n > SCREEN_ROWS)
        screen(&m);
    evaluate(&m, &m.candidates, 0);
    choose_starts(&m, starts);
    improve(&m);
    if (assay_host_table()->should_stop())
        result = ASSAY_GP_INTERRUPTED;
    else if (take_best(&m, &m.starts, ret_point, ret_worth, ret_scaled) ||
             take_best(&m, &m.candidates, ret_point, ret_worth, ret_scaled))
        result = ASSAY_GP_FOUND;
    pool_done(&m.candidates);
    pool_done(&m.starts);
    free(m.point);
    free(m.moved);
    return result;
}
