/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing field table values as RabbitMQ does. */
#include "core/table.h"

/* The letter that stands for all types whose values can be equal: those of one Erlang type. */
static char class_of(char tag)
{
    if (tag == 'T' || table_tag_is_integer(tag))
        return 'l';
    if (tag == 'f')
        return 'd';
    return tag == 'x' ? 'S' : tag;
}

static bool arrays_equal(struct str a, struct str b)
{
    struct table_iter iter_a;
    struct table_iter iter_b;
    struct table_value value_a;
    struct table_value value_b;

    table_iter_init(&iter_a, a);
    table_iter_init(&iter_b, b);
    while (array_next(&iter_a, &value_a))
        if (!array_next(&iter_b, &value_b) ||
            !table_value_equals(&value_a, &value_b, TABLE_EQUAL_STRICT))
            return false;
    return !array_next(&iter_b, &value_b);
}

static bool tables_equal(struct str a, struct str b)
{
    struct table_iter iter_a;
    struct table_iter iter_b;
    struct table_value value_a;
    struct table_value value_b;
    struct str name_a;
    struct str name_b;

    table_iter_init(&iter_a, a);
    table_iter_init(&iter_b, b);
    while (table_next(&iter_a, &name_a, &value_a))
        if (!table_next(&iter_b, &name_b, &value_b) || !str_equals(name_a, name_b) ||
            !table_value_equals(&value_a, &value_b, TABLE_EQUAL_STRICT))
            return false;
    return !table_next(&iter_b, &name_b, &value_b);
}

/* A timestamp is unsigned, so one above INT64_MAX equals no integer. */
static bool integers_equal(const struct table_value *a, const struct table_value *b)
{
    bool both_signed = a->tag != 'T' && b->tag != 'T';
    uint64_t bits_a = a->tag == 'T' ? a->timestamp : (uint64_t)a->integer;
    uint64_t bits_b = b->tag == 'T' ? b->timestamp : (uint64_t)b->integer;
    if (both_signed || a->tag == b->tag)
        return bits_a == bits_b;
    return bits_a == bits_b && bits_a <= INT64_MAX;
}

static double as_real(const struct table_value *value)
{
    if (value->tag == 'T')
        return (double)value->timestamp;
    return class_of(value->tag) == 'd' ? value->real : (double)value->integer;
}

static bool is_number(const struct table_value *value)
{
    return class_of(value->tag) == 'l' || class_of(value->tag) == 'd';
}

static bool is_empty_container(const struct table_value *value)
{
    return (value->tag == 'F' || value->tag == 'A') && value->bytes.len == 0;
}

/* Values of different classes that a headers exchange takes as equal. */
static bool equal_across_classes(const struct table_value *a, const struct table_value *b)
{
    if (is_number(a) && is_number(b))
        return as_real(a) == as_real(b);
    return is_empty_container(a) && is_empty_container(b);
}

bool table_value_equals(const struct table_value *a, const struct table_value *b,
                        enum table_equality how)
{
    if (how == TABLE_EQUAL_HEADER && class_of(a->tag) != class_of(b->tag))
        return equal_across_classes(a, b);
    if (how == TABLE_EQUAL_STRICT ? a->tag != b->tag : class_of(a->tag) != class_of(b->tag))
        return false;
    switch (class_of(a->tag)) {
    case 'l':
        return integers_equal(a, b);
    case 'd':
        return a->real == b->real;
    case 't':
        return a->boolean == b->boolean;
    case 'D':
        return a->decimal.scale == b->decimal.scale && a->decimal.digits == b->decimal.digits;
    case 'F':
        return tables_equal(a->bytes, b->bytes);
    case 'A':
        return arrays_equal(a->bytes, b->bytes);
    case 'V':
        return true;
    default:
        return str_equals(a->bytes, b->bytes);
    }
}
