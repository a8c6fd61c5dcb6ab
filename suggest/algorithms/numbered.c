#include "suggest/algorithms/numbered.h"

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

static int64_t
number_of(const void *item)
{
    return *(const int64_t *)item;
}

void
assay_numbered_done(struct assay_numbered *list)
{
    free(list->items);
    *list = (struct assay_numbered){0};
}

size_t
assay_numbered_place(const struct assay_numbered *list, int64_t number)
{
    size_t low = 0, high = list->n;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (number_of(list->items[middle]) < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t
assay_numbered_insert(struct assay_numbered *list, void *item)
{
    size_t at = assay_numbered_place(list, number_of(item));

    ASSAY_GROW(list->items, list->n, list->capacity);
    memmove(&list->items[at + 1], &list->items[at], (list->n - at) * sizeof *list->items);
    list->items[at] = item;
    list->n++;
    return at;
}

void *
assay_numbered_take(struct assay_numbered *list, int64_t number, size_t *ret_place)
{
    size_t at = assay_numbered_place(list, number);
    void *item;

    if (at == list->n || number_of(list->items[at]) != number)
        return NULL;
    item = list->items[at];
    memmove(&list->items[at], &list->items[at + 1], (--list->n - at) * sizeof *list->items);
    *ret_place = at;
    return item;
}
