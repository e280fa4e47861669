/* SPDX-License-Identifier: Apache-2.0 */
/* Writing messages to clients: basic.deliver, basic.get-ok, basic.return. */
#ifndef TOKKI_AMQP091_DELIVER_H
#define TOKKI_AMQP091_DELIVER_H

#include "proto/amqp091/channel.h"

/* subscription->context: the frame header and method up to the consumer tag, rendered once. */
MUST_CHECK void *deliver_prefix_new(uint16_t channel, struct str tag);

HOT void amqp_deliver(struct subscription *subscription, struct message *message, uint64_t tag);

/* Write `message`'s content frames (header and body) on a channel. The method frame is written. */
void content_write(struct amqp_conn *conn, uint16_t channel, struct message *message);

#endif
