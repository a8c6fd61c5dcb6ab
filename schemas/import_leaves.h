/* Parameters within groups of parameters, as W&B's sweeps and Determined's experiments have
 * them.  Other rooms do not include this. */
#ifndef ASSAY_SCHEMAS_IMPORT_LEAVES_H
#define ASSAY_SCHEMAS_IMPORT_LEAVES_H

#include "schemas/import_translation.h"

/* Called with each parameter: "group.name", what it says and where. */
typedef void (*assay_leaf_fn)(struct assay_translation *t, const char *name, const json_t *value,
                              const char *pointer, void *arg);
/* The members of a group, or NULL for what is a parameter itself; appends to the pointer what
 * leads to them. */
typedef const json_t *(*assay_group_fn)(const json_t *value, const char **ret_key);

/* Calls `leaf` for every parameter in the object, groups unfolded. */
void assay__each_leaf(struct assay_translation *t, const json_t *group, const char *pointer,
                      assay_group_fn is_group, assay_leaf_fn leaf, void *arg);

/* Appends a parameter and says where it comes from; steals it. */
void assay__add_parameter(struct assay_translation *t, json_t *parameter, const char *pointer);
/* {"name","type": "double" or "int","min","max"}; int rounds inwards.  New reference. */
json_t *assay__range(const char *name, bool whole, double min, double max);
/* A list: discrete when they are different numbers, or else categorical.  Lists and objects in
 * it become a fault.  New reference. */
json_t *assay__choices(struct assay_translation *t, const char *name, const json_t *values,
                       const char *pointer);

#endif
