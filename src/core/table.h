/* SPDX-License-Identifier: Apache-2.0 */
/* AMQP 0-9-1 field tables: reading in place, validating, comparing, writing. */
#ifndef TOKKI_CORE_TABLE_H
#define TOKKI_CORE_TABLE_H

#include "base/cursor.h"

/* A table is kept in its wire form: `struct str` holds the entries *without* the u32 length before
 * them. Nothing here allocates; every struct str handed out borrows from the table it came from.
 * Tags are RabbitMQ's reading of the type letters, which is not the specification's: 's' is a 16
 * bit integer, 'L' is read as 'l'. */

/* Tables and arrays inside each other; deeper input is ERR_CORRUPT, so hostile nesting is cheap. */
#define TABLE_DEPTH_MAX 64

struct table_value {
    char tag; /* t b B s u I i l f d D S A T F V x ; never 'L' */
    union {
        bool boolean;       /* t */
        int64_t integer;    /* b B s u I i l */
        uint64_t timestamp; /* T: seconds since 1970 */
        double real;        /* f d: never NaN nor infinite */
        struct {
            uint8_t scale;
            uint32_t digits;
        } decimal;        /* D */
        struct str bytes; /* S x: the octets. F A: the entries, without their u32 length */
    };
};

/* Walks the entries of one table or array in wire order; nested ones get an iter of their own. */
struct table_iter {
    struct cursor in;
    bool failed; /* the walk ended at bytes that are no entry */
};

static inline void table_iter_init(struct table_iter *iter, struct str table)
{
    *iter = (struct table_iter){cursor_of_str(table), false};
}

/* The next entry. False at the end and at corrupt bytes (`iter->failed`), filling nothing. */
bool table_next(struct table_iter *iter, struct str *name, struct table_value *value);

/* The same for the bytes of an array, whose values have no names. */
bool array_next(struct table_iter *iter, struct table_value *value);

/* First entry called `name`, as RabbitMQ looks names up when a client repeats one. */
bool table_find(struct str table, struct str name, struct table_value *value);

/* As table_find(), and the entry is a longstr. */
bool table_find_longstr(struct str table, struct str name, struct str *value);

/* As table_find(), and the entry is of an integer type. */
bool table_find_integer(struct str table, struct str name, int64_t *value);

/* Check every entry, nested ones too. 0 exactly when a walk over all of it would never fail and it
 * nests no deeper than TABLE_DEPTH_MAX, else ERR_CORRUPT. Refused as RabbitMQ does: unknown tags
 * ('U', 'C'...), cut values, NaN and infinity. */
MUST_CHECK int table_validate(struct str table);

/* Number of entries of a valid table. */
size_t table_count(struct str table);

/* RabbitMQ's name of a type, as its error texts and the HTTP API show it ("longstr", "signedint").
 * NULL for an unknown tag. */
const char *table_type_name(char tag);

bool table_tag_is_integer(char tag);

enum table_equality {
    /* By value, as RabbitMQ compares the arguments of a redeclaration: integers of all widths and
     * timestamps are numbers, floats are others (1 is not 1.0), text and octets are the same. Inside
     * tables and arrays the types count too. */
    TABLE_EQUAL_VALUE,
    /* As that, and for the headers of a headers exchange (observed with 3.10.8): all numbers are
     * compared as numbers (7 equals 7.0), and an empty table equals an empty array. */
    TABLE_EQUAL_HEADER,
    /* The same type letter and the same value. */
    TABLE_EQUAL_STRICT,
};

/* Both values come from valid tables. Entries of nested tables compare in wire order. */
bool table_value_equals(const struct table_value *a, const struct table_value *b,
                        enum table_equality how);

/* Write the value as RabbitMQ prints it between the quotes of "received the value '10' of type
 * 'signedint'": longstr as it is, others in Erlang's notation (on one line, where RabbitMQ breaks
 * long ones). Ends with a NUL; cut at `cap` - 1 bytes. Returns the length written. */
size_t table_value_text(const struct table_value *value, char *buf, size_t cap);

/* The end of RabbitMQ's text for an argument that differs from the declared one, NULL for absent:
 * "received the value '10' of type 'signedint' but current is none", and without the types when
 * both are there: "received '11' but current is '10'". Cut and counted as table_value_text(). */
size_t table_mismatch_text(const struct table_value *received, const struct table_value *current,
                           char *buf, size_t cap);

/* --- Writing: all of these latch writer.failed instead of returning an error. --- */

/* Begin a table with its u32 length; give the mark to table_end() once its entries are written. */
size_t table_begin(struct writer *w);
void table_end(struct writer *w, size_t mark);

/* An entry that is itself a table (tag 'F') or an array (tag 'A'); ended by table_end(). */
size_t table_begin_nested(struct writer *w, struct str name, char tag);
size_t array_begin_nested(struct writer *w, char tag);

/* Name (at most 255 bytes), tag and value. 'F' and 'A' copy `value->bytes` as they are. */
void table_put(struct writer *w, struct str name, const struct table_value *value);
void array_put(struct writer *w, const struct table_value *value);

void table_put_longstr(struct writer *w, struct str name, struct str text);
void table_put_bool(struct writer *w, struct str name, bool on);
void table_put_i32(struct writer *w, struct str name, int32_t number); /* signedint */
void table_put_i64(struct writer *w, struct str name, int64_t number); /* long */
void table_put_timestamp(struct writer *w, struct str name, uint64_t seconds);
void table_put_table(struct writer *w, struct str name, struct str table);
void array_put_longstr(struct writer *w, struct str text);

/* Copy the entries of a valid table as RabbitMQ would write them back: 'L' becomes 'l', a true bool
 * becomes 1. The length does not change. No u32 length is written before them. */
void table_write_canonical(struct writer *w, struct str table);

#endif
