/* SPDX-License-Identifier: Apache-2.0 */
/* Receive side of a connection: reads into shared or owned blocks, keeps partial frames. */
#ifndef TOKKI_IO_INPUT_H
#define TOKKI_IO_INPUT_H

#include "io/block.h"
#include "io/stream.h"

/* Most bytes one recv takes: larger gains little (physical-limits 2) and lets one busy client hold
 * the turn. */
#define INPUT_READ_MAX (512U * 1024U)
/* The largest run of unconsumed bytes that may be left for the next read to complete. */
#define INPUT_PARTIAL_MAX (768U * 1024U)

/* Small reads append to the shard's shared block; a connection that fills >= 64 KiB a turn keeps a
 * block for itself, so that the rest of a frame lands right behind its beginning. Idle
 * connections own no block; a partial frame of a quiet one is kept on the heap, where it pins no
 * megabyte.
 *
 * Owner: the connection. Thread: its shard's. Freed by: input_fini. */
struct input {
    struct block *block; /* where [start, end) lies, NULL between reads of a quiet connection */
    uint32_t start;      /* first unconsumed byte */
    uint32_t end;
    uint32_t last_read;
    uint32_t carry_len;
    uint8_t *carry; /* heap copy of a partial frame, or NULL */
    bool is_owned;
};

/* The shard's pool for small partial messages. */
void input_pool_init(struct shard *shard);

/* recv once, at most `max` bytes. Returns the bytes read, ERR_AGAIN, ERR_EOF or -errno; then [start, end) of `block`
 * holds all unconsumed bytes. */
MUST_CHECK long input_fill(struct input *input, struct stream *stream, uint32_t max);

/* As input_fill, without reading: the bytes kept so far lie in [start, end) of `block`. */
void input_resume(struct input *input, struct shard *shard);

/* After parsing: bytes before `input->start` are consumed; what is left (<= INPUT_PARTIAL_MAX) is
 * kept for the next read. */
void input_settle(struct input *input, struct shard *shard);

/* Unconsumed bytes as one heap copy (caller frees; NULL when none), for a move to another shard; the
 * input is empty afterwards. */
uint8_t *input_detach(struct input *input, struct shard *shard, uint32_t *len);
/* Begin with bytes that came from another shard; takes `carry`. */
void input_attach(struct input *input, struct shard *shard, uint8_t *carry, uint32_t len);

void input_fini(struct input *input, struct shard *shard);

#endif
