/* Compiler attributes, assertions and the few macros every room uses.
 *
 * Not for: anything that allocates, prints or knows the domain. */
#ifndef ASSAY_COMMON_BASE_H
#define ASSAY_COMMON_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ASSAY_MUST_CHECK __attribute__((warn_unused_result))
#define ASSAY_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ASSAY_NORETURN __attribute__((noreturn))
#define ASSAY_UNUSED __attribute__((unused))
#define ASSAY_CLEANUP(fn) __attribute__((cleanup(fn)))

#define ASSAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ASSAY_MIN(a, b) ((a) < (b) ? (a) : (b))
#define ASSAY_MAX(a, b) ((a) > (b) ? (a) : (b))

/* Whether a sanitizer's work is in what runs: 0 or 1. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define ASSAY_SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ASSAY_SANITIZED 1
#endif
#endif
#ifndef ASSAY_SANITIZED
#define ASSAY_SANITIZED 0
#endif

/* Kept in release builds: an invariant that does not hold is our bug, and with
 * PostgreSQL as the only state an abort costs a restart, never data. */
#define ASSAY_ASSERT(cond) \
    ((cond) ? (void)0 : assay_assert_failed(#cond, __FILE__, __LINE__, __func__))

/* A place that can not be reached. */
#define ASSAY_BUG(what) assay_assert_failed(what, __FILE__, __LINE__, __func__)

ASSAY_NORETURN void assay_assert_failed(const char *what, const char *file, int line,
                                        const char *function);

#endif
