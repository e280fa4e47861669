/* SPDX-License-Identifier: Apache-2.0 */
/* References of messages, and how a message changes shards. */
#include "core/message.h"

#include "base/bug.h"
#include "base/mem.h"
#include "io/shard.h"

void message_share(struct message *message, struct pool *pool)
{
    struct message_shared *shared;

    if (message->flags & MESSAGE_SHARED)
        return;
    DEBUG_BUG_ON(message->spare > 0, "a descriptor holds one reference");
    shared = pool_take(pool);
    *shared = (struct message_shared){
        .place = {message->block, message->offset, message->length},
        .refs = 1,
        .body_bytes = message->body_bytes,
    };
    message->shared = shared;
    message->flags |= MESSAGE_SHARED;
}

/* A block of this shard with a copy of the bytes. */
static struct block *copy_bytes(struct shard *shard, const uint8_t *bytes, uint32_t length)
{
    struct block *copy = block_new(shard, length);
    memcpy(copy->data, bytes, length);
    copy->used = length;
    return copy;
}

/* The bytes of a place move home, where references can be counted. */
static void bring_home(struct shard *shard, struct message_place *place, uint32_t refs)
{
    struct block *old = place->block;
    place->block = copy_bytes(shard, old->data + place->offset, place->length);
    place->offset = 0;
    block_unref(shard, old, refs);
}

struct block *message_hold(struct shard *shard, struct message *message)
{
    struct message_place place;

    if (message->flags & MESSAGE_SHARED) {
        struct message_shared *shared = message->shared;
        if (shared->place.block->shard != shard->id)
            bring_home(shard, &shared->place, 1);
        block_ref(shared->place.block, 1);
        return shared->place.block;
    }
    if (message->block->shard == shard->id) {
        block_ref(message->block, 1);
        return message->block;
    }
    if (message->spare > 0) {
        message->spare--;
        return message->block;
    }
    place = (struct message_place){message->block, message->offset, message->length};
    bring_home(shard, &place, 1);
    message->block = place.block;
    message->offset = place.offset;
    message->flags &= (uint8_t)~MESSAGE_IN_RECEIVE;
    block_ref(message->block, 1);
    return message->block;
}

void message_prepare_hold(struct shard *shard, struct message *message, uint32_t n)
{
    struct message_place place;

    if (message->flags & MESSAGE_SHARED) {
        if (message->shared->place.block->shard != shard->id)
            bring_home(shard, &message->shared->place, 1);
        return;
    }
    if (message->block->shard == shard->id || message->spare >= n)
        return;
    place = (struct message_place){message->block, message->offset, message->length};
    bring_home(shard, &place, 1U + message->spare);
    message->block = place.block;
    message->offset = place.offset;
    message->spare = 0;
    message->flags &= (uint8_t)~MESSAGE_IN_RECEIVE;
}

struct block *message_hold_chunk(struct shard *shard, struct message *message, uint32_t i)
{
    struct message_chunk *chunk = &message->shared->chunks[i];
    if (chunk->block->shard != shard->id) {
        struct message_place place = {chunk->block, 0, chunk->length};
        bring_home(shard, &place, 1);
        chunk->block = place.block;
    }
    block_ref(chunk->block, 1);
    return chunk->block;
}

struct message message_reference(struct shard *shard, struct message *message)
{
    struct message copy;

    if (message->flags & MESSAGE_SHARED) {
        message->shared->refs++;
        return *message;
    }
    message_hold(shard, message);
    copy = *message;
    copy.spare = 0;
    return copy;
}

void message_ref(const struct message *message, uint32_t n)
{
    if (message->flags & MESSAGE_SHARED)
        message->shared->refs += n;
    else
        block_ref(message->block, n);
}

static void release_chain(struct shard *shard, struct message_shared *shared)
{
    for (uint32_t i = 0; i < shared->chunk_count; i++)
        block_unref(shard, shared->chunks[i].block, 1);
    mem_free(shared->chunks);
    mem_free(shared->logged_chunks);
}

void message_unref(struct shard *shard, struct pool *pool, const struct message *message)
{
    struct message_shared *shared;

    if (UNLIKELY(message->flags & MESSAGE_OUT))
        return;
    if (!(message->flags & MESSAGE_SHARED)) {
        block_unref(shard, message->block, 1U + message->spare);
        return;
    }
    shared = message->shared;
    DEBUG_BUG_ON(shared->refs == 0, "descriptor without references");
    if (--shared->refs > 0)
        return;
    block_unref(shard, shared->place.block, 1);
    release_chain(shard, shared);
    pool_give(pool, shared);
}

/* Blocks of this shard are counted here; one of another shard cannot be counted from here, so a
 * reference to it is only ever handed on, never multiplied: its bytes are copied instead. */
static struct block *another_reference(struct shard *shard, struct block *block, uint32_t offset,
                                       uint32_t length)
{
    if (block->shard == shard->id) {
        block_ref(block, 1);
        return block;
    }
    return copy_bytes(shard, block->data + offset, length);
}

/* A descriptor's content with references of its own, for one that others still use. */
static struct message_shared duplicate(struct shard *shard, const struct message_shared *from)
{
    struct message_shared copy = *from;

    copy.place.block =
        another_reference(shard, from->place.block, from->place.offset, from->place.length);
    if (copy.place.block != from->place.block)
        copy.place.offset = 0;
    if (from->logged_chunks) {
        size_t bytes = from->logged_chunk_count * sizeof *from->logged_chunks;
        copy.logged_chunks = mem_alloc(bytes);
        memcpy(copy.logged_chunks, from->logged_chunks, bytes);
    }
    if (from->chunk_count == 0)
        return copy;
    copy.chunks = mem_alloc(from->chunk_count * sizeof *copy.chunks);
    for (uint32_t i = 0; i < from->chunk_count; i++) {
        const struct message_chunk *chunk = &from->chunks[i];
        copy.chunks[i].block = another_reference(shard, chunk->block, 0, chunk->length);
        copy.chunks[i].length = chunk->length;
    }
    return copy;
}

/* What the descriptor holds, with this entry's reference to it given up. */
static struct message_shared take_content(struct shard *shard, struct pool *pool,
                                          struct message_shared *shared)
{
    struct message_shared content;
    if (shared->refs > 1) {
        content = duplicate(shard, shared);
        shared->refs--;
    } else {
        content = *shared;
        pool_give(pool, shared);
    }
    content.refs = 1;
    return content;
}

void message_export(struct shard *shard, struct pool *pool, struct message *message)
{
    struct message_shared content;

    if (!(message->flags & MESSAGE_SHARED)) {
        if (message->block->shard == shard->id && message->spare == 0) {
            block_ref(message->block, MESSAGE_SPARE_EXPORTED);
            message->spare = MESSAGE_SPARE_EXPORTED;
        }
        return;
    }
    content = take_content(shard, pool, message->shared);
    if (content.chunk_count > 0 || content.body_id != 0) {
        message->shared = mem_alloc(sizeof content);
        *message->shared = content;
        return;
    }
    message->flags &= (uint8_t)~MESSAGE_SHARED;
    if (!content.place.block->is_receive)
        message->flags &= (uint8_t)~MESSAGE_IN_RECEIVE;
    message->block = content.place.block;
    message->offset = content.place.offset;
    message->spare = 0;
}

void message_import(struct pool *pool, struct message *message)
{
    struct message_shared *shared;

    if (!(message->flags & MESSAGE_SHARED))
        return;
    shared = pool_take(pool);
    *shared = *message->shared;
    mem_free(message->shared);
    message->shared = shared;
}
