/* Words of assayd's command line, one a line, and numbers as texts. */

#include <stddef.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/memory.h"
#include "common/number.h"
#include "schemas/config.h"
#include "schemas/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What can be printed reads back as the same. */
static void
try_numbers(const char *text)
{
    char printed[ASSAY_DOUBLE_TEXT];
    int64_t integer, again;
    double value, back;

    if (assay_parse_double(text, &value)) {
        assay_print_double(value, printed);
        ASSAY_ASSERT(assay_parse_double(printed, &back));
        ASSAY_ASSERT(memcmp(&value, &back, sizeof value) == 0 || value != value);
    }
    if (assay_parse_duration(text, &integer)) {
        json_auto_t *json = assay_json_duration(integer);

        ASSAY_ASSERT(assay_parse_duration(json_string_value(json), &again));
        ASSAY_ASSERT(integer == again);
    }
    if (assay_parse_bytes(text, &integer)) {
        json_auto_t *json = assay_json_bytes(integer);

        ASSAY_ASSERT(assay_parse_bytes(json_string_value(json), &again));
        ASSAY_ASSERT(integer == again);
    }
    if (assay_parse_time(text, &integer)) {
        char time[ASSAY_TIME_TEXT];

        assay_print_time(integer, time);
        /* A zone can lead out of the years that have four digits. */
        if (integer >= INT64_C(-62135596800000000) && integer < INT64_C(253402300800000000))
            ASSAY_ASSERT(assay_parse_time(time, &again) && again == integer);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    assay_auto_free char *text = assay_alloc(size + 1, 1);
    enum assay_config_request request;
    struct assay_config config;
    struct assay_error err = {0};
    char program[] = "assayd", *argv[16] = {program};
    int argc = 1;

    memcpy(text, data, size);
    text[size] = '\0';
    for (char *line = text; line != NULL && argc < 16; argc++) {
        argv[argc] = strsep(&line, "\n");
        try_numbers(argv[argc]);
        /* No files: the input decides their names. */
        if (strncmp(argv[argc], "--config", 8) == 0)
            return 0;
    }
    if (assay_config_load(argc, argv, &config, &request, &err) == ASSAY_OK)
        assay_config_done(&config);
    else
        ASSAY_ASSERT(err.message[0] != '\0');
    return 0;
}
