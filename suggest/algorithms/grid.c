/* Grid search: every cell of a lattice once, in order or shuffled.
 *
 * Nothing is stored per cell.  What has been tried is read from the history, so
 * points that a user queued are not run again, and the next cell is the first
 * untried one.  Numbers below the asked one that have not been told yet were
 * handed out and are on their way; each of them has taken one of the first
 * untried cells, so that many are passed over.
 *
 * The shuffled order is a Feistel permutation of the cell numbers by cycle walking
 * (J. Black and P. Rogaway, "Ciphers with arbitrary finite domains", 2002). */
#include <stdlib.h>

#include "common/memory.h"
#include "suggest/algorithms/base.h"
#include "suggest/lattice.h"

#define CELLS_MAX UINT64_C(1000000000)
#define ROUNDS 6
/* Untold numbers beyond this are taken for numbers that will never be told. */
#define MISSING_MAX 1000

struct grid {
    struct assay_algorithm_base base; /* first */
    struct assay_lattice *lattice;
    bool shuffled;
    uint64_t keys[ROUNDS];
    unsigned half_bits;
    uint64_t first; /* every place before it has been tried: a cache, see grid_update */
};

static const char settings_schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
    "\"points_per_range\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 1000, \"default\": "
    "5,"
    " \"description\": \"Number of values taken from a double without a step, evenly on its scale"
    " with both ends, and from a longer int range on a logarithmic scale.\"},"
    "\"order\": {\"type\": \"string\", \"enum\": [\"sequential\", \"shuffled\"],"
    " \"default\": \"sequential\", \"description\": \"Order of the cells; shuffled is a permutation"
    " that depends on the study's seed.\"},"
    "\"partial\": {\"type\": \"boolean\", \"default\": false, \"description\": \"Whether"
    " limits.trials may end the study before every cell has been tried.\"}}}";

static uint64_t
permute_once(const struct grid *grid, uint64_t place)
{
    uint64_t mask = (UINT64_C(1) << grid->half_bits) - 1;
    uint64_t left = place >> grid->half_bits, right = place & mask;

    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t next = (right ^ grid->keys[round]) * UINT64_C(0xBF58476D1CE4E5B9);

        next = (next ^ next >> 29) * UINT64_C(0x94D049BB133111EB);
        next = (left ^ next >> 32) & mask;
        left = right;
        right = next;
    }
    return left << grid->half_bits | right;
}

/* The cell that stands at a place of the order. */
static void
cell_at(const struct grid *grid, uint64_t place, double *ret_point)
{
    if (grid->shuffled) {
        do
            place = permute_once(grid, place);
        while (place >= assay_lattice_count(grid->lattice));
    }
    assay_lattice_at(grid->lattice, place, ret_point);
}

static struct assay_lattice *
make_lattice(const struct assay_plugin_study *study, const json_t *settings)
{
    json_int_t points = json_integer_value(json_object_get(settings, "points_per_range"));

    return assay_lattice_new(study->space, points > 0 ? (uint64_t)points : 5);
}

static int32_t
check_size(const struct assay_lattice *lattice, char *error, uint64_t error_size)
{
    uint64_t cells = assay_lattice_count(lattice);

    if (cells > 0 && cells <= CELLS_MAX)
        return ASSAY_PLUGIN_OK;
    if (cells == 0)
        snprintf(error, error_size,
                 "the grid has too many points to count; give coarser steps or fewer values");
    else
        snprintf(error, error_size,
                 "the grid has %llu points, more than %llu; give coarser steps or fewer values",
                 (unsigned long long)cells, (unsigned long long)CELLS_MAX);
    return ASSAY_PLUGIN_ERROR;
}

static int32_t
grid_check(const struct assay_plugin_study *study, char *error, uint64_t error_size)
{
    json_t *settings = assay_algorithm_settings(study);
    struct assay_lattice *lattice = make_lattice(study, settings);
    int32_t result = check_size(lattice, error, error_size);

    assay_lattice_free(lattice);
    json_decref(settings);
    return result;
}

static void
grid_destroy(void *instance)
{
    struct grid *grid = instance;

    assay_algorithm_base_done(&grid->base);
    grid->lattice = assay_lattice_free(grid->lattice);
    free(grid);
}

static int32_t
grid_create(const struct assay_plugin_study *study, void **ret_instance, char *error,
            uint64_t error_size)
{
    json_t *settings = assay_algorithm_settings(study);
    const char *order = json_string_value(json_object_get(settings, "order"));
    struct grid *grid = ASSAY_NEW(struct grid);
    struct assay_random random;

    assay_algorithm_base_init(&grid->base, study);
    grid->lattice = make_lattice(study, settings);
    grid->shuffled = order != NULL && strcmp(order, "shuffled") == 0;
    while (UINT64_C(1) << 2 * grid->half_bits < assay_lattice_count(grid->lattice))
        grid->half_bits++;
    assay_random_init(&random, study->seed, 0, ASSAY_PURPOSE_GRID_ORDER);
    for (unsigned round = 0; round < ROUNDS; round++)
        grid->keys[round] = assay_random_u64(&random);
    json_decref(settings);
    if (check_size(grid->lattice, error, error_size) != ASSAY_PLUGIN_OK) {
        grid_destroy(grid);
        return ASSAY_PLUGIN_ERROR;
    }
    *ret_instance = grid;
    return ASSAY_PLUGIN_OK;
}

static int32_t
grid_update(void *instance, const struct assay_plugin_trial *const *trials, uint64_t n_trials,
            char *error, uint64_t error_size)
{
    struct grid *grid = instance;

    /* Told again with another point, a trial may give a cell back. */
    for (uint64_t i = 0; i < n_trials && grid->first > 0; i++) {
        const struct assay_history_trial *known =
            assay_history_find(grid->base.history, trials[i]->number);

        if (known != NULL && !assay_view_equal(grid->base.space, known->point, trials[i]->point))
            grid->first = 0;
    }
    return assay_algorithm_base_update(instance, trials, n_trials, error, error_size);
}

/* Numbers below numbers[i] that are neither told nor asked for in this call (those
 * that are `fresh`). */
static uint64_t
count_missing(const struct grid *grid, const int64_t *numbers, const bool *fresh, uint64_t n,
              uint64_t i)
{
    uint64_t below = (uint64_t)(numbers[i] - 1);
    uint64_t known = assay_history_count_before(grid->base.history, numbers[i]);

    for (uint64_t k = 0; k < n; k++)
        known += fresh[k] && numbers[k] < numbers[i];
    return ASSAY_MIN(below - ASSAY_MIN(known, below), (uint64_t)MISSING_MAX);
}

/* The untried cell at `from` or later that has `skip` others before it, counted
 * round where there are fewer. */
static bool
find_cell(struct grid *grid, uint64_t from, uint64_t skip, const struct assay_batch *batch,
          const struct assay_plugin_suggestion *suggestion, uint64_t *ret_place)
{
    uint64_t cells = assay_lattice_count(grid->lattice), found = 0;

    for (uint64_t place = from; place < cells; place++) {
        cell_at(grid, place, suggestion->point);
        if (place == grid->first && assay_history_tried(grid->base.history, suggestion->point)) {
            grid->first++;
            continue;
        }
        if (!assay_untried(grid->base.history, batch, grid->base.space, suggestion->point))
            continue;
        if (found++ == skip) {
            *ret_place = place;
            return true;
        }
    }
    return found > 0 && find_cell(grid, from, skip % found, batch, suggestion, ret_place);
}

static int32_t
grid_suggest(void *instance, const int64_t *numbers, uint64_t n,
             const struct assay_plugin_suggestion *const *suggestions, uint64_t *ret_count,
             char *error ASSAY_UNUSED, uint64_t error_size ASSAY_UNUSED)
{
    struct grid *grid = instance;
    assay_auto_free bool *fresh = assay_alloc(n + 1, sizeof *fresh);
    uint64_t place = 0, last_missing = UINT64_MAX;

    for (uint64_t i = 0; i < n; i++)
        fresh[i] = assay_history_find(grid->base.history, numbers[i]) == NULL;
    for (uint64_t i = 0; i < n; i++) {
        struct assay_batch batch = {.given = suggestions, .n_given = i};
        uint64_t missing = count_missing(grid, numbers, fresh, n, i);
        /* With as many missing as before, the cell asked for is the next one after. */
        bool found = missing == last_missing &&
                     find_cell(grid, place + 1, 0, &batch, suggestions[i], &place);

        if (!found && !find_cell(grid, grid->first, missing, &batch, suggestions[i], &place)) {
            *ret_count = i;
            return ASSAY_PLUGIN_EXHAUSTED;
        }
        last_missing = missing;
        snprintf(suggestions[i]->why, suggestions[i]->why_size,
                 "{\"proposed_by\": \"grid\", \"place\": %llu, \"of\": %llu}",
                 (unsigned long long)place + 1,
                 (unsigned long long)assay_lattice_count(grid->lattice));
    }
    *ret_count = n;
    return ASSAY_PLUGIN_OK;
}

const struct assay_plugin_algorithm assay_algorithm_grid = {
    .struct_size = sizeof assay_algorithm_grid,
    .name = "grid",
    .description =
        "Grid search: every combination once, children of a condition only where they are "
        "active; ends when all have been tried.",
    .caps = ASSAY_PLUGIN_CAP_CONDITIONS | ASSAY_PLUGIN_CAP_MULTI_OBJECTIVE |
            ASSAY_PLUGIN_CAP_CONSTRAINTS | ASSAY_PLUGIN_CAP_PARALLEL,
    .settings_schema = settings_schema,
    .check = grid_check,
    .create = grid_create,
    .update = grid_update,
    .suggest = grid_suggest,
    .destroy = grid_destroy,
};
