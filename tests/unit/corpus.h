/* Replays the seed corpus of a fuzz driver (tests/fuzz) without a fuzzer.  Skips when it is not
 * run from the top of the tree.  After cmocka.h. */
#ifndef ASSAY_TESTS_CORPUS_H
#define ASSAY_TESTS_CORPUS_H

#include <dirent.h>

#include "common/file.h"
#include "common/memory.h"

static inline void
replay(const char *name, int (*target)(const uint8_t *data, size_t size))
{
    assay_auto_free char *folder = assay_format("tests/fuzz/corpus/%s", name);
    DIR *files = opendir(folder);
    const struct dirent *file;
    size_t n = 0;

    if (files == NULL) {
        print_message("%s is not here\n", folder);
        skip();
    }
    while ((file = readdir(files)) != NULL) {
        assay_auto_free char *path = assay_format("%s/%s", folder, file->d_name);
        assay_auto_free char *text = NULL;
        size_t length;

        if (file->d_name[0] == '.')
            continue;
        assert_int_equal(assay_file_read(path, 1 << 20, &text, &length, NULL), ASSAY_OK);
        target((const uint8_t *)text, length);
        n++;
    }
    closedir(files);
    assert_true(n > 0);
}

#endif
