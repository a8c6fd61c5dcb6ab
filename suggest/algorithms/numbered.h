/* What an algorithm keeps of each ended trial, in the order of the trials' numbers: for those
 * whose state is a fold over it.  A late trial goes to its place, and the caller takes the fold
 * back to before.
 *
 * Items are the caller's: pointers to structures whose first member is the number, an int64_t.  One thread at
 * a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_NUMBERED_H
#define ASSAY_SUGGEST_ALGORITHMS_NUMBERED_H

#include "common/base.h"

/* Zeroed: empty. */
struct assay_numbered {
    void **items;
    size_t n, capacity;
};

void assay_numbered_done(struct assay_numbered *list); /* the items are the caller's to free */

/* The place of the first item whose number is not below. */
size_t assay_numbered_place(const struct assay_numbered *list, int64_t number);

/* Puts the item in its place, where no other has its number; returns the place. */
size_t assay_numbered_insert(struct assay_numbered *list, void *item);

/* Takes the item of a number out and hands it over; NULL: there is none. */
void *assay_numbered_take(struct assay_numbered *list, int64_t number, size_t *ret_place);

#endif
