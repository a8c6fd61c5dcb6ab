#include "controller/local/gpus.h"

#include <dlfcn.h>
#include <strings.h>

#include "common/memory.h"
#include "common/number.h"

struct slot {
    char *name;
    bool taken;
};

struct assay__local_gpus {
    struct slot *slots;
    size_t count, capacity;
    const char *trouble;
};

/* The few declarations of NVML's interface that are needed (NVML API reference,
 * "Device queries" and "Multi Instance GPU management"). */
typedef void *nvml_device;
enum { NVML_SUCCESS = 0, NVML_MIG_ENABLED = 1, NVML_UUID_BYTES = 96 };

struct nvml {
    void *library;
    int (*init)(void);
    int (*shutdown)(void);
    int (*get_count)(unsigned *ret_count);
    int (*get_device)(unsigned index, nvml_device *ret_device);
    int (*get_uuid)(nvml_device device, char *ret_uuid, unsigned length);
    /* Optional: older libraries have no MIG. */
    int (*get_mig_mode)(nvml_device device, unsigned *ret_current, unsigned *ret_pending);
    int (*get_mig_max)(nvml_device device, unsigned *ret_count);
    int (*get_mig_device)(nvml_device device, unsigned index, nvml_device *ret_device);
};

/* POSIX's way round ISO C's missing conversion of object to function pointers. */
static bool
find_symbol(void *library, const char *name, void *ret_function)
{
    void *symbol = dlsym(library, name);

    memcpy(ret_function, &symbol, sizeof symbol);
    return symbol != NULL;
}

static const char *
nvml_open(struct nvml *nvml)
{
    nvml->library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (nvml->library == NULL)
        return "NVML (libnvidia-ml.so.1) is not installed";
    if (!find_symbol(nvml->library, "nvmlInit_v2", &nvml->init) ||
        !find_symbol(nvml->library, "nvmlShutdown", &nvml->shutdown) ||
        !find_symbol(nvml->library, "nvmlDeviceGetCount_v2", &nvml->get_count) ||
        !find_symbol(nvml->library, "nvmlDeviceGetHandleByIndex_v2", &nvml->get_device) ||
        !find_symbol(nvml->library, "nvmlDeviceGetUUID", &nvml->get_uuid))
        return "NVML (libnvidia-ml.so.1) is too old";
    if (!find_symbol(nvml->library, "nvmlDeviceGetMigMode", &nvml->get_mig_mode) ||
        !find_symbol(nvml->library, "nvmlDeviceGetMaxMigDeviceCount", &nvml->get_mig_max) ||
        !find_symbol(nvml->library, "nvmlDeviceGetMigDeviceHandleByIndex", &nvml->get_mig_device))
        nvml->get_mig_mode = NULL;
    if (nvml->init() != NVML_SUCCESS)
        return "NVML finds no driver";
    return NULL;
}

static void
add_slot(struct assay__local_gpus *gpus, char *name)
{
    ASSAY_GROW(gpus->slots, gpus->count, gpus->capacity);
    gpus->slots[gpus->count++] = (struct slot){.name = name};
}

/* Whether device `index` is in a list as CUDA_VISIBLE_DEVICES has it.  As there,
 * a UUID may be shortened and the list ends at the first entry that names nothing. */
static bool
is_visible(const char *visible, unsigned index, const char *uuid)
{
    assay_auto_free char *list = assay_strdup(visible);
    char *rest = list;

    for (char *entry; (entry = strsep(&rest, ",")) != NULL;) {
        int64_t number;

        entry += strspn(entry, " ");
        entry[strcspn(entry, " ")] = '\0';
        if (assay_parse_int(entry, 0, INT32_MAX, &number)) {
            if (number == (int64_t)index)
                return true;
        } else if (strncasecmp(entry, "GPU-", 4) != 0 && strncasecmp(entry, "MIG-", 4) != 0) {
            return false;
        } else if (strncasecmp(uuid, entry, strlen(entry)) == 0) {
            return true;
        }
    }
    return false;
}

static void
add_instances(struct assay__local_gpus *gpus, const struct nvml *nvml, nvml_device device,
              const char *visible, bool parent_visible)
{
    unsigned count = 0;

    if (nvml->get_mig_max(device, &count) != NVML_SUCCESS)
        return;
    for (unsigned i = 0; i < count; i++) {
        char uuid[NVML_UUID_BYTES] = "";
        nvml_device instance;

        if (nvml->get_mig_device(device, i, &instance) == NVML_SUCCESS &&
            nvml->get_uuid(instance, uuid, sizeof uuid) == NVML_SUCCESS &&
            (parent_visible || is_visible(visible, UINT32_MAX, uuid)))
            add_slot(gpus, assay_strdup(uuid));
    }
}

static void
find_machine_gpus(struct assay__local_gpus *gpus, const char *visible)
{
    struct nvml nvml = {0};
    unsigned count = 0;

    gpus->trouble = nvml_open(&nvml);
    if (gpus->trouble == NULL) {
        nvml.get_count(&count);
        for (unsigned i = 0; i < count; i++) {
            char uuid[NVML_UUID_BYTES] = "";
            unsigned mode = 0, pending = 0;
            nvml_device device;
            bool seen;

            if (nvml.get_device(i, &device) != NVML_SUCCESS ||
                nvml.get_uuid(device, uuid, sizeof uuid) != NVML_SUCCESS)
                continue;
            seen = visible == NULL || is_visible(visible, i, uuid);
            if (nvml.get_mig_mode != NULL &&
                nvml.get_mig_mode(device, &mode, &pending) == NVML_SUCCESS &&
                mode == NVML_MIG_ENABLED)
                add_instances(gpus, &nvml, device, visible, seen);
            else if (seen)
                add_slot(gpus, assay_strdup(uuid));
        }
        nvml.shutdown();
        if (gpus->count == 0)
            gpus->trouble = count == 0 ? "NVML finds no GPU"
                                       : "CUDA_VISIBLE_DEVICES of the daemon hides every GPU";
    }
    if (nvml.library != NULL)
        dlclose(nvml.library);
}

struct assay__local_gpus *
assay__local_gpus_new(int pretend, const char *visible)
{
    struct assay__local_gpus *gpus = ASSAY_NEW(struct assay__local_gpus);

    gpus->trouble = "";
    if (pretend < 0)
        find_machine_gpus(gpus, visible);
    for (int i = 0; i < pretend; i++)
        add_slot(gpus, assay_format("PRETEND-%d", i));
    if (gpus->trouble == NULL)
        gpus->trouble = "";
    return gpus;
}

struct assay__local_gpus *
assay__local_gpus_free(struct assay__local_gpus *gpus)
{
    if (gpus != NULL) {
        for (size_t i = 0; i < gpus->count; i++)
            free(gpus->slots[i].name);
        free(gpus->slots);
        free(gpus);
    }
    return NULL;
}

size_t
assay__local_gpus_total(const struct assay__local_gpus *gpus)
{
    return gpus->count;
}

size_t
assay__local_gpus_idle(const struct assay__local_gpus *gpus)
{
    size_t idle = 0;

    for (size_t i = 0; i < gpus->count; i++)
        idle += !gpus->slots[i].taken;
    return idle;
}

const char *
assay__local_gpus_trouble(const struct assay__local_gpus *gpus)
{
    return gpus->trouble;
}

const char *
assay__local_gpus_name(const struct assay__local_gpus *gpus, size_t i)
{
    ASSAY_ASSERT(i < gpus->count);
    return gpus->slots[i].name;
}

static struct slot *
find_slot(struct assay__local_gpus *gpus, const json_t *name)
{
    for (size_t i = 0; json_is_string(name) && i < gpus->count; i++) {
        if (strcmp(gpus->slots[i].name, json_string_value(name)) == 0)
            return &gpus->slots[i];
    }
    return NULL;
}

json_t *
assay__local_gpus_take(struct assay__local_gpus *gpus, size_t count)
{
    json_t *names = json_array();

    ASSAY_ASSERT(count <= assay__local_gpus_idle(gpus));
    for (size_t i = 0; json_array_size(names) < count; i++) {
        if (!gpus->slots[i].taken) {
            gpus->slots[i].taken = true;
            json_array_append_new(names, json_string(gpus->slots[i].name));
        }
    }
    return names;
}

json_t *
assay__local_gpus_take_named(struct assay__local_gpus *gpus, const json_t *names)
{
    json_t *taken = json_array();
    const json_t *name;
    size_t i;

    json_array_foreach(names, i, name)
    {
        struct slot *slot = find_slot(gpus, name);

        if (slot != NULL && !slot->taken) {
            slot->taken = true;
            json_array_append_new(taken, json_string(slot->name));
        }
    }
    return taken;
}

void
assay__local_gpus_put(struct assay__local_gpus *gpus, const json_t *names)
{
    const json_t *name;
    size_t i;

    json_array_foreach(names, i, name)
    {
        struct slot *slot = find_slot(gpus, name);

        if (slot != NULL)
            slot->taken = false;
    }
}
