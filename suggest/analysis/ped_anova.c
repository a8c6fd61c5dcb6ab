#include "suggest/analysis/ped_anova.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "suggest/pareto/domination.h"
#include "suggest/pareto/hypervolume.h"
#include "suggest/pareto/subset.h"

/* A cell of the grid is at least 90 % of a kernel: 1.64 standard deviations to each side. */
#define SIGMA_MIN (0.5 / 1.64)

size_t
assay_ped_steps(const struct assay_plugin_parameter *parameter)
{
    double steps = fmin(parameter->cardinality, ASSAY_PED_STEPS_MAX);

    if (parameter->type == ASSAY_PLUGIN_INT && parameter->scale != ASSAY_PLUGIN_LINEAR)
        steps = fmin(steps, ceil(log2(parameter->max - parameter->min + 1.0)) + 1.0);
    return (size_t)steps;
}

/* --- densities on the grid */

/* Scott's rule on counts: 1.059 min(IQR / 1.34, s) W^(-1/5). */
static double
bandwidth(const double *counts, size_t n_steps)
{
    double total = 0.0, mean = 0.0, squares = 0.0, before = 0.0;
    size_t low = 0, high = 0;
    bool low_found = false, high_found = false;

    for (size_t i = 0; i < n_steps; i++) {
        total += counts[i];
        mean += counts[i] * (double)i;
    }
    mean /= total;
    for (size_t i = 0; i < n_steps; i++) {
        if (counts[i] <= 0.0)
            continue;
        squares += counts[i] * ((double)i - mean) * ((double)i - mean);
        before += counts[i];
        if (!low_found && before >= floor(total / 4.0)) {
            low = i;
            low_found = true;
        }
        if (!high_found)
            high = i;
        high_found |= before > floor(total * 3.0 / 4.0);
    }
    squares = sqrt(squares / fmax(1.0, total - 1.0));
    return fmax(1.059 * fmin((double)(high - low) / 1.34, squares) * pow(total, -0.2), SIGMA_MIN);
}

static double
normal_below(double x)
{
    return 0.5 * erfc(-x * M_SQRT1_2);
}

/* Adds `weight` times the normal distribution around `middle`, cut off at the ends of
 * the grid and summed over its cells. */
static void
add_kernel(double middle, double sigma, double weight, size_t n_steps, double *density)
{
    double left = normal_below((-0.5 - middle) / sigma);
    double whole = normal_below(((double)n_steps - 0.5 - middle) / sigma) - left;

    for (size_t i = 0; i < n_steps; i++) {
        double right = normal_below(((double)i + 0.5 - middle) / sigma);

        density[i] += weight * (right - left) / whole;
        left = right;
    }
}

void
assay_ped_numeric_density(const double *counts, size_t n_steps, double *ret_density)
{
    double sigma = bandwidth(counts, n_steps), total = 0.0;

    for (size_t i = 0; i < n_steps; i++) {
        ret_density[i] = 0.0;
        total += counts[i];
    }
    for (size_t i = 0; i < n_steps; i++) {
        if (counts[i] > 0.0)
            add_kernel((double)i, sigma, counts[i] / (total + 1.0), n_steps, ret_density);
    }
    add_kernel(((double)n_steps - 1.0) / 2.0, (double)n_steps, 1.0 / (total + 1.0), n_steps,
               ret_density);
}

/* A kernel is 1 on its own choice and 1 / (W + 1) more on each, made to sum to 1. */
void
assay_ped_choice_density(const double *counts, size_t n_choices, double *ret_density)
{
    double total = 0.0, extra, whole;

    for (size_t i = 0; i < n_choices; i++)
        total += counts[i];
    extra = 1.0 / (total + 1.0);
    whole = 1.0 + (double)n_choices * extra;
    for (size_t i = 0; i < n_choices; i++)
        ret_density[i] = (counts[i] + total * extra) / whole / (total + 1.0) +
                         1.0 / (double)n_choices / (total + 1.0);
}

/* --- the best trials */

static size_t
count_true(const bool *marks, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += marks[i];
    return count;
}

/* One objective: all that are as good as the k-th best, so that ties stay together. */
static void
mark_by_value(const struct assay_analysis_trials *trials, const size_t *allowed, size_t n, size_t k,
              bool *ret_top)
{
    assay_auto_free double *sorted = assay_alloc(n, sizeof *sorted);

    for (size_t i = 0; i < n; i++)
        sorted[i] = trials->values[allowed[i]];
    qsort(sorted, n, sizeof *sorted, assay_compare_doubles);
    for (size_t i = 0; i < n; i++)
        ret_top[allowed[i]] = trials->values[allowed[i]] <= sorted[k - 1];
}

/* Costs as finite numbers: infinite ones a little past the others. */
static void
take_costs(const struct assay_analysis_trials *trials, const size_t *rows, size_t n, double *costs)
{
    size_t m = trials->n_objectives;

    for (size_t k = 0; k < m; k++) {
        double low = INFINITY, high = -INFINITY, past;

        for (size_t i = 0; i < n; i++) {
            double cost = trials->values[rows[i] * m + k];

            costs[i * m + k] = cost;
            if (isfinite(cost)) {
                low = fmin(low, cost);
                high = fmax(high, cost);
            }
        }
        if (!(low <= high))
            low = high = 0.0;
        past = high / 2.0 - low / 2.0 + 1e-9 * fmax(fabs(low), fabs(high)) + 1e-300;
        for (size_t i = 0; i < n; i++) {
            if (!isfinite(costs[i * m + k]))
                costs[i * m + k] = costs[i * m + k] > 0.0 ? fmin(high + past, DBL_MAX)
                                                          : fmax(low - past, -DBL_MAX);
        }
    }
}

/* Whole fronts, and of the last one those rows that cover most together. */
static void
mark_by_fronts(const struct assay_analysis_trials *trials, const size_t *allowed, size_t n,
               size_t k, bool *ret_top)
{
    size_t m = trials->n_objectives, taken = 0, n_last = 0, last = 0;
    assay_auto_free double *costs = assay_alloc(n * m, sizeof *costs);
    assay_auto_free double *front = assay_alloc(n * m, sizeof *front);
    assay_auto_free double *reference = assay_alloc(m, sizeof *reference);
    assay_auto_free size_t *ranks = assay_alloc(n, sizeof *ranks);
    assay_auto_free size_t *rows = assay_alloc(n, sizeof *rows);
    assay_auto_free size_t *chosen = assay_alloc(n, sizeof *chosen);

    take_costs(trials, allowed, n, costs);
    last = assay_pareto_ranks(costs, NULL, n, m, k, ranks) - 1;
    for (size_t i = 0; i < n; i++) {
        if (ranks[i] < last) {
            ret_top[allowed[i]] = true;
            taken++;
        } else if (ranks[i] == last) {
            memcpy(&front[n_last * m], &costs[i * m], m * sizeof *front);
            rows[n_last++] = allowed[i];
        }
    }
    assay_pareto_reference(front, n_last, m, reference);
    assay_pareto_subset(front, n_last, m, reference, k - taken, chosen);
    for (size_t i = 0; i < k - taken; i++)
        ret_top[rows[chosen[i]]] = true;
}

/* False with a message when there is no telling good from bad. */
static bool
mark_top(const struct assay_analysis_trials *trials, bool *ret_top,
         struct assay_importance *importance)
{
    assay_auto_free size_t *allowed = assay_alloc(trials->n + 1, sizeof *allowed);
    size_t n = 0, k = (size_t)ceil(ASSAY_PED_TOP_SHARE * (double)trials->n);

    if (trials->n < ASSAY_ANALYSIS_TRIALS_MIN) {
        snprintf(importance->message, sizeof importance->message,
                 "At least %d ended trials are needed; there %s %zu.", ASSAY_ANALYSIS_TRIALS_MIN,
                 trials->n == 1 ? "is" : "are", trials->n);
        return false;
    }
    for (size_t i = 0; i < trials->n; i++) {
        if (trials->feasible[i])
            allowed[n++] = i;
    }
    if (n < ASSAY_PED_TOP_MIN) {
        snprintf(importance->message, sizeof importance->message,
                 "At least %d feasible trials are needed; there %s %zu.", ASSAY_PED_TOP_MIN,
                 n == 1 ? "is" : "are", n);
        return false;
    }
    k = ASSAY_MIN(ASSAY_MAX(k, (size_t)ASSAY_PED_TOP_MIN), n);
    if (trials->n_objectives == 1)
        mark_by_value(trials, allowed, n, k, ret_top);
    else
        mark_by_fronts(trials, allowed, n, k, ret_top);
    if (count_true(ret_top, trials->n) == trials->n) {
        snprintf(importance->message, sizeof importance->message,
                 "All trials are equally good, so no parameter matters.");
        return false;
    }
    return true;
}

/* --- one parameter */

/* Counts per cell, of all trials and of the best, where the parameter is active. */
static void
count_cells(const struct assay_analysis_trials *trials, size_t parameter, const bool *top,
            size_t n_cells, double *ret_all, double *ret_top)
{
    size_t n_parameters = trials->space->n_parameters;
    bool choice = assay_analysis_is_choice(trials->space->parameters[parameter]);

    for (size_t i = 0; i < trials->n; i++) {
        float unit = trials->units[i * n_parameters + parameter];
        size_t cell;

        if (isnan(unit))
            continue;
        cell = (size_t)(choice ? unit : unit * (float)n_cells);
        cell = ASSAY_MIN(cell, n_cells - 1);
        ret_all[cell] += 1.0;
        ret_top[cell] += top[i];
    }
}

static double
sum_of(const double *items, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += items[i];
    return sum;
}

/* Pearson divergence of the best from all.  Trials where the parameter is inactive are a
 * regime of their own, within which there is nothing to differ. */
static double
divergence(const struct assay_analysis_trials *trials, size_t parameter, const bool *top,
           size_t n_top)
{
    const struct assay_plugin_parameter *shape = trials->space->parameters[parameter];
    bool choice = assay_analysis_is_choice(shape);
    size_t n_cells = choice ? (size_t)shape->cardinality : assay_ped_steps(shape);
    assay_auto_free double *room = assay_zalloc(4 * n_cells, sizeof *room);
    double *all = room, *best = room + n_cells, *p_all = room + 2 * n_cells,
           *p_best = room + 3 * n_cells;
    double in_all, in_best, alpha, beta, sum = 0.0;

    if (n_cells < 2)
        return 0.0;
    count_cells(trials, parameter, top, n_cells, all, best);
    in_all = sum_of(all, n_cells);
    in_best = sum_of(best, n_cells);
    if (in_all < 2.0 || in_best < 2.0)
        return 0.0;
    (choice ? assay_ped_choice_density : assay_ped_numeric_density)(all, n_cells, p_all);
    (choice ? assay_ped_choice_density : assay_ped_numeric_density)(best, n_cells, p_best);
    for (size_t i = 0; i < n_cells; i++) {
        double apart = (p_best[i] + 1e-12) / (p_all[i] + 1e-12) - 1.0;

        sum += p_all[i] * apart * apart;
    }
    alpha = in_best / (double)n_top;
    beta = in_all / (double)trials->n;
    return alpha * alpha / beta * sum;
}

void
assay_ped_anova(const struct assay_analysis_trials *trials, struct assay_importance *ret_importance)
{
    assay_auto_free bool *top = assay_zalloc(trials->n + 1, sizeof *top);
    assay_auto_free double *raw = assay_zalloc(trials->space->n_parameters + 1, sizeof *raw);
    size_t n_top;

    assay_importance_init(ret_importance, trials);
    if (!mark_top(trials, top, ret_importance))
        return;
    n_top = count_true(top, trials->n);
    /* The factor (share of the best)^2 of the paper is the same for all and drops out. */
    for (size_t i = 0; i < trials->space->n_parameters; i++)
        raw[i] = divergence(trials, i, top, n_top);
    if (assay_importance_set(ret_importance, raw) && trials->n < trials->n_seen)
        snprintf(ret_importance->message, sizeof ret_importance->message,
                 "From a sample of %zu of the %zu ended trials.", trials->n, trials->n_seen);
}
