/* SPDX-License-Identifier: Apache-2.0 */
/* Writing field tables. */
#include "core/table.h"

#include "base/bug.h"

size_t table_begin(struct writer *w)
{
    size_t mark = writer_len(w);
    writer_u32(w, 0);
    return mark;
}

void table_end(struct writer *w, size_t mark)
{
    if (w->failed)
        return;
    size_t size = writer_len(w) - mark - sizeof(uint32_t);
    BUG_ON(mark + sizeof(uint32_t) > writer_len(w), "mark %zu of %zu", mark, writer_len(w));
    if (size > UINT32_MAX) {
        w->failed = true;
        return;
    }
    store_u32(w->start + mark, (uint32_t)size);
}

size_t array_begin_nested(struct writer *w, char tag)
{
    BUG_ON(tag != 'F' && tag != 'A', "tag %d holds no entries", tag);
    writer_u8(w, (uint8_t)tag);
    return table_begin(w);
}

size_t table_begin_nested(struct writer *w, struct str name, char tag)
{
    writer_shortstr(w, name);
    return array_begin_nested(w, tag);
}

static void write_float(struct writer *w, double real)
{
    float narrow = (float)real;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    writer_u32(w, bits);
}

static void write_double(struct writer *w, double real)
{
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    writer_u64(w, bits);
}

static void write_decimal(struct writer *w, const struct table_value *value)
{
    writer_u8(w, value->decimal.scale);
    writer_u32(w, value->decimal.digits);
}

void array_put(struct writer *w, const struct table_value *value)
{
    writer_u8(w, (uint8_t)value->tag);
    switch (value->tag) {
    case 't':
        writer_u8(w, value->boolean);
        break;
    case 'b':
    case 'B':
        writer_u8(w, (uint8_t)value->integer);
        break;
    case 's':
    case 'u':
        writer_u16(w, (uint16_t)value->integer);
        break;
    case 'I':
    case 'i':
        writer_u32(w, (uint32_t)value->integer);
        break;
    case 'l':
        writer_u64(w, (uint64_t)value->integer);
        break;
    case 'T':
        writer_u64(w, value->timestamp);
        break;
    case 'f':
        write_float(w, value->real);
        break;
    case 'd':
        write_double(w, value->real);
        break;
    case 'D':
        write_decimal(w, value);
        break;
    case 'S':
    case 'x':
    case 'F':
    case 'A':
        writer_longstr(w, value->bytes);
        break;
    case 'V':
        break;
    default:
        bug_abort(__FILE__, __LINE__, "no such table tag: %d", value->tag);
    }
}

void table_put(struct writer *w, struct str name, const struct table_value *value)
{
    writer_shortstr(w, name);
    array_put(w, value);
}

void table_put_longstr(struct writer *w, struct str name, struct str text)
{
    table_put(w, name, &(struct table_value){.tag = 'S', .bytes = text});
}

void table_put_bool(struct writer *w, struct str name, bool on)
{
    table_put(w, name, &(struct table_value){.tag = 't', .boolean = on});
}

void table_put_i32(struct writer *w, struct str name, int32_t number)
{
    table_put(w, name, &(struct table_value){.tag = 'I', .integer = number});
}

void table_put_i64(struct writer *w, struct str name, int64_t number)
{
    table_put(w, name, &(struct table_value){.tag = 'l', .integer = number});
}

void table_put_timestamp(struct writer *w, struct str name, uint64_t seconds)
{
    table_put(w, name, &(struct table_value){.tag = 'T', .timestamp = seconds});
}

void table_put_table(struct writer *w, struct str name, struct str table)
{
    table_put(w, name, &(struct table_value){.tag = 'F', .bytes = table});
}

void array_put_longstr(struct writer *w, struct str text)
{
    array_put(w, &(struct table_value){.tag = 'S', .bytes = text});
}

static void write_entries(struct writer *w, struct str entries, bool is_named)
{
    struct table_iter iter;
    struct table_value value;
    struct str name;

    table_iter_init(&iter, entries);
    while (is_named ? table_next(&iter, &name, &value) : array_next(&iter, &value)) {
        if (is_named)
            writer_shortstr(w, name);
        if (value.tag == 'F' || value.tag == 'A') {
            size_t mark = array_begin_nested(w, value.tag);
            write_entries(w, value.bytes, value.tag == 'F');
            table_end(w, mark);
        } else {
            array_put(w, &value);
        }
    }
}

void table_write_canonical(struct writer *w, struct str table)
{
    write_entries(w, table, true);
}
