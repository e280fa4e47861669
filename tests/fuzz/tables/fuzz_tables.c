/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes field tables: validation and walking agree, and what is valid survives being rewritten. */
#include "base/bug.h"
#include "core/table.h"

#include <stdlib.h>

/* Walk everything as a user of the API would. False at the first entry that cannot be read. */
static bool walk(struct str entries, bool is_named, unsigned levels)
{
    struct table_iter iter;
    struct table_value value;
    struct str name = {NULL, 0};
    bool sound = true;

    if (levels == 0)
        return false;
    table_iter_init(&iter, entries);
    while (sound && (is_named ? table_next(&iter, &name, &value) : array_next(&iter, &value)))
        if (value.tag == 'F' || value.tag == 'A')
            sound = walk(value.bytes, value.tag == 'F', levels - 1);
    return sound && !iter.failed;
}

static void check_rewriting(struct str table)
{
    uint8_t *first = malloc(table.len + 1);
    uint8_t *second = malloc(table.len + 1);
    struct writer w = writer_of(first, table.len);
    struct writer again = writer_of(second, table.len);
    BUG_ON(!first || !second, "no memory");

    table_write_canonical(&w, table);
    BUG_ON(w.failed || writer_len(&w) != table.len, "length changed: %zu", writer_len(&w));
    BUG_ON(table_validate(str_of(first, table.len)) != 0, "own output refused");
    struct table_value before = {.tag = 'F', .bytes = table};
    struct table_value after = {.tag = 'F', .bytes = str_of(first, table.len)};
    BUG_ON(!table_value_equals(&before, &after, TABLE_EQUAL_STRICT), "value changed");
    table_write_canonical(&again, after.bytes);
    BUG_ON(memcmp(first, second, table.len) != 0, "canonical form is not stable");
    free(first);
    free(second);
}

/* The text of the whole table fits any buffer, and a cut one is the beginning of the whole. */
static void check_text(const struct table_value *value, uint8_t cut)
{
    static char whole[4096];
    char part[256];
    size_t len = table_value_text(value, whole, sizeof whole);
    size_t part_len = table_value_text(value, part, cut);

    BUG_ON(len >= sizeof whole || strnlen(whole, sizeof whole) > len, "text of %zu", len);
    BUG_ON(cut && part_len != MIN(len, cut - 1U), "cut at %u: %zu of %zu", cut, part_len, len);
    BUG_ON(cut && memcmp(whole, part, part_len) != 0, "cut text differs");
}

static void check_entries(struct str table, uint8_t cut)
{
    struct table_iter iter;
    struct table_value value;
    struct table_value found;
    struct str name;
    size_t count = 0;

    table_iter_init(&iter, table);
    while (table_next(&iter, &name, &value)) {
        BUG_ON(!table_find(table, name, &found), "entry %zu not found", count);
        BUG_ON(!table_type_name(value.tag), "tag %d has no name", value.tag);
        BUG_ON(!table_value_equals(&value, &value, TABLE_EQUAL_STRICT), "not equal to itself");
        BUG_ON(table_value_equals(&value, &found, TABLE_EQUAL_STRICT) &&
                   !table_value_equals(&value, &found, TABLE_EQUAL_VALUE),
               "strict equality is wider");
        check_text(&value, cut);
        count++;
    }
    BUG_ON(count != table_count(table), "%zu entries, counted %zu", count, table_count(table));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str table = str_of(data, size);
    bool is_valid = table_validate(table) == 0;

    BUG_ON(is_valid != walk(table, true, TABLE_DEPTH_MAX), "validation says %d", is_valid);
    if (is_valid) {
        check_rewriting(table);
        check_entries(table, size ? data[size - 1] : 0);
    }
    return 0;
}
