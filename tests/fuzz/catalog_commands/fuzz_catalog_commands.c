/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes records of the catalog: what decodes is canonical, and any history of it can be applied. */
#include "base/bug.h"
#include "core/catalog/command_codec.h"

#include <stdlib.h>

/* Written again, the bytes are the same: each command has one encoding. */
static void check_encoding(const struct catalog_command *command, struct str bytes)
{
    size_t size = catalog_command_size(command);
    BUG_ON(size != bytes.len, "size %zu of %zu bytes", size, bytes.len);
    uint8_t *again = malloc(size);
    BUG_ON(!again, "no memory");
    struct writer w = writer_of(again, size);
    catalog_command_encode(command, &w);
    BUG_ON(w.failed || writer_len(&w) != size, "wrote %zu of %zu bytes", writer_len(&w), size);
    BUG_ON(memcmp(again, bytes.data, size) != 0, "not canonical");
    free(again);
}

/* What is emitted can be read back. */
static void check_record(void *context, const struct catalog_command *record)
{
    static struct catalog_command_scratch scratch;
    struct catalog_command out;
    size_t *count = context;
    size_t size = catalog_command_size(record);
    uint8_t *bytes = malloc(size);
    BUG_ON(!bytes, "no memory");
    struct writer w = writer_of(bytes, size);
    catalog_command_encode(record, &w);
    BUG_ON(w.failed, "record of kind %u refused", record->kind);
    BUG_ON(catalog_command_decode(str_of(bytes, size), &out, &scratch) != 0,
           "record of kind %u does not decode", record->kind);
    free(bytes);
    (*count)++;
}

/* In memory of their own, so that ASan sees every read past them. */
static void apply_bytes(struct catalog *catalog, const uint8_t *data, size_t size)
{
    static struct catalog_command_scratch scratch;
    struct catalog_command command;
    struct catalog_result result;
    uint8_t *bytes = malloc(size + 1);
    BUG_ON(!bytes, "no memory");
    if (size > 0)
        memcpy(bytes + 1, data, size);
    if (catalog_command_decode(str_of(bytes + 1, size), &command, &scratch) == 0) {
        check_encoding(&command, str_of(bytes + 1, size));
        catalog_apply(catalog, &command, &result);
    }
    free(bytes);
}

/* The input is a sequence of u16 length and record; the last may be cut. The first octet's lowest bit
 * says whether the catalog replays. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reclaim *reclaim = reclaim_new(1);
    struct catalog *catalog = catalog_new(reclaim, 1);
    struct cursor in = cursor_of(data, size);
    size_t journaled = 0;
    size_t emitted = 0;

    catalog_set_replaying(catalog, cursor_u8(&in) & 1);
    catalog_set_journal(catalog, check_record, &journaled);
    while (!in.failed && cursor_left(&in) > 0) {
        size_t wanted = cursor_u16(&in);
        size_t len = MIN(wanted, cursor_left(&in));
        apply_bytes(catalog, cursor_bytes(&in, len), len);
    }
    catalog_emit(catalog, check_record, &emitted);
    catalog_free(catalog);
    reclaim_free(reclaim);
    return 0;
}
