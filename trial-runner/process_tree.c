#include "trial-runner/process_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/memory.h"
#include "common/number.h"

struct process {
    pid_t pid, parent, group;
    bool below; /* a descendant of ours */
};

struct table {
    struct process *items;
    size_t count, capacity;
};

void
assay_process_tree_adopt(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

static ssize_t
read_proc(pid_t pid, const char *name, char *buffer, size_t size)
{
    char path[64];
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    n = read(fd, buffer, size - 1);
    close(fd);
    if (n >= 0)
        buffer[n] = '\0';
    return n;
}

/* /proc/PID/stat: "pid (name) state parent group …"; the name may hold anything. */
static bool
read_process(pid_t pid, struct process *ret_process)
{
    char text[512], state;
    const char *p;
    int parent, group;

    if (read_proc(pid, "stat", text, sizeof text) <= 0)
        return false;
    p = strrchr(text, ')');
    if (p == NULL || sscanf(p + 1, " %c %d %d", &state, &parent, &group) != 3)
        return false;
    *ret_process = (struct process){.pid = pid, .parent = parent, .group = group};
    return state != 'Z' && state != 'X';
}

static void
read_table(struct table *table)
{
    DIR *proc = opendir("/proc");

    for (struct dirent *entry; proc != NULL && (entry = readdir(proc)) != NULL;) {
        int64_t pid;

        if (!assay_parse_int(entry->d_name, 2, INT32_MAX, &pid))
            continue;
        ASSAY_GROW(table->items, table->count, table->capacity);
        if (read_process((pid_t)pid, &table->items[table->count]))
            table->count++;
    }
    if (proc != NULL)
        closedir(proc);
}

/* Marks the descendants; passes until nothing changes, since a child's number
 * may be lower than its parent's. */
static size_t
mark_below(struct table *table)
{
    pid_t self = getpid();
    size_t found = 0;

    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < table->count; i++) {
            struct process *process = &table->items[i];
            bool below = process->parent == self;

            for (size_t j = 0; !process->below && !below && j < table->count; j++)
                below = table->items[j].below && table->items[j].pid == process->parent;
            if (below && !process->below) {
                process->below = changed = true;
                found++;
            }
        }
    }
    return found;
}

size_t
assay_process_tree_signal(int signal)
{
    struct table table = {0};
    size_t found;
    pid_t own_group = getpgrp();

    read_table(&table);
    found = mark_below(&table);
    /* A signal to a group reaches also those that are just being forked.  Every
     * group of a descendant lives in a session a descendant made, so nobody else
     * can be in it; the command's child that has not yet made its own is ours. */
    for (size_t i = 0; i < table.count; i++) {
        if (table.items[i].below && table.items[i].group != own_group && table.items[i].group > 1)
            kill(-table.items[i].group, signal);
    }
    for (size_t i = 0; i < table.count; i++) {
        if (table.items[i].below)
            kill(table.items[i].pid, signal);
    }
    free(table.items);
    return found;
}

static int64_t
resident_bytes(pid_t pid)
{
    char text[128];
    long size, resident;

    if (read_proc(pid, "statm", text, sizeof text) <= 0 ||
        sscanf(text, "%ld %ld", &size, &resident) != 2)
        return 0;
    return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

static int64_t
proportional_bytes(pid_t pid)
{
    char text[2048];
    const char *line;
    long kib;

    if (read_proc(pid, "smaps_rollup", text, sizeof text) <= 0)
        return resident_bytes(pid);
    line = strstr(text, "\nPss:");
    if (line == NULL || sscanf(line, "\nPss: %ld kB", &kib) != 1)
        return resident_bytes(pid);
    return (int64_t)kib * 1024;
}

int64_t
assay_process_tree_memory_bytes(bool exact)
{
    struct table table = {0};
    int64_t sum = 0;

    read_table(&table);
    mark_below(&table);
    for (size_t i = 0; i < table.count; i++) {
        if (table.items[i].below)
            sum +=
                exact ? proportional_bytes(table.items[i].pid) : resident_bytes(table.items[i].pid);
    }
    free(table.items);
    return sum;
}

bool
assay_process_tree_end(int64_t limit_us)
{
    int64_t until_us = assay_monotonic_us() + limit_us;

    for (int wait_ms = 1;; wait_ms = ASSAY_MIN(wait_ms * 2, 20)) {
        pid_t pid;

        /* Whoever is left is our child or a child of one of those. */
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
            ;
        if (pid < 0 && errno == ECHILD)
            return true;
        if (assay_monotonic_us() >= until_us)
            return false;
        assay_process_tree_signal(SIGKILL);
        poll(NULL, 0, wait_ms);
    }
}
