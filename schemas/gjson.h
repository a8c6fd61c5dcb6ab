/* Conditions on an object, in the subset of GJSON's path syntax that conditions on jobs are
 * written in:
 *
 *   status.conditions.#(type=="Complete")#|#(status=="True")#
 *
 *   a.b       member; "*" and "?" match any name; "\" takes the next character as it is
 *   a.2       element of an array
 *   a.#       its length;  a.#.b  the member b of every element
 *   a.#(q)    the first element for which q holds;  a.#(q)#  all of them, an array
 *   |         like ".", but after # and #(q)# for the array itself, not for its elements
 *   [a,b]     an array of the values that exist
 *   @this     the value itself;  @flatten  the elements of the arrays in it
 *
 * q is a path (or nothing: the element itself), and perhaps == != < <= > >= % !% (% matches
 * a text with * and ?) with a text, a number, true, false, null, or ~true, ~false, ~null, ~*.
 * A path alone holds where it exists.  Other modifiers, {…} and ! are refused.
 *
 * Pure; immutable once made. */
#ifndef ASSAY_SCHEMAS_GJSON_H
#define ASSAY_SCHEMAS_GJSON_H

#include <jansson.h>

#include "common/error.h"

#define ASSAY_GJSON_BYTES_MAX 4096

struct assay_gjson;

/* ASSAY_E_INVALID_VALUE with a sentence that says where. */
ASSAY_MUST_CHECK assay_status assay_gjson_new(const char *path, struct assay_gjson **ret_gjson,
                                              struct assay_error *err);
struct assay_gjson *assay_gjson_free(struct assay_gjson *gjson); /* NULL allowed; returns NULL */

/* What is there.  New reference; NULL: it does not exist. */
json_t *assay_gjson_get(const struct assay_gjson *gjson, const json_t *json);

/* Whether it is there and is something: no null, false, 0, empty text, array or object. */
bool assay_gjson_holds(const struct assay_gjson *gjson, const json_t *json);

#endif
