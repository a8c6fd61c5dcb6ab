#include "schemas/metric_book.h"

#include <uthash.h>

#include "common/memory.h"
#include "common/number.h"

struct metric {
    char *name;
    UT_hash_handle hh;
    bool seen;
    int64_t next_step;
    double last;
};

struct assay_metric_book {
    struct metric *metrics;
    struct metric **objectives;
    size_t n_objectives;
    size_t n_others; /* names nobody declared */
};

static struct metric *
add_metric(struct assay_metric_book *book, const char *name)
{
    struct metric *metric = ASSAY_NEW(struct metric);

    metric->name = assay_strdup(name);
    metric->next_step = 1;
    HASH_ADD_KEYPTR(hh, book->metrics, metric->name, strlen(metric->name), metric);
    return metric;
}

static struct metric *
find_metric(const struct assay_metric_book *book, const char *name)
{
    struct metric *metric;

    HASH_FIND_STR(book->metrics, name, metric);
    return metric;
}

struct assay_metric_book *
assay_metric_book_new(const char *const *names, size_t n_names, size_t n_objectives)
{
    struct assay_metric_book *book = ASSAY_NEW(struct assay_metric_book);

    ASSAY_ASSERT(n_objectives <= n_names);
    book->objectives = assay_zalloc(n_objectives + 1, sizeof(struct metric *));
    for (size_t i = 0; i < n_names; i++) {
        struct metric *metric = find_metric(book, names[i]);

        if (metric == NULL)
            metric = add_metric(book, names[i]);
        if (i < n_objectives)
            book->objectives[book->n_objectives++] = metric;
    }
    return book;
}

struct assay_metric_book *
assay_metric_book_free(struct assay_metric_book *book)
{
    struct metric *metric, *next;

    if (book == NULL)
        return NULL;
    HASH_ITER(hh, book->metrics, metric, next)
    {
        HASH_DEL(book->metrics, metric);
        free(metric->name);
        free(metric);
    }
    free(book->objectives);
    free(book);
    return NULL;
}

/* UTF-8 without control characters. */
static bool
is_printable(const char *text)
{
    json_t *json = json_string(text);
    bool fine = json != NULL;

    json_decref(json);
    for (const char *p = text; *p != '\0'; p++)
        fine = fine && (unsigned char)*p >= 0x20 && *p != 0x7f;
    return fine;
}

const char *
assay_metric_book_enter(struct assay_metric_book *book, const char *name, int64_t step,
                        double value, int64_t *ret_step)
{
    struct metric *metric = find_metric(book, name);

    if (metric == NULL) {
        if (book->n_others >= ASSAY_METRIC_BOOK_NAMES_MAX || !is_printable(name))
            return NULL;
        metric = add_metric(book, name);
        book->n_others++;
    }
    if (step < 0)
        step = metric->next_step;
    metric->next_step = ASSAY_MAX(metric->next_step, step + 1);
    metric->last = value;
    metric->seen = true;
    *ret_step = step;
    return metric->name;
}

void
assay_metric_book_restart(struct assay_metric_book *book)
{
    struct metric *metric, *next;

    HASH_ITER(hh, book->metrics, metric, next)
    {
        metric->seen = false;
        metric->next_step = 1;
    }
}

bool
assay_metric_book_has_objectives(const struct assay_metric_book *book)
{
    for (size_t i = 0; i < book->n_objectives; i++) {
        if (!book->objectives[i]->seen)
            return false;
    }
    return true;
}

json_t *
assay_metric_book_last(const struct assay_metric_book *book)
{
    json_t *last = json_object();

    for (const struct metric *m = book->metrics; m != NULL; m = m->hh.next) {
        if (m->seen)
            json_object_set_new(last, m->name, assay_json_real(m->last));
    }
    return last;
}
