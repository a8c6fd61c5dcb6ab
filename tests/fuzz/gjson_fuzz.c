/* A condition and an object: the first line of the input is the path, the rest is JSON. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/memory.h"
#include "schemas/gjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    assay_auto_free char *path = assay_alloc(size + 1, 1);
    json_auto_t *json = NULL, *found = NULL;
    struct assay_gjson *gjson = NULL;
    struct assay_error err = {0};
    char *text;

    memcpy(path, data, size);
    path[size] = '\0';
    text = strchr(path, '\n');
    if (text == NULL)
        return 0;
    *text++ = '\0';
    if (assay_gjson_new(path, &gjson, &err) < 0) {
        ASSAY_ASSERT(err.message[0] != '\0');
        return 0;
    }
    json = json_loads(text, JSON_DECODE_ANY, NULL);
    found = assay_gjson_get(gjson, json);
    if (assay_gjson_holds(gjson, json))
        ASSAY_ASSERT(found != NULL);
    assay_gjson_free(gjson);
    return 0;
}
