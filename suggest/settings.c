#include "suggest/settings.h"

#include "common/buffer.h"
#include "common/memory.h"
#include "common/number.h"

static const char *const types[] = {"number", "integer", "string", "boolean", "object"};
static const char *const keywords[] = {"type",    "minimum", "maximum",    "enum",
                                       "default", "title",   "description"};

static bool
is_listed(const char *text, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text, list[i]) == 0)
            return true;
    }
    return false;
}

static bool
has_type(const json_t *value, const char *type)
{
    if (strcmp(type, "integer") == 0)
        return json_is_integer(value) ||
               (json_is_real(value) &&
                (double)(json_int_t)json_real_value(value) == json_real_value(value));
    if (strcmp(type, "number") == 0)
        return json_is_number(value);
    if (strcmp(type, "object") == 0)
        return json_is_object(value);
    return strcmp(type, "string") == 0 ? json_is_string(value) : json_is_boolean(value);
}

static bool
is_in_enum(const json_t *list, const json_t *value)
{
    size_t i;
    json_t *item;

    json_array_foreach(list, i, item)
    {
        if (json_equal(item, value))
            return true;
    }
    return false;
}

static bool
fits(const json_t *property, const json_t *value)
{
    const json_t *minimum = json_object_get(property, "minimum");
    const json_t *maximum = json_object_get(property, "maximum");
    const json_t *list = json_object_get(property, "enum");

    return has_type(value, json_string_value(json_object_get(property, "type"))) &&
           (minimum == NULL || json_number_value(value) >= json_number_value(minimum)) &&
           (maximum == NULL || json_number_value(value) <= json_number_value(maximum)) &&
           (list == NULL || is_in_enum(list, value));
}

/* "one of "a", "b"", "integer from 1 to 1000", "number at least 0". */
static char *
describe(const json_t *property)
{
    const json_t *minimum = json_object_get(property, "minimum");
    const json_t *maximum = json_object_get(property, "maximum");
    const json_t *list = json_object_get(property, "enum"), *item;
    struct assay_buffer text = {0};
    char low[ASSAY_DOUBLE_TEXT], high[ASSAY_DOUBLE_TEXT];
    size_t i;

    if (list != NULL) {
        assay_buffer_puts(&text, "one of ");
        json_array_foreach(list, i, item)
        {
            char *value = json_dumps(item, JSON_ENCODE_ANY);

            assay_buffer_printf(&text, "%s%s", i > 0 ? ", " : "", value);
            free(value);
        }
        return assay_buffer_steal(&text);
    }
    assay_print_double(json_number_value(minimum), low);
    assay_print_double(json_number_value(maximum), high);
    assay_buffer_puts(&text, json_string_value(json_object_get(property, "type")));
    if (minimum != NULL && maximum != NULL)
        assay_buffer_printf(&text, " from %s to %s", low, high);
    else if (minimum != NULL)
        assay_buffer_printf(&text, " of at least %s", low);
    else if (maximum != NULL)
        assay_buffer_printf(&text, " of at most %s", high);
    return assay_buffer_steal(&text);
}

static assay_status
check_property(const char *name, const json_t *property, struct assay_error *err)
{
    const char *type = json_string_value(json_object_get(property, "type")), *key;
    const json_t *standard = json_object_get(property, "default");
    const json_t *list = json_object_get(property, "enum");
    json_t *value;

    if (type == NULL || !is_listed(type, types, ASSAY_COUNT(types)))
        return assay_fail(err, ASSAY_E_PLUGIN,
                          "the settings schema: %s needs a type of number, integer, string, "
                          "boolean or object",
                          name);
    json_object_foreach((json_t *)(uintptr_t)property, key, value)
    {
        if (!is_listed(key, keywords, ASSAY_COUNT(keywords)))
            return assay_fail(err, ASSAY_E_PLUGIN,
                              "the settings schema: %s has the keyword %s, which is not "
                              "understood",
                              name, key);
    }
    if ((list != NULL && !json_is_array(list)) ||
        (json_object_get(property, "minimum") != NULL &&
         !json_is_number(json_object_get(property, "minimum"))) ||
        (json_object_get(property, "maximum") != NULL &&
         !json_is_number(json_object_get(property, "maximum"))))
        return assay_fail(err, ASSAY_E_PLUGIN,
                          "the settings schema: %s has a malformed enum, minimum or maximum", name);
    if (standard != NULL && !fits(property, standard))
        return assay_fail(err, ASSAY_E_PLUGIN,
                          "the settings schema: the default of %s does not fit", name);
    return ASSAY_OK;
}

assay_status
assay_settings_check_schema(const json_t *schema, struct assay_error *err)
{
    const char *type = json_string_value(json_object_get(schema, "type")), *name;
    json_t *property;

    if (type == NULL || strcmp(type, "object") != 0 ||
        !json_is_object(json_object_get(schema, "properties")) ||
        !json_is_false(json_object_get(schema, "additionalProperties")))
        return assay_fail(err, ASSAY_E_PLUGIN,
                          "the settings schema is not an object with properties and "
                          "additionalProperties false");
    json_object_foreach(json_object_get(schema, "properties"), name, property)
    {
        assay_status status = check_property(name, property, err);

        if (status != ASSAY_OK)
            return status;
    }
    return ASSAY_OK;
}

static char *
list_names(const json_t *properties)
{
    struct assay_buffer text = {0};
    const char *name;
    json_t *property;

    json_object_foreach((json_t *)(uintptr_t)properties, name, property)
        assay_buffer_printf(&text, "%s%s", text.length > 0 ? ", " : "one of ", name);
    return text.length > 0 ? assay_buffer_steal(&text) : assay_strdup("no settings");
}

void
assay_settings_check(const json_t *schema, const json_t *settings, const char *pointer,
                     struct assay_faults *faults)
{
    const json_t *properties = json_object_get(schema, "properties");
    const char *name;
    json_t *value;

    if (!json_is_object(settings)) {
        assay_fault_add(faults, pointer, settings, "an object", "the settings are not an object");
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)settings, name, value)
    {
        assay_auto_free char *at = assay_pointer_key(pointer, name), *allowed = NULL;
        const json_t *property = json_object_get(properties, name);

        if (property == NULL) {
            allowed = list_names(properties);
            assay_fault_add(faults, at, value, allowed, "there is no setting %s", name);
        } else if (!fits(property, value)) {
            allowed = describe(property);
            assay_fault_add(faults, at, value, allowed, "%s must be %s", name, allowed);
        }
    }
}

json_t *
assay_settings_fill(const json_t *schema, const json_t *settings)
{
    json_t *filled = json_object(), *property;
    const char *name;

    json_object_foreach(json_object_get(schema, "properties"), name, property)
    {
        json_t *value = json_object_get(settings, name);

        if (value == NULL)
            value = json_object_get(property, "default");
        if (value != NULL)
            json_object_set(filled, name, value);
    }
    return filled;
}
