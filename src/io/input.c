/* SPDX-License-Identifier: Apache-2.0 */
/* Where received bytes land, and what becomes of the partial frame at their end. */
#include "io/input.h"

#include "base/bug.h"
#include "base/err.h"
#include "base/mem.h"
#include "io/shard.h"

#include <string.h>

/* A connection that gets this much in one turn is busy enough for a block of its own. */
#define OWN_BLOCK_READ_BYTES (64U * 1024U)
/* At most this many megabytes in blocks that single connections keep; beyond it partial frames are
 * copied instead. */
#define OWNED_BLOCKS_MAX 16U
/* A block that nobody points into any more is filled from its beginning again, where it is most likely
 * still in the cache; no gain could be measured on a noisy machine, but the walk through a fresh megabyte
 * is saved. The partial message that moves along is at most this. */
#define REWIND_MAX 4096U
/* Below this room at its end a block is left for the next. */
#define ROOM_MIN (64U * 1024U)

static uint32_t room(const struct block *block, uint32_t end)
{
    return block->capacity - end;
}

/* Partial messages up to this come from a pool: small publishes leave one at the end of every read. */
#define CARRY_POOLED_BYTES 2048U

void input_pool_init(struct shard *shard)
{
    pool_init(&shard->carries, CARRY_POOLED_BYTES, 16);
}

static uint8_t *carry_new(struct shard *shard, uint32_t len)
{
    return len <= CARRY_POOLED_BYTES ? pool_take(&shard->carries) : mem_alloc(len);
}

static void carry_free(struct shard *shard, uint8_t *carry, uint32_t len)
{
    if (!carry)
        return;
    if (len <= CARRY_POOLED_BYTES)
        pool_give(&shard->carries, carry);
    else
        mem_free(carry);
}

static void set_carry(struct input *input, struct shard *shard, uint8_t *carry, uint32_t len)
{
    shard->carry_bytes -= input->carry_len;
    input->carry = carry;
    input->carry_len = len;
    shard->carry_bytes += len;
}

/* Move the unconsumed bytes of an owned block into a fresh one when its end is near. */
static void renew_owned(struct input *input, struct shard *shard)
{
    uint32_t left = input->end - input->start;
    struct block *fresh;

    if (input->block->refs == 1 && left <= REWIND_MAX) {
        memmove(input->block->data, input->block->data + input->start, left);
        input->start = 0;
        input->end = left;
        return;
    }
    if (room(input->block, input->end) >= ROOM_MIN)
        return;
    fresh = block_new_receive(shard);
    memcpy(fresh->data, input->block->data + input->start, left);
    block_unref(shard, input->block, 1);
    input->block = fresh;
    input->start = 0;
    input->end = left;
}

/* Aim at the shard's shared block, with the carried bytes in front of what will be read. */
static void aim_shared(struct input *input, struct shard *shard)
{
    struct block *block = shard->receive;

    if (block && block->refs == 1)
        block->used = 0;
    if (block && room(block, block->used) < input->carry_len + ROOM_MIN) {
        block_unref(shard, block, 1);
        block = NULL;
    }
    if (!block)
        block = block_new_receive(shard);
    shard->receive = block;
    input->block = block;
    input->start = block->used;
    input->end = block->used + input->carry_len;
    if (input->carry) {
        memcpy(block->data + input->start, input->carry, input->carry_len);
        carry_free(shard, input->carry, input->carry_len);
        set_carry(input, shard, NULL, 0);
    }
}

long input_fill(struct input *input, struct stream *stream, uint32_t max)
{
    struct shard *shard = stream->shard;
    uint32_t most;
    long n;

    if (input->is_owned)
        renew_owned(input, shard);
    else
        aim_shared(input, shard);
    /* Behind what is kept only so much that all of it could be kept again. */
    most = INPUT_PARTIAL_MAX - MIN(input->end - input->start, INPUT_PARTIAL_MAX);
    if (most == 0)
        return ERR_AGAIN;
    n = stream_receive(stream, input->block->data + input->end,
                       MIN(room(input->block, input->end), MIN(max, most)));
    if (n > 0)
        input->end += (uint32_t)n;
    input->last_read = n > 0 ? (uint32_t)n : 0;
    return n;
}

void input_resume(struct input *input, struct shard *shard)
{
    if (input->is_owned)
        renew_owned(input, shard);
    else
        aim_shared(input, shard);
    input->last_read = 0;
}

static void disown(struct input *input, struct shard *shard)
{
    shard->receive_owned--;
    if (shard->receive) {
        block_unref(shard, input->block, 1);
    } else {
        shard->receive = input->block;
        shard->receive->used = input->end;
    }
    input->is_owned = false;
    input->block = NULL;
}

static void keep_partial(struct input *input, struct shard *shard)
{
    uint32_t left = input->end - input->start;
    uint8_t *copy;

    if (input->last_read >= OWN_BLOCK_READ_BYTES && shard->receive_owned < OWNED_BLOCKS_MAX) {
        input->is_owned = true;
        shard->receive_owned++;
        shard->receive = NULL;
        return;
    }
    copy = carry_new(shard, left);
    memcpy(copy, input->block->data + input->start, left);
    set_carry(input, shard, copy, left);
    input->block->used = input->start;
    input->block = NULL;
}

void input_settle(struct input *input, struct shard *shard)
{
    uint32_t left = input->end - input->start;

    BUG_ON(left > INPUT_PARTIAL_MAX, "%u bytes left unparsed", left);
    if (!input->block)
        return;
    if (input->is_owned) {
        if (left == 0 && input->last_read < OWN_BLOCK_READ_BYTES)
            disown(input, shard);
        return;
    }
    if (left > 0) {
        keep_partial(input, shard);
        return;
    }
    input->block->used = input->end;
    input->block = NULL;
}

static uint8_t *heap_copy(const uint8_t *bytes, uint32_t len)
{
    uint8_t *copy = mem_alloc(len);
    memcpy(copy, bytes, len);
    return copy;
}

uint8_t *input_detach(struct input *input, struct shard *shard, uint32_t *len)
{
    uint8_t *copy = NULL;

    *len = input->carry_len;
    if (input->block) {
        *len = input->end - input->start;
        if (*len > 0)
            copy = heap_copy(input->block->data + input->start, *len);
        input->start = input->end;
    } else if (input->carry) {
        copy = heap_copy(input->carry, *len);
    }
    input_fini(input, shard);
    return copy;
}

void input_attach(struct input *input, struct shard *shard, uint8_t *carry, uint32_t len)
{
    uint8_t *own;

    memset(input, 0, sizeof *input);
    if (!carry)
        return;
    own = carry_new(shard, len);
    memcpy(own, carry, len);
    mem_free(carry);
    set_carry(input, shard, own, len);
}

void input_fini(struct input *input, struct shard *shard)
{
    if (input->is_owned)
        disown(input, shard);
    else if (input->block)
        input->block->used = input->end;
    input->block = NULL;
    carry_free(shard, input->carry, input->carry_len);
    set_carry(input, shard, NULL, 0);
    input->start = 0;
    input->end = 0;
}
