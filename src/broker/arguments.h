/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of declarations: what they must look like, what they mean, whether two are equal. */
#ifndef TOKKI_BROKER_ARGUMENTS_H
#define TOKKI_BROKER_ARGUMENTS_H

#include "core/catalog/catalog.h"
#include "core/queue/queue.h"
#include "core/refusal.h"

/* Check a new queue's arguments and fill the settings they determine. ERR_REFUSED: 406 with
 * RabbitMQ's text, or 540 for an argument whose feature this version does not have. */
MUST_CHECK int arguments_queue_settings(struct str name, struct str vhost, struct str arguments,
                                        struct queue_settings *settings, struct refusal *refusal);

/* Is a redeclaration of `queue` equal to it? (406) */
MUST_CHECK int arguments_compare_queue(const struct queue_record *queue, bool durable,
                                       bool auto_delete, struct str arguments, struct str vhost,
                                       struct refusal *refusal);

/* The same two for exchanges; `type` is the name that the client gave. */
MUST_CHECK int arguments_check_exchange(struct str name, struct str vhost, struct str arguments,
                                        struct refusal *refusal);
MUST_CHECK int arguments_compare_exchange(const struct exchange *exchange, struct str type,
                                          bool durable, bool auto_delete, bool internal,
                                          struct str arguments, struct str vhost,
                                          struct refusal *refusal);

/* A consumer's x-priority (0 when absent); 540 for consumer arguments of missing features. */
MUST_CHECK int arguments_consumer(struct str arguments, struct str queue, struct str vhost,
                                  int32_t *priority, struct refusal *refusal);

/* The value of an `expiration` property in ms; 406 with RabbitMQ's text. */
MUST_CHECK int arguments_expiration(struct str text, uint64_t *ttl_ms, struct refusal *refusal);

#endif
