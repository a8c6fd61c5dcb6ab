#include "suggest/analysis/advice.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "common/number.h"

/* Fewer values than this tell nothing of their tail. */
#define VALUES_MIN 10
/* The best values whose distances tell how far the next one may be. */
#define TAIL_MIN 5
#define TAIL_MAX 40
/* Records count as if so many, as frequent as of equal draws, had been seen before. */
#define RECORDS_BEFORE 0.25
/* Predictions: how many outcomes set them right, how many are asked, how few suffice. */
#define PREDICTIONS_MAX 20
#define PREDICTIONS_LATEST 5
#define PREDICTIONS_MIN 5
/* What the records say counts as so many outcomes. */
#define PREDICTIONS_BEFORE 5.0
/* An improvement by less than this share of the spread is not worth ten trials. */
#define WORTH_SHARE 0.01

static const int ahead[ASSAY_ADVICE_AHEAD] = {10, 20, 50};

const char *
assay_advice_name(enum assay_advice_word word)
{
    static const char *const names[] = {"too_early", "go_on", "consider_stopping"};

    return names[word];
}

/* --- records */

struct records {
    size_t n;
    double rate;         /* new bests of the later half against equal draws */
    double shape, scale; /* of the improvement, given there is one */
};

/* Zhang and Stephens: the profile likelihood of theta = shape / scale, averaged. */
void
assay_advice_fit_tail(const double *excesses, size_t n, double *ret_shape, double *ret_scale)
{
    double
        largest = excesses[n - 1],
        quarter =
            excesses[(size_t)((double)n / 4.0 + 0.5) > 0 ? (size_t)((double)n / 4.0 + 0.5) - 1 : 0];
    double thetas[64], heights[64], theta = 0.0, whole = 0.0, shape = 0.0, mean = 0.0;
    size_t m = ASSAY_MIN(20 + (size_t)sqrt((double)n), ASSAY_COUNT(thetas));

    for (size_t i = 0; i < n; i++)
        mean += excesses[i] / (double)n;
    *ret_shape = 0.0;
    *ret_scale = mean;
    if (!(largest > 0.0) || n < TAIL_MIN)
        return;
    if (!(quarter > 0.0))
        quarter = mean / 4.0;
    for (size_t j = 0; j < m; j++) {
        double k = 0.0;

        thetas[j] = 1.0 / largest + (1.0 - sqrt((double)m / ((double)j + 0.5))) / 3.0 / quarter;
        for (size_t i = 0; i < n; i++)
            k -= log1p(-thetas[j] * excesses[i]) / (double)n;
        heights[j] = (double)n * (log(thetas[j] / k) + k - 1.0);
    }
    for (size_t j = 0; j < m; j++) {
        double weight = 0.0;

        for (size_t l = 0; l < m; l++)
            weight += exp(heights[l] - heights[j]);
        if (!isfinite(1.0 / weight) || !isfinite(thetas[j]))
            continue;
        theta += thetas[j] / weight;
        whole += 1.0 / weight;
    }
    theta /= whole;
    for (size_t i = 0; i < n; i++)
        shape += log1p(-theta * excesses[i]) / (double)n;
    /* With few values lean on what is usual: -0.5 counts as ten of them. */
    shape = (shape * (double)n - 0.5 * 10.0) / ((double)n + 10.0);
    if (!isfinite(shape) || shape > 0.0)
        return;
    *ret_shape = shape;
    /* theta > 0: there is an end, at 1 / theta past the threshold. */
    *ret_scale = theta > 0.0 ? -shape / theta : mean * (1.0 - shape);
}

static void
read_records(const double *values, const double *sorted, size_t n, struct records *ret_records)
{
    size_t half = n / 2, k = ASSAY_MIN(ASSAY_MAX(n / 4, (size_t)TAIL_MIN), (size_t)TAIL_MAX);
    double best = INFINITY, seen = RECORDS_BEFORE, expected = RECORDS_BEFORE, excesses[TAIL_MAX];

    for (size_t i = 0; i < n; i++) {
        if (i >= half)
            expected += 1.0 / (double)(i + 1);
        if (values[i] < best) {
            best = values[i];
            seen += i >= half;
        }
    }
    for (size_t i = 0; i < k; i++)
        excesses[k - 1 - i] = sorted[k] - sorted[i];
    *ret_records = (struct records){.n = n, .rate = seen / expected};
    assay_advice_fit_tail(excesses, k, &ret_records->shape, &ret_records->scale);
    /* From the threshold on to the best. */
    ret_records->scale = fmax(0.0, ret_records->scale + ret_records->shape * excesses[k - 1]);
}

static double
records_probability(const struct records *records, double draws)
{
    return 1.0 - pow((double)records->n / ((double)records->n + draws), records->rate);
}

/* The integral over s of the probability that the improvement is more than s, by the
 * share u of improvements that are. */
static double
records_improvement(const struct records *records, double draws)
{
    double expected = records->rate * log1p(draws / (double)records->n), sum = 0.0;
    const int pieces = 200;

    for (int i = 0; i < pieces; i++) {
        double root = ((double)i + 0.5) / pieces, u = root * root;

        sum += 2.0 * root / pieces * -expm1(-expected * u) * pow(u, -records->shape - 1.0);
    }
    return records->scale * sum;
}

/* --- predictions */

/* What trials turned out to be, in predicted standard deviations, laid around the latest
 * predictions: no shape is assumed, and what the model gets wrong each time comes out (the
 * idea of V. Vovk et al., "Nonparametric predictive distributions based on conformal
 * prediction", 2017).  No gain counts as more than `most`: far from the data a standard
 * deviation promises anything. */
struct predictions {
    size_t n;
    double improvement, probability;
};

static void
read_predictions(const struct assay_advice_trial *trials, size_t n, double best, double most,
                 struct predictions *ret_predictions)
{
    const struct assay_advice_trial *with[PREDICTIONS_MAX];
    struct predictions found = {0};
    size_t looked = 0, latest;

    for (size_t i = n; i > 0 && looked < PREDICTIONS_MAX; i--) {
        const struct assay_advice_trial *trial = &trials[i - 1];

        if (!isfinite(trial->value))
            continue;
        looked++;
        if (isfinite(trial->mean) && trial->sd > 0.0 && isfinite(trial->sd))
            with[found.n++] = trial;
    }
    latest = ASSAY_MIN(found.n, (size_t)PREDICTIONS_LATEST);
    for (size_t k = 0; k < latest; k++) {
        for (size_t i = 0; i < found.n; i++) {
            double apart = (with[i]->value - with[i]->mean) / with[i]->sd;
            double gain = best - (with[k]->mean + with[k]->sd * apart);

            if (!(gain > 0.0))
                continue;
            found.improvement += fmin(gain, most) / (double)(latest * found.n);
            found.probability += 1.0 / (double)(latest * found.n);
        }
    }
    *ret_predictions = found;
}

/* --- the answer */

/* Both the ten trials past and the ten to come are worth little. */
static void
decide(const double *values, struct assay_advice *advice)
{
    size_t before = advice->n_values - (size_t)ahead[0] / 2;
    double little = WORTH_SHARE * advice->spread, best = INFINITY;

    if (advice->n_values > 2 * (size_t)ahead[0])
        before = advice->n_values - (size_t)ahead[0];
    for (size_t i = 0; i < before; i++)
        best = fmin(best, values[i]);
    if (advice->best < best - little || advice->ahead[0].best < advice->best - little)
        advice->word = ASSAY_ADVICE_GO_ON;
    else
        advice->word = ASSAY_ADVICE_CONSIDER_STOPPING;
}

static size_t
take_values(const struct assay_advice_trial *trials, size_t n, double *values,
            struct assay_advice *advice)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        if (!isfinite(trials[i].value))
            continue;
        values[count++] = trials[i].value;
        advice->stagnation++;
        if (isnan(advice->best) || trials[i].value < advice->best) {
            advice->best = trials[i].value;
            advice->stagnation = 0;
        }
    }
    return count;
}

void
assay_advice_give(const struct assay_advice_trial *trials, size_t n,
                  struct assay_advice *ret_advice)
{
    assay_auto_free double *values = assay_alloc(n + 1, sizeof *values);
    assay_auto_free double *sorted = NULL;
    struct predictions predictions;
    struct records records;

    *ret_advice =
        (struct assay_advice){.best = NAN, .improvement = NAN, .probability = NAN, .spread = NAN};
    ret_advice->n_values = take_values(trials, n, values, ret_advice);
    if (ret_advice->n_values < VALUES_MIN)
        return;
    sorted = assay_memdup(values, ret_advice->n_values * sizeof *values);
    qsort(sorted, ret_advice->n_values, sizeof *sorted, assay_compare_doubles);
    ret_advice->spread = sorted[ret_advice->n_values / 2] - sorted[0];
    read_records(values, sorted, ret_advice->n_values, &records);
    read_predictions(trials, n, ret_advice->best, sorted[ret_advice->n_values / 4] - sorted[0],
                     &predictions);
    ret_advice->improvement = records_improvement(&records, 1.0);
    ret_advice->probability = records_probability(&records, 1.0);
    for (size_t i = 0; i < ASSAY_ADVICE_AHEAD; i++)
        ret_advice->ahead[i] = (struct assay_advice_ahead){
            .trials = ahead[i],
            .best = ret_advice->best - records_improvement(&records, ahead[i]),
            .probability = records_probability(&records, ahead[i]),
        };
    if (predictions.n >= PREDICTIONS_MIN) {
        double weight = (double)predictions.n / ((double)predictions.n + PREDICTIONS_BEFORE);

        ret_advice->by_model = true;
        ret_advice->improvement += weight * (predictions.improvement - ret_advice->improvement);
        ret_advice->probability += weight * (predictions.probability - ret_advice->probability);
    }
    decide(values, ret_advice);
}

void
assay_advice_of_fronts(const bool *entered, size_t n, struct assay_advice *ret_advice)
{
    struct records records = {.n = n};
    double seen = RECORDS_BEFORE, expected = RECORDS_BEFORE;

    *ret_advice = (struct assay_advice){
        .n_values = n, .best = NAN, .improvement = NAN, .probability = NAN, .spread = NAN};
    for (size_t i = 0; i < n; i++) {
        ret_advice->stagnation = entered[i] ? 0 : ret_advice->stagnation + 1;
        if (i >= n / 2) {
            expected += 1.0 / (double)(i + 1);
            seen += entered[i];
        }
    }
    if (n < VALUES_MIN)
        return;
    records.rate = seen / expected;
    ret_advice->probability = records_probability(&records, 1.0);
    for (size_t i = 0; i < ASSAY_ADVICE_AHEAD; i++)
        ret_advice->ahead[i] = (struct assay_advice_ahead){
            .trials = ahead[i],
            .best = NAN,
            .probability = records_probability(&records, ahead[i]),
        };
    ret_advice->word = ret_advice->ahead[0].probability < 0.1 ? ASSAY_ADVICE_CONSIDER_STOPPING
                                                              : ASSAY_ADVICE_GO_ON;
}
