/* Settings of algorithms and rules against the JSON Schema that their plugin
 * declares.
 *
 * The part of JSON Schema understood, and nothing else: an object with
 * `properties` and `additionalProperties: false`; each property has a `type`
 * (number, integer, string, boolean, object: of any members) and may have `minimum`, `maximum`, `enum`,
 * `default`, `title` and `description`.  A setting without a default may be left
 * out all the same. */
#ifndef ASSAY_SUGGEST_SETTINGS_H
#define ASSAY_SUGGEST_SETTINGS_H

#include <jansson.h>

#include "common/error.h"

/* Whether `schema` keeps to that part, with defaults that fit: ASSAY_E_PLUGIN and
 * a sentence if not. */
ASSAY_MUST_CHECK assay_status assay_settings_check_schema(const json_t *schema,
                                                          struct assay_error *err);

/* Adds a fault below `pointer` for everything in `settings` that does not fit. */
void assay_settings_check(const json_t *schema, const json_t *settings, const char *pointer,
                          struct assay_faults *faults);

/* The settings with the defaults of those left out.  New reference. */
json_t *assay_settings_fill(const json_t *schema, const json_t *settings);

#endif
