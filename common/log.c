#include "common/log.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/memory.h"

static struct {
    const char *component;
    enum assay_log_level level;
    bool as_json;
} settings = {"assay", ASSAY_LOG_INFO, false};

static const char *const level_names[] = {"debug", "info", "warning", "error"};

void
assay_log_init(const char *component, enum assay_log_level level, bool as_json)
{
    settings.component = component;
    settings.level = level;
    settings.as_json = as_json;
}

bool
assay_log_level_parse(const char *name, enum assay_log_level *ret_level)
{
    for (size_t i = 0; i < ASSAY_COUNT(level_names); i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *ret_level = (enum assay_log_level)i;
            return true;
        }
    }
    return false;
}

void
assay_log(enum assay_log_level level, const char *format, ...)
{
    assay_auto_free char *message = NULL;
    assay_auto_buffer struct assay_buffer line = {0};
    char time[ASSAY_TIME_TEXT];
    va_list args;

    if (level < settings.level)
        return;
    va_start(args, format);
    message = assay_vformat(format, args);
    va_end(args);
    assay_print_time(assay_now_us(), time);
    if (settings.as_json) {
        json_t *row = json_pack("{s:s, s:s, s:s, s:s}", "time", time, "level", level_names[level],
                                "component", settings.component, "message", message);
        assay_auto_free char *text = row != NULL ? json_dumps(row, JSON_COMPACT) : NULL;

        json_decref(row);
        assay_buffer_printf(&line, "%s\n", text != NULL ? text : "{}");
    } else {
        /* One line per event, whatever the message holds. */
        for (char *p = message; *p != '\0'; p++) {
            if (*p == '\n' || *p == '\r')
                *p = ' ';
        }
        assay_buffer_printf(&line, "%s %s %s: %s\n", time, level_names[level], settings.component,
                            message);
    }
    /* One write: lines of several threads and processes do not mix. */
    if (write(STDERR_FILENO, line.data, line.length) < 0)
        return;
}
