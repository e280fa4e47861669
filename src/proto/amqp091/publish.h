/* SPDX-License-Identifier: Apache-2.0 */
/* basic.publish: from frames to a message on its way. */
#ifndef TOKKI_AMQP091_PUBLISH_H
#define TOKKI_AMQP091_PUBLISH_H

#include "core/content.h"
#include "proto/amqp091/channel.h"

/* Contents up to this are taken in place, as one run of bytes; larger ones are assembled in chunks. */
#define PUBLISH_IN_PLACE_MAX (256U * 1024U)

enum publish_progress {
    PUBLISH_DONE,      /* a whole publish was taken: `*used` bytes */
    PUBLISH_NEED_MORE, /* the beginning of one; the rest is to come behind it */
    PUBLISH_NOT,       /* something else, or not in one run: go frame by frame */
};

/* The hot path: a whole basic.publish with its content at `p`, in the connection's receive block. */
HOT enum publish_progress publish_in_place(struct amqp_conn *conn, const uint8_t *p, size_t n,
                                           size_t *used);

/* Frame by frame. */
void publish_begin(struct amqp_channel *channel, const struct amqp_basic_publish *args);
void publish_header(struct amqp_channel *channel, struct str payload);
void publish_body(struct amqp_channel *channel, struct str payload);
void publish_assembly_free(struct amqp_channel *channel);
/* The content header is still to come (else body frames). There is an assembly. */
bool publish_wants_header(const struct amqp_channel *channel);

/* Route and send a complete message (takes its reference), with everything checked. `is_commit`: it
 * comes out of a transaction, so it is not counted for confirms nor kept again. */
void publish_message(struct amqp_channel *channel, struct message *message, bool mandatory,
                     bool is_commit);

/* Forget what was derived from the last publish. */
void publish_template_free(struct amqp_channel *channel);

#endif
