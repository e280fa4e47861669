/* SPDX-License-Identifier: Apache-2.0 */
/* Segments that are open for reading, and kept from being recycled while they are read. */
#include "storage/log_internal.h"

#include <string.h>

bool fetch_reads(const struct log *log, const struct segment *segment)
{
    return segment->read_in == log->fetcher.round_number;
}

/* Where it stands, or where the least used or free place is. */
static size_t index_of(const struct fetcher *fetcher, const struct segment *segment)
{
    size_t i = 0;
    while (i < FETCH_FILES - 1 && fetcher->files[i] && fetcher->files[i] != segment)
        i++;
    return i;
}

/* Put it first. Returns the file that must be closed for it, or NULL. */
static struct disk_file *move_to_front(struct fetcher *fetcher, struct segment *segment)
{
    size_t at = index_of(fetcher, segment);
    struct segment *out = fetcher->files[at];
    struct disk_file *file = NULL;

    if (out && out != segment) {
        file = out->file;
        out->file = NULL;
    }
    memmove(fetcher->files + 1, fetcher->files, at * sizeof fetcher->files[0]);
    fetcher->files[0] = segment;
    return file;
}

/* Files are opened and closed here only, but for those of segments that go: nobody reads these. */
int fetch_file(struct log *log, struct segment *segment, struct disk_file **out)
{
    struct disk_file *unused = NULL;
    char name[DISK_NAME_MAX];

    if (!segment->file) {
        struct disk_file *file;
        int rc;
        segment_name(segment->header.number, name);
        rc = disk_open(log->disk, name, segment->is_cached ? 0 : DISK_DIRECT, &file);
        if (rc != 0)
            return rc;
        segment->file = file;
    }
    pthread_mutex_lock(&log->mutex);
    if (log->fetcher.files[0] != segment)
        unused = move_to_front(&log->fetcher, segment);
    pthread_mutex_unlock(&log->mutex);
    disk_close(unused);
    *out = segment->file;
    return 0;
}

/* An open file would keep its blocks on the disk, and have another name. */
void fetch_forget(struct log *log, const struct segment *segment)
{
    struct fetcher *fetcher = &log->fetcher;
    size_t at = index_of(fetcher, segment);

    if (fetcher->files[at] != segment)
        return;
    memmove(fetcher->files + at, fetcher->files + at + 1,
            (FETCH_FILES - 1 - at) * sizeof fetcher->files[0]);
    fetcher->files[FETCH_FILES - 1] = NULL;
}
