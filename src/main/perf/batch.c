/* SPDX-License-Identifier: Apache-2.0 */
/* Rendering and patching of publish batches. */
#include "main/perf/batch.h"

#include "main/perf/keys.h"

#include "base/bug.h"
#include "base/mem.h"
#include "core/content.h"
#include "proto/amqp091/codec.h"

/* Above the frames of a message beside its body: publish, content header, their overhead. */
#define MESSAGE_FIXED_MAX 640

static uint32_t body_part_max(const struct batch_template *t)
{
    return t->frame_max - AMQP_FRAME_OVERHEAD;
}

static size_t message_bytes_max(const struct batch_template *t, uint32_t size)
{
    const size_t frames = (size_t)size / body_part_max(t) + 1;
    return MESSAGE_FIXED_MAX + size + frames * AMQP_FRAME_OVERHEAD;
}

/* The key of message `n` before any patch: topic keys need their dots. */
static struct str slot_key(const struct batch_template *t, uint32_t n, char *buf)
{
    if (t->keys == BATCH_KEYS_FIXED)
        return t->routing_key;
    const size_t len = t->keys == BATCH_KEYS_TOPIC ? keys_topic_len(n) : KEYS_RANDOM_LEN;
    memset(buf, '.', len);
    return str_of(buf, len);
}

static void render_body(struct writer *w, const struct batch_template *t, uint32_t size)
{
    const uint32_t part_max = body_part_max(t);
    for (uint32_t left = size; left > 0;) {
        const uint32_t part = MIN(left, part_max);
        amqp_frame_start(w, AMQP_FRAME_BODY, t->channel, part);
        uint8_t *body = writer_reserve(w, part);
        if (body)
            memset(body, 'x', part);
        writer_u8(w, AMQP_FRAME_END);
        left -= part;
    }
}

/* Render message `n` at `w` and note its places; `base` is where offsets count from. */
static void render_message(struct writer *w, const struct batch_template *t, uint32_t n,
                           struct batch_slot *slot)
{
    char buf[KEYS_TOPIC_MAX + KEYS_RANDOM_LEN];
    const uint32_t size = t->sizes[n % t->size_count];
    const struct str key = slot_key(t, n, buf);
    const struct amqp_basic_publish publish = {t->exchange, key, t->is_mandatory, false};
    slot->start = writer_len(w);
    slot->key_len = (uint32_t)key.len;
    amqp_frame_method(w, t->channel, AMQP_BASIC_PUBLISH, &publish);
    /* The key is followed by the octet of the two bits and the frame end. */
    slot->key = t->keys == BATCH_KEYS_FIXED ? 0 : writer_len(w) - 2 - key.len;

    uint8_t flags[16];
    struct writer props = writer_of(flags, sizeof flags);
    const struct content_props p = {
        .flags = t->is_persistent ? CONTENT_HAS_DELIVERY_MODE : 0,
        .delivery_mode = CONTENT_PERSISTENT,
    };
    content_props_write(&props, &p);
    amqp_frame_content_header(w, t->channel, AMQP_CLASS_BASIC, size,
                              str_of(flags, writer_len(&props)));
    slot->stamp = size >= STAMP_BYTES ? writer_len(w) + AMQP_FRAME_HEADER_SIZE : 0;
    render_body(w, t, size);
    BUG_ON(w->failed, "a message of %u bytes did not fit its batch", size);
}

static uint32_t messages_wanted(const struct batch_template *t, size_t *bytes)
{
    size_t cycle = 0;
    for (uint32_t i = 0; i < t->size_count; i++)
        cycle += message_bytes_max(t, t->sizes[i]);
    const uint32_t smallest = 39; /* no publish is shorter, so no batch holds more than this many */
    const uint32_t cycles = cycle >= BATCH_BYTES ? 1 : BATCH_BYTES / smallest / t->size_count + 1;
    *bytes = cycle * cycles;
    return cycles * t->size_count;
}

void batch_render(struct batch *b, const struct batch_template *t, uint64_t seed)
{
    size_t capacity;
    const uint32_t most = messages_wanted(t, &capacity);
    capacity = MIN(capacity, BATCH_BYTES + capacity / (most / t->size_count));
    *b = (struct batch){.keys = t->keys, .random = seed | 1};
    b->bytes = mem_alloc(capacity);
    b->slots = mem_alloc_zero((most + 1) * sizeof *b->slots);
    struct writer w = writer_of(b->bytes, capacity);
    /* Whole cycles of sizes, so that wrapping around keeps their order. */
    do {
        for (uint32_t i = 0; i < t->size_count; i++, b->count++)
            render_message(&w, t, b->count, &b->slots[b->count]);
    } while (writer_len(&w) < BATCH_BYTES && b->count < most);
    b->slots[b->count].start = writer_len(&w);
    b->is_patched = t->keys != BATCH_KEYS_FIXED;
    for (uint32_t i = 0; i < t->size_count; i++)
        b->is_patched = b->is_patched || t->sizes[i] >= STAMP_BYTES;
}

void batch_fini(struct batch *b)
{
    mem_free(b->bytes);
    mem_free(b->slots);
    *b = (struct batch){0};
}

static void patch_keys(struct batch *b, uint32_t first, uint32_t n)
{
    for (uint32_t i = first; i < first + n; i++) {
        uint8_t *key = b->bytes + b->slots[i].key;
        if (b->keys == BATCH_KEYS_TOPIC)
            keys_fill_topic(&b->random, key, b->slots[i].key_len);
        else
            keys_fill_random(&b->random, key, b->slots[i].key_len);
    }
}

void batch_patch(struct batch *b, uint32_t first, uint32_t n, uint64_t now_ns, uint32_t sequence)
{
    if (!b->is_patched)
        return;
    for (uint32_t i = first; i < first + n; i++) {
        if (b->slots[i].stamp == 0)
            continue;
        uint8_t *stamp = b->bytes + b->slots[i].stamp;
        store_u32(stamp, sequence + (i - first));
        store_u64(stamp + 4, now_ns);
    }
    if (b->keys != BATCH_KEYS_FIXED)
        patch_keys(b, first, n);
}
