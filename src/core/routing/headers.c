/* SPDX-License-Identifier: Apache-2.0 */
/* The headers exchange: bindings filed under one of their conditions, candidates checked in full. */
#include "core/routing/headers.h"

#include "core/routing/exchange.h"
#include "core/routing/route_internal.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdio.h>

/* RabbitMQ compares every message with every binding. Here each binding is filed in an index:
 *   all:  under one condition, preferably one with a value; without conditions, under MATCH_ALWAYS
 *   any:  under each condition; without conditions it matches nothing and is filed nowhere
 * where a condition's place is a hash of (name, value), or of the name alone when its value is void
 * (presence). A message looks up each of its headers both ways. What it finds is compared in full,
 * so equal hashes of different conditions cost time only. Equal values must hash alike: see
 * value_hash(). Source of the rules: rabbit_exchange_type_headers, headers_match. */
struct header_bucket {
    struct hamt_item item; /* an integer key: the place */
    struct hamt bindings;  /* struct binding, owned by the catalog */
    uint64_t stamp;        /* the edit that made it */
};

#define MATCH_ALWAYS 0x6D61746368616C6CU

struct match_mode {
    bool any;
    bool with_x;
};

static const struct {
    struct str text;
    struct match_mode mode;
} modes[] = {
    {STR("all"), {false, false}},
    {STR("any"), {true, false}},
    {STR("all-with-x"), {false, true}},
    {STR("any-with-x"), {true, true}},
};

static bool mode_find(struct str text, struct match_mode *mode)
{
    for (size_t i = 0; i < ARRAY_LEN(modes); i++)
        if (str_equals(text, modes[i].text)) {
            *mode = modes[i].mode;
            return true;
        }
    return false;
}

/* As RabbitMQ, anything else means "all": such bindings can come from old definitions only. */
static struct match_mode mode_of(struct str arguments)
{
    struct match_mode mode = {false, false};
    struct str text;
    if (table_find_longstr(arguments, STR("x-match"), &text))
        mode_find(text, &mode);
    return mode;
}

/* Erlang's ~p of a binary. */
static void binary_text(struct str s, char *buf, size_t cap)
{
    bool printable = s.len > 0 && str_is_utf8(s);
    for (size_t i = 0; i < s.len; i++)
        printable = printable && (unsigned char)s.data[i] >= 32 && s.data[i] != 127;
    size_t len = (size_t)snprintf(buf, cap, printable ? "<<\"" : "<<");
    for (size_t i = 0; i < s.len && len + 8 < cap; i++) {
        char c = s.data[i];
        if (!printable)
            len += (size_t)snprintf(buf + len, cap - len, i ? ",%d" : "%d", (unsigned char)c);
        else
            len += (size_t)snprintf(buf + len, cap - len, c == '"' || c == '\\' ? "\\%c" : "%c", c);
    }
    snprintf(buf + len, cap - len, printable ? "\">>" : ">>");
}

int headers_check_binding(struct str arguments, char *text, size_t cap)
{
    static const char expected[] = "expected all, any, all-with-x, or any-with-x";
    struct table_value value;
    struct match_mode mode;
    char shown[200]; /* reply texts end at 255 bytes */
    if (!table_find(arguments, STR("x-match"), &value))
        return 0;
    if (value.tag != 'S') {
        table_value_text(&value, shown, sizeof shown);
        snprintf(text, cap, "Invalid x-match field type %s (value %s); expected longstr",
                 table_type_name(value.tag), shown);
        return ERR_USAGE;
    }
    if (mode_find(value.bytes, &mode))
        return 0;
    binary_text(value.bytes, shown, sizeof shown);
    snprintf(text, cap, "Invalid x-match field value %s; %s", shown, expected);
    return ERR_USAGE;
}

/* Values that are equal as headers hash alike: numbers by their value as a double, octets by
 * themselves, arrays and tables not at all. */
static uint64_t value_hash(const struct table_value *value, uint64_t seed)
{
    double number;
    switch (value->tag) {
    case 'f':
    case 'd':
        number = value->real;
        break;
    case 'T':
        number = (double)value->timestamp;
        break;
    case 'S':
    case 'x':
        return str_hash(value->bytes, seed);
    case 't':
        return value->boolean ? 2 : 1;
    case 'D':
        return hamt_hash_integer(value->decimal.digits + ((uint64_t)value->decimal.scale << 32));
    default:
        if (!table_tag_is_integer(value->tag))
            return 3;
        number = (double)value->integer;
        break;
    }
    if (number == 0)
        number = 0; /* -0.0 equals 0.0 */
    return str_hash(str_of(&number, sizeof number), seed);
}

/* Where a condition on the header is filed; `value` NULL: presence. */
static uint64_t place_of(uint64_t name_hash, const struct table_value *value, uint64_t seed)
{
    return hamt_hash_integer(
        name_hash ^ (value ? value_hash(value, seed) * 0x9E3779B97F4A7C15U : 0x70726573656E7400U));
}

/* The conditions among a binding's arguments: all but x-match, and but x-* without "-with-x". */
static bool condition_next(struct table_iter *iter, bool with_x, struct str *name,
                           struct table_value *value)
{
    while (table_next(iter, name, value))
        if (with_x ? !str_equals(*name, STR("x-match")) : !str_starts_with(*name, STR("x-")))
            return true;
    return false;
}

static void file_at(struct hamt *index, const struct edit *edit, uint64_t place,
                    const struct binding *binding)
{
    const struct str none = {NULL, 0};
    struct header_bucket *old = (struct header_bucket *)hamt_find(index, place, none);
    struct header_bucket *bucket = old;
    if (!old || old->stamp != edit->stamp) {
        bucket = mem_alloc_zero(sizeof *bucket);
        if (old)
            *bucket = *old;
        bucket->item = (struct hamt_item){place, none};
        bucket->stamp = edit->stamp;
        hamt_put(index, edit, &bucket->item);
        if (old)
            edit_dispose(edit, old, old->stamp);
    }
    /* The map neither writes to its items nor frees them. */
    hamt_put(&bucket->bindings, edit, (struct hamt_item *)&binding->item);
}

static void unfile_at(struct hamt *index, const struct edit *edit, uint64_t place,
                      const struct binding *binding)
{
    const struct str none = {NULL, 0};
    struct header_bucket *bucket = (struct header_bucket *)hamt_find(index, place, none);
    if (!bucket) /* two conditions of one place: the first one's turn took it */
        return;
    if (bucket->stamp != edit->stamp)
        file_at(index, edit, place, binding);
    bucket = (struct header_bucket *)hamt_find(index, place, none);
    hamt_remove(&bucket->bindings, edit, binding->item.hash, binding->item.key);
    if (bucket->bindings.count > 0)
        return;
    hamt_remove(index, edit, place, none);
    edit_dispose(edit, bucket, bucket->stamp);
}

typedef void file_fn(struct hamt *index, const struct edit *edit, uint64_t place,
                     const struct binding *binding);

/* Call `file` for each place of the binding. */
static void for_each_place(struct exchange *exchange, const struct edit *edit,
                           const struct binding *binding, file_fn *file)
{
    struct match_mode mode = mode_of(binding->arguments);
    struct table_iter iter;
    struct table_value value;
    struct str name;
    uint64_t seed = exchange->hash_seed;
    uint64_t only = hamt_hash_integer(MATCH_ALWAYS);
    table_iter_init(&iter, binding->arguments);
    while (condition_next(&iter, mode.with_x, &name, &value)) {
        bool has_value = value.tag != 'V';
        only = place_of(str_hash(name, seed), has_value ? &value : NULL, seed);
        if (mode.any)
            file(&exchange->state.header_index, edit, only, binding);
        else if (has_value)
            break;
    }
    if (!mode.any)
        file(&exchange->state.header_index, edit, only, binding);
}

static void headers_bind(struct exchange *exchange, const struct edit *edit,
                         const struct binding *binding)
{
    for_each_place(exchange, edit, binding, file_at);
}

static void headers_unbind(struct exchange *exchange, const struct edit *edit,
                           const struct binding *binding)
{
    for_each_place(exchange, edit, binding, unfile_at);
}

static void header_scratch_reserve(struct header_scratch *scratch, uint32_t count)
{
    if (count > scratch->capacity) {
        scratch->capacity = MAX(count, 32U);
        scratch->entries =
            mem_resize(scratch->entries, scratch->capacity * sizeof *scratch->entries);
    }
    scratch->index_size = 64;
    while (scratch->index_size < count * 2)
        scratch->index_size *= 2;
    if (scratch->index_size > scratch->index_capacity) {
        scratch->index_capacity = scratch->index_size;
        scratch->index =
            mem_resize(scratch->index, scratch->index_capacity * sizeof *scratch->index);
    }
    memset(scratch->index, 0, scratch->index_size * sizeof *scratch->index);
    scratch->count = 0;
}

/* The place in index[] of the header, or the free place where it belongs. */
static uint32_t *header_index(const struct header_scratch *scratch, uint64_t hash, struct str name)
{
    uint32_t mask = scratch->index_size - 1;
    uint32_t at = (uint32_t)hash & mask;
    for (; scratch->index[at]; at = (at + 1) & mask) {
        const struct header_entry *entry = &scratch->entries[scratch->index[at] - 1];
        if (entry->name_hash == hash && str_equals(entry->name, name))
            break;
    }
    return &scratch->index[at];
}

/* Take the message's headers apart; of equal names the first counts. */
static void header_scratch_fill(struct header_scratch *scratch, struct str headers, uint64_t seed)
{
    struct table_iter iter;
    struct header_entry entry;
    header_scratch_reserve(scratch, (uint32_t)table_count(headers));
    table_iter_init(&iter, headers);
    while (table_next(&iter, &entry.name, &entry.value)) {
        entry.name_hash = str_hash(entry.name, seed);
        uint32_t *place = header_index(scratch, entry.name_hash, entry.name);
        if (*place)
            continue;
        scratch->entries[scratch->count++] = entry;
        *place = scratch->count;
    }
}

void header_scratch_fini(struct header_scratch *scratch)
{
    mem_free(scratch->entries);
    mem_free(scratch->index);
}

static bool binding_matches(const struct binding *binding, const struct header_scratch *scratch,
                            uint64_t seed)
{
    struct match_mode mode = mode_of(binding->arguments);
    struct table_iter iter;
    struct table_value value;
    struct str name;
    table_iter_init(&iter, binding->arguments);
    while (condition_next(&iter, mode.with_x, &name, &value)) {
        uint32_t place = *header_index(scratch, str_hash(name, seed), name);
        bool holds = place != 0 && (value.tag == 'V' ||
                                    table_value_equals(&value, &scratch->entries[place - 1].value,
                                                       TABLE_EQUAL_HEADER));
        if (holds == mode.any)
            return mode.any;
    }
    return !mode.any;
}

static void route_place(const struct exchange *exchange, uint64_t place, struct route_result *out)
{
    const struct header_bucket *bucket = (const struct header_bucket *)hamt_find(
        &exchange->state.header_index, place, str_of(NULL, 0));
    if (!bucket)
        return;
    struct hamt_iter iter;
    const struct binding *binding;
    hamt_iter_init(&iter, &bucket->bindings);
    while ((binding = (const struct binding *)hamt_iter_next(&iter)))
        if (binding_matches(binding, &out->scratch->headers, exchange->hash_seed))
            route_add_inline(out, &binding->target);
}

static void headers_route(const struct vhost_view *view, const struct exchange *exchange,
                          const struct route_input *input, struct route_result *out)
{
    (void)view;
    struct header_scratch *scratch = &out->scratch->headers;
    uint64_t seed = exchange->hash_seed;
    if (exchange->state.header_index.count == 0)
        return;
    header_scratch_fill(scratch, input->headers, seed);
    route_place(exchange, hamt_hash_integer(MATCH_ALWAYS), out);
    for (uint32_t i = 0; i < scratch->count; i++) {
        const struct header_entry *entry = &scratch->entries[i];
        route_place(exchange, place_of(entry->name_hash, &entry->value, seed), out);
        route_place(exchange, place_of(entry->name_hash, NULL, seed), out);
    }
}

static void drop_bucket(const struct edit *edit, struct hamt_item *item)
{
    struct header_bucket *bucket = (struct header_bucket *)item;
    struct hamt bindings = bucket->bindings; /* readers may still see the bucket's */
    hamt_clear(&bindings, edit, NULL);
    edit_dispose(edit, bucket, bucket->stamp);
}

static void headers_clear(struct exchange *exchange, const struct edit *edit)
{
    hamt_clear(&exchange->state.header_index, edit, drop_bucket);
}

const struct exchange_ops headers_exchange_ops = {
    .name = "headers",
    .depends_on_headers = true,
    .bind = headers_bind,
    .unbind = headers_unbind,
    .route = headers_route,
    .clear = headers_clear,
};
