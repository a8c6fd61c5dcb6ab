/* One value of a parameter, as it is read. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/memory.h"
#include "common/number.h"
#include "schemas/decode.h"
#include "schemas/space_internal.h"

static void
fault_choice(const struct assay_parameter *parameter, const json_t *value, const char *pointer,
             struct assay_faults *faults)
{
    assay_auto_buffer struct assay_buffer list = {0};

    if (faults->count >= ASSAY_FAULTS_MAX) {
        faults->count++;
        return;
    }
    assay_buffer_puts(&list, "one of ");
    for (size_t i = 0; i < ASSAY_MIN(parameter->n_choices, (size_t)20); i++) {
        assay_auto_free char *text = json_dumps(json_array_get(parameter->choices, i),
                                                JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

        assay_buffer_printf(&list, "%s%s", i > 0 ? ", " : "", text != NULL ? text : "?");
    }
    if (parameter->n_choices > 20)
        assay_buffer_puts(&list, ", …");
    assay_fault_add(faults, pointer, value, list.data, "not a value of \"%s\"", parameter->name);
}

char *
assay__choice_key(const json_t *choice)
{
    char text[ASSAY_DOUBLE_TEXT];

    if (json_is_string(choice))
        return strlen(json_string_value(choice)) == json_string_length(choice)
                   ? assay_format("\"%s", json_string_value(choice))
                   : NULL;
    if (json_is_boolean(choice))
        return assay_strdup(json_is_true(choice) ? "true" : "false");
    if (!json_is_number(choice))
        return NULL;
    /* 1 and 1.0 are one number. */
    assay_print_double(json_number_value(choice), text);
    return assay_strdup(text);
}

/* Index of the choice that equals the value, or -1. */
static ptrdiff_t
find_choice(const struct assay_parameter *parameter, const json_t *value)
{
    assay_auto_free char *key = NULL;
    const json_t *index;

    if (parameter->type == ASSAY_PARAMETER_BOOL)
        return json_is_boolean(value) ? json_is_true(value) : -1;
    if (parameter->type == ASSAY_PARAMETER_DISCRETE) {
        double number = json_number_value(value);
        const double *found = bsearch(&number, parameter->numbers, parameter->n_choices,
                                      sizeof number, assay_compare_doubles);

        return json_is_number(value) && found != NULL ? found - parameter->numbers : -1;
    }
    key = assay__choice_key(value);
    index = key != NULL ? json_object_get(parameter->choice_numbers, key) : NULL;
    return index != NULL ? (ptrdiff_t)json_integer_value(index) : -1;
}

static bool
decode_choice(const struct assay_parameter *parameter, const json_t *value, const char *pointer,
              struct assay_faults *faults, double *ret_value)
{
    ptrdiff_t index = find_choice(parameter, value);

    if (index < 0) {
        fault_choice(parameter, value, pointer, faults);
        return false;
    }
    *ret_value = (double)index;
    return true;
}

static bool
check_step(const struct assay_parameter *parameter, const json_t *json, double value,
           const char *pointer, struct assay_faults *faults)
{
    double step = assay__parameter_step(parameter);
    double snapped = assay_parameter_snap(parameter, value), below, above;
    char below_text[ASSAY_DOUBLE_TEXT], above_text[ASSAY_DOUBLE_TEXT];
    assay_auto_free char *allowed = NULL;

    if (step == 0.0 || parameter->min == parameter->max || fabs(value - snapped) <= step * 1e-6)
        return true;
    below = snapped < value ? snapped : assay_parameter_snap(parameter, snapped - step);
    above = snapped > value ? snapped : assay_parameter_snap(parameter, snapped + step);
    assay_print_double(below, below_text);
    assay_print_double(above, above_text);
    allowed = below != above ? assay_format("%s or %s", below_text, above_text)
                             : assay_strdup(below_text);
    assay_fault_add(faults, pointer, json, allowed, "not on the step of \"%s\"", parameter->name);
    return false;
}

bool
assay_parameter_decode(const struct assay_parameter *parameter, const json_t *value,
                       const char *pointer, struct assay_faults *faults, double *ret_value)
{
    double number = json_number_value(value);

    if (assay__parameter_is_choice(parameter))
        return decode_choice(parameter, value, pointer, faults, ret_value);
    if (!json_is_number(value)) {
        assay_fault_type(faults, pointer, value, "a number");
        return false;
    }
    if (parameter->type == ASSAY_PARAMETER_INT && number != floor(number)) {
        assay_fault_add(faults, pointer, value, "a whole number", "\"%s\" is an int parameter",
                        parameter->name);
        return false;
    }
    if (!(number >= parameter->min && number <= parameter->max)) {
        char min[ASSAY_DOUBLE_TEXT], max[ASSAY_DOUBLE_TEXT];
        assay_auto_free char *allowed = NULL;

        assay_print_double(parameter->min, min);
        assay_print_double(parameter->max, max);
        allowed = assay_format("%s to %s", min, max);
        assay_fault_add(faults, pointer, value, allowed, "out of the range of \"%s\"",
                        parameter->name);
        return false;
    }
    if (!check_step(parameter, value, number, pointer, faults))
        return false;
    *ret_value = assay_parameter_snap(parameter, number);
    return true;
}
