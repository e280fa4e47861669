/* SPDX-License-Identifier: Apache-2.0 */
/* Reading field tables in place: iteration, look-up, validation. */
#include "core/table.h"

#include "base/err.h"

#include <math.h>

/* NaN and infinity have no value in RabbitMQ, which refuses them while it reads the table. */
static double read_double(struct cursor *in)
{
    uint64_t bits = cursor_u64(in);
    double real;
    memcpy(&real, &bits, sizeof real);
    if (!isfinite(real))
        in->failed = true;
    return real;
}

static double read_float(struct cursor *in)
{
    uint32_t bits = cursor_u32(in);
    float real;
    memcpy(&real, &bits, sizeof real);
    if (!isfinite(real))
        in->failed = true;
    return (double)real;
}

static void read_decimal(struct cursor *in, struct table_value *value)
{
    value->decimal.scale = cursor_u8(in);
    value->decimal.digits = cursor_u32(in);
}

/* Tag and value. Type letters: RabbitMQ's errata page, not section 4.2.1 of the specification. */
static inline void read_value(struct cursor *in, struct table_value *value)
{
    value->tag = (char)cursor_u8(in);
    switch (value->tag) {
    case 'S':
    case 'x':
    case 'F':
    case 'A':
        value->bytes = cursor_longstr(in);
        break;
    case 'I':
        value->integer = (int32_t)cursor_u32(in);
        break;
    case 'l':
        value->integer = (int64_t)cursor_u64(in);
        break;
    case 'L': /* read as a signed 64 bit number like 'l', and written back as 'l' */
        value->tag = 'l';
        value->integer = (int64_t)cursor_u64(in);
        break;
    case 't':
        value->boolean = cursor_u8(in) != 0;
        break;
    case 'T':
        value->timestamp = cursor_u64(in);
        break;
    case 'b':
        value->integer = (int8_t)cursor_u8(in);
        break;
    case 'B':
        value->integer = cursor_u8(in);
        break;
    case 's':
        value->integer = (int16_t)cursor_u16(in);
        break;
    case 'u':
        value->integer = cursor_u16(in);
        break;
    case 'i':
        value->integer = cursor_u32(in);
        break;
    case 'd':
        value->real = read_double(in);
        break;
    case 'f':
        value->real = read_float(in);
        break;
    case 'D':
        read_decimal(in, value);
        break;
    case 'V':
        break;
    default:
        in->failed = true;
        break;
    }
}

static inline bool iter_step(struct table_iter *iter, bool is_named, struct str *name,
                             struct table_value *value)
{
    struct table_value found = {0};
    struct str found_name = {NULL, 0};

    if (iter->failed || cursor_left(&iter->in) == 0)
        return false;
    if (is_named)
        found_name = cursor_shortstr(&iter->in);
    read_value(&iter->in, &found);
    if (iter->in.failed) {
        iter->failed = true;
        return false;
    }
    if (is_named)
        *name = found_name;
    *value = found;
    return true;
}

bool table_next(struct table_iter *iter, struct str *name, struct table_value *value)
{
    return iter_step(iter, true, name, value);
}

bool array_next(struct table_iter *iter, struct table_value *value)
{
    return iter_step(iter, false, NULL, value);
}

bool table_find(struct str table, struct str name, struct table_value *value)
{
    struct table_iter iter;
    struct table_value found;
    struct str found_name;

    table_iter_init(&iter, table);
    while (table_next(&iter, &found_name, &found)) {
        if (str_equals(found_name, name)) {
            *value = found;
            return true;
        }
    }
    return false;
}

bool table_find_longstr(struct str table, struct str name, struct str *value)
{
    struct table_value found;
    if (!table_find(table, name, &found) || found.tag != 'S')
        return false;
    *value = found.bytes;
    return true;
}

bool table_find_integer(struct str table, struct str name, int64_t *value)
{
    struct table_value found;
    if (!table_find(table, name, &found) || !table_tag_is_integer(found.tag))
        return false;
    *value = found.integer;
    return true;
}

/* `levels`: how many tables and arrays there may be from here on, this one included. Every octet is
 * looked at once, so the work is linear in the input and the recursion ends at TABLE_DEPTH_MAX. */
static bool is_valid(struct str entries, bool is_named, unsigned levels)
{
    struct table_iter iter;
    struct table_value value;
    struct str name;

    if (levels == 0)
        return false;
    table_iter_init(&iter, entries);
    while (iter_step(&iter, is_named, &name, &value)) {
        bool is_nested = value.tag == 'F' || value.tag == 'A';
        if (is_nested && !is_valid(value.bytes, value.tag == 'F', levels - 1))
            return false;
    }
    return !iter.failed;
}

int table_validate(struct str table)
{
    return is_valid(table, true, TABLE_DEPTH_MAX) ? 0 : ERR_CORRUPT;
}

size_t table_count(struct str table)
{
    struct table_iter iter;
    struct table_value value;
    struct str name;
    size_t count = 0;

    table_iter_init(&iter, table);
    while (table_next(&iter, &name, &value))
        count++;
    return count;
}

static const char *const type_names[256] = {
    ['t'] = "bool",          ['b'] = "byte",      ['B'] = "unsignedbyte", ['s'] = "short",
    ['u'] = "unsignedshort", ['I'] = "signedint", ['i'] = "unsignedint",  ['l'] = "long",
    ['L'] = "long",          ['f'] = "float",     ['d'] = "double",       ['D'] = "decimal",
    ['S'] = "longstr",       ['A'] = "array",     ['T'] = "timestamp",    ['F'] = "table",
    ['V'] = "void",          ['x'] = "binary",
};

const char *table_type_name(char tag)
{
    return type_names[(unsigned char)tag];
}

bool table_tag_is_integer(char tag)
{
    return tag != '\0' && strchr("bBsuIil", tag) != NULL;
}
