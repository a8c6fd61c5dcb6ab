#include "cli/why.h"

#include <inttypes.h>
#include <math.h>

#include "cli/cli.h"
#include "cli/text.h"
#include "common/json.h"
#include "common/memory.h"

/* What is said in words; everything else is listed. */
static const char *const spoken[] = {
    "proposed_by", "algorithm", "regime",     "share",       "phase",       "point",
    "reason",      "predicted", "incumbent",  "pending",     "good",        "bad",
    "candidates",  "place",     "of",         "source",      "stop",        "forecast",
    "index",       "drawn_from", "log_ratio", "generation",  "acquisition", "learned_from"};
/* With `generation` only. */
static const char *const of_generation[] = {"run", "population", "sigma"};

static bool
is_among(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

static bool
is_spoken(const json_t *why, const char *name)
{
    return is_among(name, spoken, ASSAY_COUNT(spoken)) ||
           (is_among(name, of_generation, ASSAY_COUNT(of_generation)) &&
            json_object_get(why, "generation") != NULL);
}

static bool
is(const json_t *object, const char *key, const char *word)
{
    return strcmp(assay_member_text(object, key), word) == 0;
}

static void
add_proposer(const json_t *why, struct assay_buffer *text)
{
    assay_auto_free char *by = assay_text_clean(assay_member_text(why, "proposed_by"));
    assay_auto_free char *source = assay_text_clean(assay_member_text(why, "source"));

    if (strcmp(by, "start_with") == 0)
        assay_buffer_puts(text, "  listed in start_with of the study file, tried first");
    else if (strcmp(by, "user") == 0)
        assay_buffer_puts(text, "  queued by a user");
    else if (strcmp(by, "import") == 0)
        assay_buffer_puts(text, "  imported as a finished trial");
    else if (strcmp(by, "warm_start") == 0)
        assay_buffer_printf(text, "  warm start: it did well in the earlier study %s", source);
    else if (by[0] == '\0')
        assay_buffer_puts(text, "  the trial does not say what proposed it");
    else
        assay_buffer_printf(text, "  proposed by %s", by);
    if (assay_member_text(why, "algorithm")[0] != '\0' && !is(why, "algorithm", by)) {
        assay_auto_free char *regime = assay_text_clean(assay_member_text(why, "regime"));
        assay_auto_free char *portfolio = assay_text_clean(assay_member_text(why, "algorithm"));

        assay_buffer_printf(text, ", which %s picked", portfolio);
        if (regime[0] != '\0' && strcmp(regime, "start") != 0)
            assay_buffer_printf(text, " (%s: %.0f %% of the asks are its)", regime,
                                100.0 * assay_member_number(why, "share"));
    }
    assay_buffer_puts(text, "\n");
}

static void
add_kind(const json_t *why, struct assay_buffer *text)
{
    const char *phase = assay_member_text(why, "phase");
    const char *point = assay_member_text(why, "point");
    assay_auto_free char *reason = assay_text_clean(assay_member_text(why, "reason"));
    bool start = strcmp(phase, "start") == 0 || strcmp(phase, "startup") == 0;

    if (strcmp(point, "centre") == 0)
        assay_buffer_puts(text, "  initial design: the middle of the space\n");
    else if (strcmp(point, "random") == 0 || strcmp(phase, "random") == 0)
        assay_buffer_puts(text, "  a random point\n");
    else if (start || strcmp(point, "sequence") == 0)
        assay_buffer_puts(text, "  initial design: a point of an even spread over the space\n");
    else if (strcmp(phase, "spread") == 0)
        assay_buffer_puts(text, "  a point of an even spread: more were asked for at once than "
                                "the model tells apart\n");
    else if (phase[0] != '\0' && strcmp(phase, "model") != 0)
        assay_buffer_printf(text, "  phase: %s\n", phase);
    if (json_object_get(why, "place") != NULL && json_object_get(why, "of") != NULL)
        assay_buffer_printf(text, "  point %" PRId64 " of the grid's %" PRId64 "\n",
                            assay_member_int(why, "place"), assay_member_int(why, "of"));
    if (reason[0] != '\0')
        assay_buffer_printf(text, "  because %s\n", reason);
}

/* What was expected against what came; of a stopped trial, what would have come. */
static void
add_prediction(const json_t *trial, const json_t *predicted, const struct assay_why_study *study,
               struct assay_buffer *text)
{
    double mean = assay_member_number(predicted, "mean"), sd = assay_member_number(predicted, "sd");
    const json_t *forecast = json_object_get(json_object_get(trial, "why"), "forecast");
    double value = assay_member_number(forecast != NULL ? forecast : trial, "value");
    assay_auto_free char *metric =
        assay_text_clean(study->metric != NULL ? study->metric : "the value");
    assay_auto_free char *mean_text = assay_text_number(mean);
    assay_auto_free char *sd_text = assay_text_number(sd);
    double better = (mean - value) / sd * (study->maximize ? -1.0 : 1.0);

    if (!isfinite(mean) || !isfinite(sd))
        return;
    assay_buffer_printf(text, "  expected %s %s %s %s", metric, mean_text,
                        study->unicode ? "±" : "+-", sd_text);
    if (isfinite(value) && study->metric != NULL) {
        assay_auto_free char *value_text = assay_text_number(value);

        assay_buffer_printf(text, forecast != NULL ? "; going on, about %s" : "; measured %s",
                            value_text);
        if (isfinite(better) && fabs(better) < 0.05)
            assay_buffer_puts(text, ", as expected");
        else if (isfinite(better))
            assay_buffer_printf(text, ", %.1f standard deviations %s", fabs(better),
                                better > 0.0 ? "better" : "worse");
    }
    assay_buffer_puts(text, "\n");
}

/* "log_expected_improvement" for people. */
static char *
blanks(const char *name)
{
    char *words = assay_text_clean(name);

    for (char *p = words; *p != '\0'; p++) {
        if (*p == '_')
            *p = ' ';
    }
    return words;
}

static void
add_model(const json_t *trial, const json_t *why, const struct assay_why_study *study,
          struct assay_buffer *text)
{
    const json_t *acquisition = json_object_get(why, "acquisition");
    const json_t *incumbent = json_object_get(why, "incumbent");

    add_prediction(trial, json_object_get(why, "predicted"), study, text);
    if (json_is_object(acquisition)) {
        assay_auto_free char *name = blanks(assay_member_text(acquisition, "name"));
        assay_auto_free char *value = assay_text_value(json_object_get(acquisition, "value"));

        assay_buffer_printf(text, "  acquisition: %s, %s here\n", name, value);
    }
    if (json_is_object(incumbent)) {
        assay_auto_free char *value = assay_text_value(json_object_get(incumbent, "value"));

        assay_buffer_printf(text, "  the best then was trial %" PRId64 " with %s\n",
                            assay_member_int(incumbent, "number"), value);
    }
    if (json_object_get(why, "learned_from") != NULL) {
        int64_t pending = assay_member_int(why, "pending");

        assay_buffer_printf(text, "  learned from %" PRId64 " trials",
                            assay_member_int(why, "learned_from"));
        if (pending > 0)
            assay_buffer_printf(text, ", with %" PRId64 " more under way", pending);
        assay_buffer_puts(text, "\n");
    }
    if (json_object_get(why, "good") != NULL && json_object_get(why, "bad") != NULL)
        assay_buffer_printf(text,
                            "  the likeliest of %" PRId64 " candidates to be like the %" PRId64
                            " good trials and unlike the %" PRId64 " others\n",
                            assay_member_int(why, "candidates"), assay_member_int(why, "good"),
                            assay_member_int(why, "bad"));
    if (json_object_get(why, "generation") != NULL) {
        assay_auto_free char *sigma = assay_text_value(json_object_get(why, "sigma"));

        assay_buffer_printf(text, "  generation %" PRId64, assay_member_int(why, "generation"));
        if (json_object_get(why, "run") != NULL)
            assay_buffer_printf(text, " of run %" PRId64, assay_member_int(why, "run"));
        if (json_object_get(why, "population") != NULL)
            assay_buffer_printf(text, ", %" PRId64 " to a generation",
                                assay_member_int(why, "population"));
        if (json_object_get(why, "sigma") != NULL)
            assay_buffer_printf(text, ", step size %s", sigma);
        assay_buffer_puts(text, "\n");
    }
}

void
assay_why_text(const json_t *trial, const struct assay_why_study *study, struct assay_buffer *text)
{
    const json_t *why = json_object_get(trial, "why");
    const char *name;
    json_t *value;

    add_proposer(why, text);
    add_kind(why, text);
    add_model(trial, why, study, text);
    assay_json_each(why, name, value)
    {
        assay_auto_free char *label = blanks(name);
        assay_auto_free char *shown = assay_text_value(value);

        if (!is_spoken(why, name) && !json_is_null(value))
            assay_buffer_printf(text, "  %s: %s\n", label, shown);
    }
}
