#include "suggest/algorithms/fidelity/ensemble.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/bayesian/kernel.h"
#include "suggest/algorithms/bayesian/model.h"
#include "suggest/algorithms/fidelity/predict.h"
#include "suggest/host.h"

#define MODELS_MAX 6 /* the target rung's and so many below it, less one */
#define VALUES_MIN 6 /* of a rung that is to have a model */
#define ROWS_MAX 500
#define ROWS_BEST 200
#define ROWS_KEPT 400 /* best and random; the newest make up the rest */
#define GROWTH 20     /* the rows are chosen anew when there is a 20th more */
#define DRAWS 50
#define RANKED_MAX 100 /* trials of the target rung by which models are weighed */
#define PENDING_MAX 64
#define SPREAD 384
#define NEAR 192
#define NEAR_TRIALS 6
#define SCREENED 128  /* candidates whose deviations are looked at */
#define POLISHED 6    /* that are gone on from */
#define NEIGHBOURS 24 /* of each and round */
#define ROUNDS 6

/* The model of one rung. */
struct level {
    struct assay_history *history; /* the rung's trials as ended ones; NULL: none */
    struct assay_gp_model model;
    double weight; /* 0: not used */
};

struct assay_ensemble {
    const struct assay_algorithm_base *base;
    const struct assay_ladder *ladder;
    const struct assay_sobol *sequence;
    struct assay_gp_features features;
    struct level *levels; /* per rung */
    bool fresh, ready;
    size_t target; /* rung */
    double *point; /* scratch */
};

struct assay_ensemble *
assay_ensemble_new(const struct assay_algorithm_base *base, const struct assay_ladder *ladder,
                   const struct assay_sobol *sequence)
{
    struct assay_ensemble *ensemble = ASSAY_NEW(struct assay_ensemble);

    assay_gp_prepare();
    ensemble->base = base;
    ensemble->ladder = ladder;
    ensemble->sequence = sequence;
    assay_gp_features_init(&ensemble->features, &base->transform);
    ensemble->levels = assay_zalloc(ladder->n_rungs, sizeof *ensemble->levels);
    for (size_t k = 0; k < ladder->n_rungs; k++) {
        assay_gp_model_init(&ensemble->levels[k].model, &ensemble->features, 1, 0, base->seed);
        ensemble->levels[k].model.surfaces[0].impute = true;
    }
    ensemble->point = assay_alloc((size_t)base->space->n_parameters + 1, sizeof *ensemble->point);
    return ensemble;
}

struct assay_ensemble *
assay_ensemble_free(struct assay_ensemble *ensemble)
{
    if (ensemble == NULL)
        return NULL;
    for (size_t k = 0; k < ensemble->ladder->n_rungs; k++) {
        assay_gp_model_done(&ensemble->levels[k].model);
        assay_history_free(ensemble->levels[k].history);
    }
    free(ensemble->levels);
    assay_gp_features_done(&ensemble->features);
    free(ensemble->point);
    free(ensemble);
    return NULL;
}

void
assay_ensemble_forget(struct assay_ensemble *ensemble)
{
    ensemble->fresh = false;
}

/* --- the rows of a model --- */

static int
compare_numbers(const void *a, const void *b)
{
    const struct assay_judged *x = a, *y = b;

    return x->trial->number < y->trial->number ? -1 : x->trial->number > y->trial->number;
}

static int
compare_values(const void *a, const void *b)
{
    const struct assay_judged *x = a, *y = b;

    return x->value < y->value ? -1 : x->value > y->value ? 1 : compare_numbers(a, b);
}

/* A random order that does not change as trials come. */
static uint64_t
lot_of(const struct assay_judged *judged)
{
    uint64_t bits = (uint64_t)judged->trial->number * UINT64_C(0x9E3779B97F4A7C15);

    bits = (bits ^ bits >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    return bits ^ bits >> 31;
}

static int
compare_lots(const void *a, const void *b)
{
    uint64_t x = lot_of(a), y = lot_of(b);

    return x < y ? -1 : x > y ? 1 : compare_numbers(a, b);
}

/* Moves the ones to learn from to the front; returns their number. */
static size_t
choose(struct assay_judged *judged, size_t n)
{
    size_t m = ROWS_MAX, newest;

    if (n <= ROWS_MAX)
        return n;
    while (m + m / GROWTH <= n)
        m += m / GROWTH;
    qsort(judged, n, sizeof *judged, compare_numbers);
    qsort(judged, m, sizeof *judged, compare_values);
    qsort(judged + ROWS_BEST, m - ROWS_BEST, sizeof *judged, compare_lots);
    newest = ASSAY_MIN(n - m, (size_t)(ROWS_MAX - ROWS_KEPT));
    memmove(judged + ROWS_KEPT, judged + n - newest, newest * sizeof *judged);
    return ROWS_KEPT + newest;
}

static void
fill_level(struct assay_ensemble *ensemble, struct level *level, const struct assay_judged *judged,
           size_t n)
{
    assay_history_free(level->history);
    level->history = assay_history_new(ensemble->base->space, 1, 0, 0);
    for (size_t i = 0; i < n; i++)
        assay_history_tell(
            level->history,
            &(struct assay_plugin_trial){
                .number = judged[i].trial->number,
                .state = isfinite(judged[i].value) ? ASSAY_PLUGIN_SUCCEEDED : ASSAY_PLUGIN_FAILED,
                .point = judged[i].trial->point,
                .values = &judged[i].value,
                .budget = NAN,
                .steps = -1,
            });
}

/* --- weights --- */

/* The target rung's trials that models are weighed by. */
struct yardstick {
    size_t n;
    double *rows, *z;
    double *own_means, *own_sds; /* each from the others */
};

static void
yardstick_done(struct yardstick *yardstick)
{
    free(yardstick->rows);
    free(yardstick->z);
    free(yardstick->own_means);
    free(yardstick->own_sds);
}

/* From the inverse of C: row i is predicted by the others with variance 1 / C^-1_ii and
 * mean z_i - alpha_i / C^-1_ii (C. E. Rasmussen and C. K. I. Williams, 2006, 5.4.2). */
static bool
yardstick_init(struct yardstick *yardstick, const struct assay_gp_model *model)
{
    const struct assay_gp_surface *surface = &model->surfaces[0];
    const struct assay_gp_posterior *posterior = &surface->posterior;
    const double *y = assay_gp_data_output(&model->data, 0);
    size_t n = surface->n_chosen, columns = model->features->n_columns, valued = 0, step;
    assay_auto_free double *inverse = assay_alloc(n * n + 1, sizeof *inverse);

    *yardstick = (struct yardstick){
        .rows = assay_alloc(n * columns + 1, sizeof *yardstick->rows),
        .z = assay_alloc(n + 1, sizeof *yardstick->z),
        .own_means = assay_alloc(n + 1, sizeof *yardstick->own_means),
        .own_sds = assay_alloc(n + 1, sizeof *yardstick->own_sds),
    };
    if (!assay_gp_factor_invert(&posterior->factor, inverse))
        return false;
    for (size_t i = 0; i < n; i++)
        valued += isnan(y[surface->chosen[i]]) ? 0 : 1;
    step = (valued + RANKED_MAX - 1) / RANKED_MAX;
    valued = 0;
    for (size_t i = 0; i < n; i++) {
        size_t to = yardstick->n;

        if (isnan(y[surface->chosen[i]]) || valued++ % step != 0)
            continue;
        memcpy(&yardstick->rows[to * columns], &model->data.rows[surface->chosen[i] * columns],
               columns * sizeof *yardstick->rows);
        yardstick->z[to] = surface->z[i];
        yardstick->own_means[to] = surface->z[i] - posterior->alphas[i] / inverse[i * n + i];
        yardstick->own_sds[to] =
            sqrt(fmax(1.0 / inverse[i * n + i] - posterior->noise, posterior->noise));
        yardstick->n++;
    }
    return true;
}

/* Pairs that predictions put in the wrong order. */
static size_t
count_wrong(const double *z, const double *predicted, size_t n)
{
    size_t wrong = 0;

    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++)
            wrong += (z[i] < z[j]) != (predicted[i] < predicted[j]);
    }
    return wrong;
}

/* Weighs the levels from `lowest` to the target. */
static void
weigh(struct assay_ensemble *ensemble, size_t lowest)
{
    size_t target = ensemble->target, n_levels = target - lowest + 1;
    struct yardstick yardstick;
    struct assay_random random;

    if (n_levels == 1 || !yardstick_init(&yardstick, &ensemble->levels[target].model)) {
        ensemble->levels[target].weight = 1.0;
        if (n_levels > 1)
            yardstick_done(&yardstick);
        return;
    }
    size_t n = yardstick.n;
    assay_auto_free double *means = assay_alloc(n_levels * n + 1, sizeof *means);
    assay_auto_free double *sds = assay_alloc(n_levels * n + 1, sizeof *sds);
    assay_auto_free double *drawn = assay_alloc(n + 1, sizeof *drawn);

    for (size_t r = 0; r + 1 < n_levels; r++)
        assay_predict(&ensemble->levels[lowest + r].model.surfaces[0].posterior, yardstick.rows, n,
                      &means[r * n], &sds[r * n]);
    memcpy(&means[(n_levels - 1) * n], yardstick.own_means, n * sizeof *means);
    memcpy(&sds[(n_levels - 1) * n], yardstick.own_sds, n * sizeof *sds);
    assay_random_init(&random, ensemble->base->seed, 0, ASSAY_PURPOSE_FIDELITY_WEIGHTS);
    for (size_t draw = 0; draw < DRAWS; draw++) {
        size_t best = SIZE_MAX, best_level = target;

        /* Of equals the highest rung. */
        for (size_t r = n_levels; r-- > 0;) {
            size_t wrong;

            for (size_t i = 0; i < n; i++)
                drawn[i] = means[r * n + i] + sds[r * n + i] * assay_random_normal(&random);
            wrong = count_wrong(yardstick.z, drawn, n);
            if (wrong < best) {
                best = wrong;
                best_level = lowest + r;
            }
        }
        ensemble->levels[best_level].weight += 1.0 / DRAWS;
    }
    yardstick_done(&yardstick);
}

/* --- learning --- */

static void
pend(struct assay_ensemble *ensemble, const double *const *points, size_t n)
{
    for (size_t k = 0; k <= ensemble->target; k++) {
        if (ensemble->levels[k].weight > 0.0)
            assay_gp_model_pend(&ensemble->levels[k].model, points, n, ASSAY_GP_UCB, 1, NULL);
    }
}

static size_t
least_values(const struct assay_ensemble *ensemble)
{
    return ASSAY_MAX(ASSAY_MIN(ensemble->features.n_dimensions + 1, (size_t)20),
                     (size_t)VALUES_MIN);
}

/* False when interrupted. */
static bool
learn(struct assay_ensemble *ensemble)
{
    size_t n_models = 0, lowest = 0;

    ensemble->ready = false;
    for (size_t k = 0; k < ensemble->ladder->n_rungs; k++)
        ensemble->levels[k].weight = 0.0;
    for (size_t k = ensemble->ladder->n_rungs; k-- > 0 && n_models < MODELS_MAX;) {
        size_t n, n_valued, wanted = k > 0 ? VALUES_MIN : least_values(ensemble);
        struct assay_judged *judged =
            assay_sampler_judged(ensemble->ladder, ensemble->base->history, k, &n, &n_valued);
        bool enough = n_valued >= wanted, learned = true;

        if (enough) {
            n = choose(judged, n);
            fill_level(ensemble, &ensemble->levels[k], judged, n);
            learned = assay_gp_model_learn(&ensemble->levels[k].model, ensemble->levels[k].history);
        }
        free(judged);
        if (!learned)
            return false;
        /* A rung in between that too few have a value at ends it. */
        if (!enough && n_models > 0)
            break;
        if (enough && n_models++ == 0)
            ensemble->target = k;
        lowest = enough ? k : lowest;
    }
    if (n_models > 0) {
        for (size_t k = lowest; k <= ensemble->target; k++) {
            assay_gp_model_pend(&ensemble->levels[k].model, NULL, 0, ASSAY_GP_UCB, 1, NULL);
        }
        weigh(ensemble, lowest);
    }
    ensemble->ready = n_models > 0;
    ensemble->fresh = true;
    return true;
}

/* --- the search --- */

/* Places in the unit cube with what the ensemble says of them. */
struct pool {
    size_t n;
    double *units, *rows, *means, *sds, *worths;
};

static void
pool_init(struct pool *pool, const struct assay_ensemble *ensemble, size_t room)
{
    *pool = (struct pool){
        .units = assay_alloc(room * ensemble->features.n_dimensions + 1, sizeof(double)),
        .rows = assay_alloc(room * ensemble->features.n_columns + 1, sizeof(double)),
        .means = assay_alloc(room + 1, sizeof(double)),
        .sds = assay_alloc(room + 1, sizeof(double)),
        .worths = assay_alloc(room + 1, sizeof(double)),
    };
}

static void
pool_done(struct pool *pool)
{
    free(pool->units);
    free(pool->rows);
    free(pool->means);
    free(pool->sds);
    free(pool->worths);
}

static void
combine(const struct assay_ensemble *ensemble, const double *rows, size_t n, double *ret_means,
        double *ret_sds)
{
    assay_auto_free double *means = assay_alloc(n + 1, sizeof *means);
    assay_auto_free double *sds = assay_alloc(n + 1, sizeof *sds);

    for (size_t i = 0; i < n; i++) {
        ret_means[i] = 0.0;
        if (ret_sds != NULL)
            ret_sds[i] = 0.0;
    }
    for (size_t k = 0; k <= ensemble->target; k++) {
        double weight = ensemble->levels[k].weight;

        if (weight <= 0.0)
            continue;
        assay_predict(&ensemble->levels[k].model.surfaces[0].posterior, rows, n, means,
                      ret_sds != NULL ? sds : NULL);
        for (size_t i = 0; i < n; i++) {
            ret_means[i] += weight * means[i];
            if (ret_sds != NULL)
                ret_sds[i] += weight * weight * sds[i] * sds[i];
        }
    }
    for (size_t i = 0; i < n && ret_sds != NULL; i++)
        ret_sds[i] = sqrt(ret_sds[i]);
}

static void
evaluate(struct assay_ensemble *ensemble, struct pool *pool, size_t from, double threshold)
{
    const struct assay_gp_features *features = &ensemble->features;

    for (size_t i = from; i < pool->n; i++)
        assay_gp_features_of_unit(features, &pool->units[i * features->n_dimensions],
                                  ensemble->point, &pool->rows[i * features->n_columns]);
    combine(ensemble, &pool->rows[from * features->n_columns], pool->n - from, &pool->means[from],
            &pool->sds[from]);
    for (size_t i = from; i < pool->n; i++)
        pool->worths[i] =
            assay_gp_log_h((threshold - pool->means[i]) / pool->sds[i]) + log(pool->sds[i]);
}

/* The lowest mean at a trial of the target rung. */
static double
lowest_mean(const struct assay_ensemble *ensemble)
{
    const struct assay_gp_data *data = &ensemble->levels[ensemble->target].model.data;
    assay_auto_free double *means = assay_alloc(data->n + 1, sizeof *means);
    double lowest = INFINITY;

    combine(ensemble, data->rows, data->n, means, NULL);
    for (size_t i = 0; i < data->n; i++)
        lowest = fmin(lowest, means[i]);
    return lowest;
}

static void
move(const struct assay_ensemble *ensemble, double width, double share, struct assay_random *random,
     double *unit)
{
    const struct assay_gp_features *features = &ensemble->features;
    size_t certain = (size_t)assay_random_below(random, features->n_dimensions);

    for (size_t d = 0; d < features->n_dimensions; d++) {
        bool choice = features->dimensions[d].kind == ASSAY_GP_CHOICE;
        double to = unit[d];

        if (d != certain && assay_random_unit(random) >= (choice ? 0.2 : 1.0) * share)
            continue;
        if (choice) {
            to = assay_random_unit(random);
        } else {
            to += width * assay_random_normal(random);
            to = to < 0.0 ? -to : to > 1.0 ? 2.0 - to : to;
        }
        unit[d] = fmin(fmax(to, 0.0), 1.0);
    }
}

/* Adds a neighbour of a trial; parameters that are not active there stand anywhere. */
static void
add_near(struct assay_ensemble *ensemble, struct pool *pool, const double *point, size_t nth,
         struct assay_random *random)
{
    const struct assay_gp_features *features = &ensemble->features;
    double *unit = &pool->units[pool->n++ * features->n_dimensions];

    assay_transform_encode(features->transform, point, unit);
    for (size_t d = 0; d < features->n_dimensions; d++) {
        if (isnan(point[features->dimensions[d].parameter]))
            unit[d] = assay_random_unit(random);
    }
    move(ensemble, pow(10.0, -2.5 + 2.0 * assay_random_unit(random)),
         nth % 2 == 0 ? 1.0 : fmax(0.2, 1.0 / (double)features->n_dimensions), random, unit);
}

/* Points all over and near the best trials of the highest rungs. */
static void
add_candidates(struct assay_ensemble *ensemble, struct pool *pool, struct assay_random *random)
{
    size_t dimensions = ensemble->features.n_dimensions, n_near = 0;
    assay_auto_free uint32_t *shifts = assay_alloc(dimensions + 1, sizeof *shifts);
    const double *near[2 * NEAR_TRIALS];

    for (size_t d = 0; d < dimensions; d++)
        shifts[d] = assay_random_u32(random);
    for (uint32_t i = 0; i < SPREAD; i++) {
        double *unit = &pool->units[pool->n++ * dimensions];

        for (size_t d = 0; d < dimensions; d++)
            unit[d] = ((assay_sobol_digits(ensemble->sequence, d, i) ^ shifts[d]) + 0.5) * 0x1p-32;
    }
    for (size_t k = ensemble->target + 1; k-- > 0 && n_near + NEAR_TRIALS <= ASSAY_COUNT(near);) {
        size_t rows[NEAR_TRIALS], n;

        if (ensemble->levels[k].weight <= 0.0 && k != ensemble->target)
            continue;
        n = assay_gp_model_best(&ensemble->levels[k].model, NEAR_TRIALS, NULL, rows);
        for (size_t i = 0; i < n; i++)
            near[n_near++] = ensemble->levels[k].model.data.trials[rows[i]]->point;
    }
    for (size_t i = 0; i < NEAR && n_near > 0; i++)
        add_near(ensemble, pool, near[i % n_near], i, random);
}

/* Indices of the `wanted` largest worths, best first; of equals the first. */
static size_t
best_of(const struct pool *pool, size_t wanted, size_t *ret_best)
{
    size_t n = 0;

    for (size_t i = 0; i < pool->n; i++) {
        size_t at = n;

        while (at > 0 && pool->worths[i] > pool->worths[ret_best[at - 1]])
            at--;
        if (at >= wanted)
            continue;
        n = ASSAY_MIN(n + 1, wanted);
        memmove(&ret_best[at + 1], &ret_best[at], (n - 1 - at) * sizeof *ret_best);
        ret_best[at] = i;
    }
    return n;
}

/* Keeps those with the lowest means and as many others, and evaluates them. */
static void
screen(struct assay_ensemble *ensemble, struct pool *pool, double threshold)
{
    const struct assay_gp_features *features = &ensemble->features;
    size_t n_dimensions = features->n_dimensions, kept = 0;
    size_t order[SCREENED / 2];
    assay_auto_free bool *keep = assay_zalloc(pool->n + 1, sizeof *keep);

    for (size_t i = 0; i < pool->n; i++)
        assay_gp_features_of_unit(features, &pool->units[i * n_dimensions], ensemble->point,
                                  &pool->rows[i * features->n_columns]);
    combine(ensemble, pool->rows, pool->n, pool->means, NULL);
    for (size_t i = 0; i < pool->n; i++) {
        pool->worths[i] = -pool->means[i];
        keep[i] = i % (pool->n / (SCREENED / 2) + 1) == 0;
    }
    for (size_t i = best_of(pool, ASSAY_COUNT(order), order); i-- > 0;)
        keep[order[i]] = true;
    for (size_t i = 0; i < pool->n; i++) {
        if (keep[i])
            memmove(&pool->units[kept++ * n_dimensions], &pool->units[i * n_dimensions],
                    n_dimensions * sizeof *pool->units);
    }
    pool->n = kept;
    evaluate(ensemble, pool, 0, threshold);
}

/* Goes on from the best by ever smaller moves. */
static void
polish(struct assay_ensemble *ensemble, struct pool *pool, double threshold,
       struct assay_random *random)
{
    size_t n_dimensions = ensemble->features.n_dimensions;
    double width = 0.2;

    for (size_t round = 0; round < ROUNDS; round++, width *= 0.5) {
        size_t best[POLISHED], n = best_of(pool, POLISHED, best), from = pool->n;

        for (size_t i = 0; i < n * NEIGHBOURS; i++) {
            double *unit = &pool->units[pool->n++ * n_dimensions];

            memcpy(unit, &pool->units[best[i / NEIGHBOURS] * n_dimensions],
                   n_dimensions * sizeof *unit);
            move(ensemble, width, i % 2 == 0 ? 1.0 : 0.3, random, unit);
        }
        evaluate(ensemble, pool, from, threshold);
    }
}

/* The best untried point of the pool. */
static bool
take_best(struct assay_ensemble *ensemble, struct pool *pool, const struct assay_batch *batch,
          size_t *ret_index, double *ret_point)
{
    const struct assay_algorithm_base *base = ensemble->base;

    for (size_t attempt = 0; attempt < pool->n; attempt++) {
        size_t i;

        if (best_of(pool, 1, &i) == 0 || pool->worths[i] == -INFINITY)
            return false;
        assay_transform_decode(&base->transform, &pool->units[i * ensemble->features.n_dimensions],
                               ret_point);
        if (assay_untried(base->history, batch, base->space, ret_point)) {
            *ret_index = i;
            return true;
        }
        pool->worths[i] = -INFINITY;
    }
    return false;
}

/* --- proposing --- */

static void
write_why(const struct assay_ensemble *ensemble, const struct pool *pool, size_t i,
          const char *name, double sign, const struct assay_plugin_suggestion *suggestion)
{
    const struct assay_gp_model *model = &ensemble->levels[ensemble->target].model;
    double mean = assay_gp_warp_invert(&model->surfaces[0].warp, pool->means[i]);
    double apart = (assay_gp_warp_invert(&model->surfaces[0].warp, pool->means[i] + pool->sds[i]) -
                    assay_gp_warp_invert(&model->surfaces[0].warp, pool->means[i] - pool->sds[i])) /
                   2.0;
    size_t used;

    used = (size_t)snprintf(suggestion->why, suggestion->why_size,
                            "{\"proposed_by\": \"%s\", \"phase\": \"model\"", name);
    if (isfinite(mean) && isfinite(apart) && isfinite(pool->worths[i]))
        used += (size_t)snprintf(suggestion->why + used, suggestion->why_size - used,
                                 ", \"predicted\": {\"mean\": %.9g, \"sd\": %.6g, "
                                 "\"at_budget\": %.10g}, "
                                 "\"acquisition\": {\"name\": \"log_ei\", \"value\": %.6g}",
                                 sign * mean, apart, ensemble->ladder->rungs[ensemble->target],
                                 pool->worths[i]);
    used +=
        (size_t)snprintf(suggestion->why + used, suggestion->why_size - used, ", \"models\": [");
    for (size_t k = 0, n = 0; k <= ensemble->target; k++) {
        const struct level *level = &ensemble->levels[k];

        if (level->weight > 0.0)
            used += (size_t)snprintf(suggestion->why + used, suggestion->why_size - used,
                                     "%s{\"budget\": %.10g, \"weight\": %.2f, \"trials\": %zu}",
                                     n++ > 0 ? ", " : "", ensemble->ladder->rungs[k], level->weight,
                                     level->model.surfaces[0].n_chosen);
    }
    snprintf(suggestion->why + used, suggestion->why_size - used, "]}");
}

static const double **
pending_points(const struct assay_ensemble *ensemble, const struct assay_batch *batch,
               size_t *ret_n)
{
    size_t n_batch = ASSAY_MIN(batch->n_given, (size_t)PENDING_MAX / 2), n;
    const double **points =
        assay_sampler_pending(ensemble->base->history, PENDING_MAX - n_batch, &n);

    for (size_t i = batch->n_given - n_batch; i < batch->n_given; i++) {
        points = assay_realloc(points, n + 1, sizeof *points);
        points[n++] = batch->given[i]->point;
    }
    *ret_n = n;
    return points;
}

enum assay_model_answer
assay_ensemble_propose(struct assay_ensemble *ensemble, const char *name, double sign,
                       const struct assay_batch *batch, struct assay_random *random,
                       const struct assay_plugin_suggestion *suggestion)
{
    const double **pending;
    size_t n_pending, best;
    double threshold;
    struct pool pool;
    bool found;

    if (ensemble->features.n_dimensions == 0)
        return ASSAY_MODEL_NOT_READY;
    if (!ensemble->fresh && !learn(ensemble))
        return ASSAY_MODEL_INTERRUPTED;
    if (!ensemble->ready)
        return ASSAY_MODEL_NOT_READY;
    pending = pending_points(ensemble, batch, &n_pending);
    pend(ensemble, pending, n_pending);
    free(pending);
    pool_init(&pool, ensemble, SPREAD + NEAR + ROUNDS * POLISHED * NEIGHBOURS);
    add_candidates(ensemble, &pool, random);
    threshold = lowest_mean(ensemble);
    screen(ensemble, &pool, threshold);
    if (assay_host_table()->should_stop()) {
        pool_done(&pool);
        return ASSAY_MODEL_INTERRUPTED;
    }
    polish(ensemble, &pool, threshold, random);
    found = take_best(ensemble, &pool, batch, &best, suggestion->point);
    if (found)
        write_why(ensemble, &pool, best, name, sign, suggestion);
    pool_done(&pool);
    return found ? ASSAY_MODEL_PROPOSED : ASSAY_MODEL_NONE_UNTRIED;
}
