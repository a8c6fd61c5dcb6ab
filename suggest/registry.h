/* The algorithms and stopping rules that this process knows: the built-in ones and
 * those of loaded plugins.
 *
 * One list for the process.  Load plugins before threads start; after that it is
 * only read and any thread may. */
#ifndef ASSAY_SUGGEST_REGISTRY_H
#define ASSAY_SUGGEST_REGISTRY_H

#include <jansson.h>

#include "schemas/study.h"
#include "suggest/plugin.h"

/* NULL when there is none of the name. */
const struct assay_plugin_algorithm *assay_registry_algorithm(const char *name);
const struct assay_plugin_rule *assay_registry_rule(const char *name);

/* All of them, by index from 0; NULL past the end. */
const struct assay_plugin_algorithm *assay_registry_algorithm_at(size_t i);
const struct assay_plugin_rule *assay_registry_rule_at(size_t i);

/* The plugin that brought the algorithm or rule; NULL: it is built in, or there is
 * none of the name. */
const struct assay_plugin *assay_registry_plugin_of(const char *algorithm);
const struct assay_plugin *assay_registry_plugin_of_rule(const char *rule);
/* Whether the algorithm's own code is not Assay's: of a plugin, remote, or unknown. */
bool assay_registry_is_foreign(const char *algorithm);

/* [{"name","description","settings_schema","capabilities":[...],"origin"}], as the
 * HTTP contract lists them.  `origin`: {"kind": "built_in"} or {"kind": "plugin",
 * "name", "version"}.  New references. */
json_t *assay_registry_algorithms_encode(void);
json_t *assay_registry_rules_encode(void);

/* For assay_study_decode: unknown names, settings that do not fit, studies that the
 * algorithm can not serve. */
const struct assay_study_checks *assay_registry_checks(void);

/* Adds an algorithm of Assay's own that is not always there.  Before threads start. */
void assay_registry_add(const struct assay_plugin_algorithm *algorithm);

/* A process that must not run a plugin's algorithms has their `check` asked elsewhere:
 * `ask` gets a study file with all that the slot looks at, and answers with a
 * sentence (the caller frees it) when the study can not be served, else NULL.  It is
 * called on the thread that checks a study.  Set it before threads start. */
typedef char *assay_registry_ask(void *arg, const json_t *study);
void assay_registry_set_apart(assay_registry_ask *ask, void *arg);

/* Loads a shared object.  `path` must be absolute and name a regular file that
 * belongs to root or to this user and that nobody else can write.  ASSAY_E_PLUGIN
 * with a sentence when it does not fit; then nothing of it is kept. */
ASSAY_MUST_CHECK assay_status assay_registry_load(const char *path, struct assay_error *err);

#endif
