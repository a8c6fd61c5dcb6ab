/* Judges reports by a stopping rule, as the daemon does: for bench/stopping.
 *
 * Lines on standard input; S numbers the studies that are open at once:
 *   o S JSON                open study S of this study file; answers "ok", or "error" and a
 *                           sentence
 *   p S NUMBER VALUE ...    the trial starts: its point, a number per parameter
 *   r S NUMBER STEP VALUE   a report; answers "1" (stop) or "0"
 *   e S NUMBER STOPPED      the trial has ended
 *   c S                     close the study
 *   t                       answers the nanoseconds of all reports: mean, p50, p99, greatest
 *   .                       flush what was answered
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/json.h"
#include "common/memory.h"
#include "common/number.h"
#include "schemas/study.h"
#include "suggest/registry.h"
#include "suggest/stopping.h"

#define STUDIES_MAX 1024
#define PARAMETERS_MAX 256
#define BINS 4096 /* of nanoseconds, logarithmic: 128 to a doubling */

static struct assay_stopping *studies[STUDIES_MAX];
static size_t n_parameters[STUDIES_MAX];
static uint64_t bins[BINS], timed;
static double total_ns, greatest_ns;

static double
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e9 * (double)now.tv_sec + (double)now.tv_nsec;
}

static void
count_time(double ns)
{
    double bin = 128.0 * log2(fmax(ns, 1.0));

    bins[bin < BINS - 1 ? (size_t)bin : BINS - 1]++;
    timed++;
    total_ns += ns;
    greatest_ns = fmax(greatest_ns, ns);
}

static double
time_quantile(double share)
{
    uint64_t seen = 0;
    size_t bin = 0;

    while (bin < BINS - 1 && (double)(seen += bins[bin]) < share * (double)timed)
        bin++;
    return exp2((double)(bin + 1) / 128.0);
}

static void
open_study(size_t s, const char *text)
{
    struct assay_faults faults = {0};
    struct assay_error err = {0};
    struct assay_study_spec *spec;
    json_t *file = json_loads(text, 0, NULL);

    spec = assay_study_decode(file, NULL, assay_registry_checks(), &faults);
    if (spec == NULL)
        printf("error %s: %s\n", faults.items[0].pointer, faults.items[0].message);
    else if (assay_stopping_new(spec, &studies[s], &err) != ASSAY_OK)
        printf("error %s\n", err.message);
    else
        printf("ok\n");
    n_parameters[s] = spec != NULL ? spec->space->n_parameters : 0;
    assay_study_free(spec);
    assay_faults_done(&faults);
    json_decref(file);
}

static void
begin(size_t s, const char *rest)
{
    double point[PARAMETERS_MAX];
    size_t n = 0;
    char *end;
    int64_t number = strtoll(rest, &end, 10);

    for (const char *at = end; n < PARAMETERS_MAX; at = end) {
        double value = strtod(at, &end);

        if (end == at)
            break;
        point[n++] = value;
    }
    if (n == n_parameters[s])
        assay_stopping_start(studies[s], number, point);
}

static void
judge(size_t s, const char *rest)
{
    struct assay_decision decision;
    char *end;
    int64_t number = strtoll(rest, &end, 10), step = strtoll(end, &end, 10);
    double value = strtod(end, NULL), start = now_ns();

    assay_stopping_report(studies[s], number, step, value, &decision);
    count_time(now_ns() - start);
    puts(decision.stop ? "1" : "0");
}

static void
finish(size_t s, const char *rest)
{
    char *end;
    int64_t number = strtoll(rest, &end, 10);

    assay_stopping_finish(studies[s], number,
                          strtol(end, NULL, 10) != 0 ? ASSAY_TRIAL_STOPPED : ASSAY_TRIAL_SUCCEEDED);
}

int
main(void)
{
    static char line[1 << 16];

    while (fgets(line, sizeof line, stdin) != NULL) {
        char *rest = line + 1;
        size_t s = line[0] == 't' || line[0] == '.' ? 0 : (size_t)strtoull(rest, &rest, 10);

        if (s >= STUDIES_MAX || (strchr("prec", line[0]) != NULL && studies[s] == NULL))
            return 2;
        switch (line[0]) {
        case 'o':
            open_study(s, rest);
            break;
        case 'p':
            begin(s, rest);
            break;
        case 'r':
            judge(s, rest);
            break;
        case 'e':
            finish(s, rest);
            break;
        case 'c':
            studies[s] = assay_stopping_free(studies[s]);
            break;
        case 't':
            printf("%.0f %.0f %.0f %.0f\n", total_ns / (double)ASSAY_MAX(timed, (uint64_t)1),
                   time_quantile(0.5), time_quantile(0.99), greatest_ns);
            break;
        case '.':
            fflush(stdout);
            break;
        default:
            return 2;
        }
    }
    return 0;
}
