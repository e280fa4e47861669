/* SPDX-License-Identifier: Apache-2.0 */
/* Field table values as Erlang terms, for the texts of RabbitMQ's errors. */
#include "core/table.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Output that is cut, not refused, at the buffer's end: reply texts stop at 255 bytes anyway. */
struct text {
    char *buf;
    size_t cap; /* without the NUL */
    size_t len;
};

static void text_add(struct text *t, const char *data, size_t len)
{
    size_t room = t->cap - t->len;
    size_t n = MIN(len, room);
    if (n)
        memcpy(t->buf + t->len, data, n);
    t->len += n;
}

static void text_add_c(struct text *t, const char *s)
{
    text_add(t, s, strlen(s));
}

PRINTF_LIKE(2, 3) static void text_format(struct text *t, const char *fmt, ...)
{
    char piece[64];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(piece, sizeof piece, fmt, args);
    va_end(args);
    text_add(t, piece, (size_t)n);
}

/* The shortest run of digits that reads back as `real`; the value is 0.DIGITS * 10^place. */
static int shortest_digits(double real, char digits[static 18], int *place)
{
    char sci[32];
    int count = 0;

    for (int precision = 0; precision <= 16; precision++) {
        snprintf(sci, sizeof sci, "%.*e", precision, real);
        if (strtod(sci, NULL) == real)
            break;
    }
    for (const char *p = sci; *p != 'e'; p++)
        if (*p >= '0' && *p <= '9')
            digits[count++] = *p;
    *place = (int)strtol(strchr(sci, 'e') + 1, NULL, 10) + 1;
    digits[count] = '\0';
    return count;
}

static void text_add_zeros(struct text *t, int count)
{
    for (int i = 0; i < count; i++)
        text_add_c(t, "0");
}

static void text_add_exponent(struct text *t, const char *digits, int place)
{
    const char *fraction = digits[1] ? digits + 1 : "0";
    text_format(t, "%c.%se%d", digits[0], fraction, place - 1);
}

/* Erlang prints plain digits unless the exponent form is shorter, and never plain ones from 2^53
 * on, where neighbouring doubles are more than 1 apart. Compared with OTP 25 on 30,000 random
 * tables: only powers of two may differ, by one digit more here. */
static void text_add_real(struct text *t, double real)
{
    char digits[18];
    int place;
    int count = shortest_digits(fabs(real), digits, &place);
    char exponent[8];
    int exponent_cost =
        snprintf(exponent, sizeof exponent, "e%d", place - 1) + (count == 1 ? 2 : 1);

    if (signbit(real))
        text_add_c(t, "-");
    if (real == 0) {
        text_add_c(t, "0.0");
    } else if (place > 0 && place < count) {
        text_add(t, digits, (size_t)place);
        text_format(t, ".%s", digits + place);
    } else if (place <= 0 && (place == 0 || 2 - place <= exponent_cost)) {
        text_add_c(t, "0.");
        text_add_zeros(t, -place);
        text_add_c(t, digits);
    } else if (place > 0 && place - count + 2 <= exponent_cost && fabs(real) < 0x1p53) {
        text_add_c(t, digits);
        text_add_zeros(t, place - count);
        text_add_c(t, ".0");
    } else {
        text_add_exponent(t, digits, place);
    }
}

/* What Erlang escapes in a quoted string; other control octets make it print numbers. */
static char escape_of(char c)
{
    static const char plain[] = "\n\r\t\v\b\f\033\"\\";
    static const char letter[] = "nrtvbfe\"\\";
    const char *at = c ? strchr(plain, c) : NULL;
    return at ? letter[at - plain] : '\0';
}

static bool is_printable(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if ((c < 32 && escape_of((char)c) == '\0') || (c >= 127 && c < 160))
            return false;
    }
    return true;
}

/* A binary inside another term: <<"text">>, or <<1,2,3>> when it is none. */
static void text_add_binary(struct text *t, struct str s)
{
    text_add_c(t, "<<");
    if (s.len && is_printable(s)) {
        text_add_c(t, "\"");
        for (size_t i = 0; i < s.len; i++) {
            char escape = escape_of(s.data[i]);
            text_add(t, escape ? "\\" : "", escape ? 1 : 0);
            text_add(t, escape ? &escape : &s.data[i], 1);
        }
        text_add_c(t, "\"");
    } else {
        for (size_t i = 0; i < s.len; i++)
            text_format(t, i ? ",%d" : "%d", (unsigned char)s.data[i]);
    }
    text_add_c(t, ">>");
}

static void text_add_term(struct text *t, const struct table_value *value);

static void text_add_array(struct text *t, struct str array)
{
    struct table_iter iter;
    struct table_value value;
    const char *separator = "{";

    table_iter_init(&iter, array);
    text_add_c(t, "[");
    while (array_next(&iter, &value)) {
        text_format(t, "%s%s,", separator, table_type_name(value.tag));
        text_add_term(t, &value);
        text_add_c(t, "}");
        separator = ",{";
    }
    text_add_c(t, "]");
}

static void text_add_table(struct text *t, struct str table)
{
    struct table_iter iter;
    struct table_value value;
    struct str name;
    const char *separator = "{";

    table_iter_init(&iter, table);
    text_add_c(t, "[");
    while (table_next(&iter, &name, &value)) {
        text_add_c(t, separator);
        text_add_binary(t, name);
        text_format(t, ",%s,", table_type_name(value.tag));
        text_add_term(t, &value);
        text_add_c(t, "}");
        separator = ",{";
    }
    text_add_c(t, "]");
}

static void text_add_term(struct text *t, const struct table_value *value)
{
    switch (value->tag) {
    case 't':
        text_add_c(t, value->boolean ? "true" : "false");
        break;
    case 'f':
    case 'd':
        text_add_real(t, value->real);
        break;
    case 'D':
        text_format(t, "{%u,%u}", value->decimal.scale, value->decimal.digits);
        break;
    case 'T':
        text_format(t, "%llu", (unsigned long long)value->timestamp);
        break;
    case 'A':
        text_add_array(t, value->bytes);
        break;
    case 'F':
        text_add_table(t, value->bytes);
        break;
    case 'S':
    case 'x':
        text_add_binary(t, value->bytes);
        break;
    case 'V':
        text_add_c(t, "undefined");
        break;
    default:
        text_format(t, "%lld", (long long)value->integer);
        break;
    }
}

static void text_add_value(struct text *t, const struct table_value *value)
{
    if (value->tag == 'S' || value->tag == 'x')
        text_add(t, value->bytes.data, value->bytes.len);
    else
        text_add_term(t, value);
}

/* One side of a mismatch whose other side may be absent. */
static void text_add_side(struct text *t, const struct table_value *value, bool with_type)
{
    if (!value) {
        text_add_c(t, "none");
        return;
    }
    text_add_c(t, with_type ? "the value '" : "'");
    text_add_value(t, value);
    text_add_c(t, "'");
    if (with_type)
        text_format(t, " of type '%s'", table_type_name(value->tag));
}

size_t table_value_text(const struct table_value *value, char *buf, size_t cap)
{
    if (cap == 0)
        return 0;
    struct text t = {buf, cap - 1, 0};
    text_add_value(&t, value);
    buf[t.len] = '\0';
    return t.len;
}

size_t table_mismatch_text(const struct table_value *received, const struct table_value *current,
                           char *buf, size_t cap)
{
    if (cap == 0)
        return 0;
    struct text t = {buf, cap - 1, 0};
    bool with_type = !received || !current;
    text_add_c(&t, "received ");
    text_add_side(&t, received, with_type);
    text_add_c(&t, " but current is ");
    text_add_side(&t, current, with_type);
    buf[t.len] = '\0';
    return t.len;
}
