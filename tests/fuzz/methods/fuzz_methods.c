/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes method arguments: decode, encode, decode and encode again give the same bytes. */
#include "base/bug.h"
#include "core/table.h"
#include "proto/amqp091/codec.h"

#include <stdlib.h>

/* Decode and write again. The encoded form never grows: reserved arguments become empty. */
static size_t recode(const struct amqp_method *m, const uint8_t *args, size_t size, uint8_t *out)
{
    struct cursor in = cursor_of(args, size);
    struct writer w = writer_of(out, size + 4);
    union amqp_args decoded;

    int rc = amqp_method_decode(m, &in, &decoded);
    if (rc != 0)
        return 0;
    BUG_ON(!cursor_is_done(&in), "%s: %zu bytes left", m->name, cursor_left(&in));
    amqp_method_encode(m->id, &decoded, &w);
    BUG_ON(w.failed, "%s: grew beyond %zu", m->name, size);
    BUG_ON(load_u32(out) != m->id, "%s: wrong id", m->name);
    return writer_len(&w);
}

/* The first octet picks the method, so that the fuzzer need not guess 32 bit ids. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct amqp_method *m = &amqp_methods[data[0] % AMQP_METHOD_COUNT];
    uint8_t *first = malloc(size + 4);
    uint8_t *second = malloc(size + 4);
    BUG_ON(!first || !second, "no memory");

    size_t first_len = recode(m, data + 1, size - 1, first);
    if (first_len != 0) {
        size_t second_len = recode(m, first + 4, first_len - 4, second);
        BUG_ON(second_len != first_len, "%s: %zu then %zu", m->name, first_len, second_len);
        BUG_ON(memcmp(first, second, first_len) != 0, "%s: not stable", m->name);
    }
    free(first);
    free(second);

    if (size >= 4) {
        const struct amqp_method *found = amqp_method_find(load_u32(data));
        BUG_ON(found && found->id != load_u32(data), "found %s instead", found->name);
    }
    return 0;
}
