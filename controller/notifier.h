/* Tells waiting requests that a study has changed.  It wakes and says nothing
 * more: the reader looks at the store again.  Any thread; callbacks must not
 * block and may start a new wait. */
#ifndef ASSAY_CONTROLLER_NOTIFIER_H
#define ASSAY_CONTROLLER_NOTIFIER_H

#include "common/base.h"

struct assay_notifier;
struct assay_notifier_wait;

/* The study id under which every change of any study is told. */
#define ASSAY_NOTIFIER_ANY INT64_C(0)

struct assay_notifier *assay_notifier_new(void);
/* Wakes everyone first. */
struct assay_notifier *assay_notifier_free(struct assay_notifier *notifier);

/* A commit has changed the study. */
void assay_notifier_signal(struct assay_notifier *notifier, int64_t study_id);

/* Count of changes so far; read it before reading the store, so that no change
 * between the two is missed. */
uint64_t assay_notifier_version(struct assay_notifier *notifier, int64_t study_id);

/* Calls `fn` once: as soon as the count differs from `version` (perhaps at once,
 * in this call), or when `timeout_us` has passed.  The handle is valid until fn
 * has been called; NULL when it was called already. */
struct assay_notifier_wait *assay_notifier_wait(struct assay_notifier *notifier, int64_t study_id,
                                                uint64_t version, int64_t timeout_us,
                                                void (*fn)(void *arg, bool changed), void *arg);
/* Gives the wait up; true when fn will not be called any more, false when it was
 * or is being called. */
bool assay_notifier_cancel(struct assay_notifier *notifier, struct assay_notifier_wait *wait);
/* Ends every wait now, as if all had changed: for a server that stops. */
void assay_notifier_wake_all(struct assay_notifier *notifier);
/* Waits under way. */
size_t assay_notifier_waiting(struct assay_notifier *notifier);

#endif
