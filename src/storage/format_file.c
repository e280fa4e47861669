/* SPDX-License-Identifier: Apache-2.0 */
/* The format file: what a data directory is, readable by people. */
#include "base/err.h"
#include "base/mem.h"
#include "storage/log_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT_NEW "tokkimq.format.new"
#define TEXT_MAX 256U

/* Over all lines before its own. */
static uint32_t text_crc(const char *text, size_t octets)
{
    return format_crc(UINT32_MAX, text, octets);
}

int format_file_write(struct log *log)
{
    uint8_t *block = mem_alloc_aligned(DISK_ALIGN, DISK_ALIGN);
    char *text = (char *)block;
    struct disk_file *file;
    int rc = disk_open(log->disk, FORMAT_NEW, DISK_CREATE, &file);
    int n;

    n = snprintf(text, TEXT_MAX, "TokkiMQ data directory\nformat %u\nid %016llx\n", FORMAT_VERSION,
                 (unsigned long long)log->directory_id);
    n += snprintf(text + n, TEXT_MAX - (size_t)n, "crc %08x\n", text_crc(text, (size_t)n));
    if (rc == 0) {
        rc = disk_write(file, block, (size_t)n, 0);
        if (rc == 0)
            rc = disk_sync(file);
        disk_close(file);
    }
    mem_free(block);
    if (rc == 0)
        rc = disk_rename(log->disk, FORMAT_NEW, FORMAT_FILE);
    return rc == 0 ? disk_sync_dir(log->disk) : rc;
}

/* The text behind `prefix` at `*at`, which moves to the next line; NULL when it is not there. */
static const char *line_value(const char **at, const char *prefix)
{
    size_t n = strlen(prefix);
    const char *end = strchr(*at, '\n');
    const char *value = *at + n;

    if (!end || strncmp(*at, prefix, n) != 0)
        return NULL;
    *at = end + 1;
    return value;
}

/* The last line is the sum, in newer formats too. */
static bool sum_is_right(const char *text)
{
    const char *before = strstr(text, "\ncrc ");
    char line[32];

    if (!before)
        return false;
    snprintf(line, sizeof line, "\ncrc %08x\n", text_crc(text, (size_t)(before + 1 - text)));
    return strcmp(before, line) == 0;
}

static int parse(struct log *log, const char *text, bool is_whole, struct log_error *error)
{
    const char *title = line_value(&text, "TokkiMQ data directory");
    const char *version = title ? line_value(&text, "format ") : NULL;
    const char *id = version ? line_value(&text, "id ") : NULL;

    if (version && strtoull(version, NULL, 10) > FORMAT_VERSION)
        return log_error_set(error, ERR_REFUSED, FORMAT_FILE, 0,
                             "the data directory has format %llu, this program knows up to %u: it "
                             "was written by a newer TokkiMQ%s",
                             strtoull(version, NULL, 10), FORMAT_VERSION,
                             is_whole ? "" : ", or the file is damaged");
    if (!id || !is_whole || strtoull(version, NULL, 10) == 0 || strtoull(id, NULL, 16) == 0)
        return log_error_set(
            error, ERR_CORRUPT, FORMAT_FILE, 0,
            "this is no format file of a TokkiMQ data directory, or it is damaged");
    log->directory_id = strtoull(id, NULL, 16);
    return 0;
}

int format_file_read(struct log *log, bool *is_whole, struct log_error *error)
{
    char text[TEXT_MAX] = {0};
    struct disk_file *file;
    size_t got = 0;
    int rc = disk_open(log->disk, FORMAT_FILE, 0, &file);

    if (rc == 0) {
        rc = disk_read(file, text, sizeof text - 1, 0, &got);
        disk_close(file);
    }
    if (rc == -ENOENT)
        return ERR_NOT_FOUND;
    if (rc != 0)
        return log_error_set(error, rc, FORMAT_FILE, 0, "cannot be read: %s", err_text(rc));
    *is_whole = sum_is_right(text);
    return parse(log, text, *is_whole, error);
}
