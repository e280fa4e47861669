/* SPDX-License-Identifier: Apache-2.0 */
/* Operations: everything a session asks for that may need another shard or the catalog's writer. */
#ifndef TOKKI_BROKER_OPERATION_H
#define TOKKI_BROKER_OPERATION_H

#include "broker/session.h"

struct operation;

/* Where an operation goes on. */
typedef void (*operation_step)(struct operation *operation, struct broker_shard *here);

/* Told on the session's shard when the operation has ended; perhaps before the call that started it
 * returns. The operation is freed after it. A session must not be closed before. */
typedef void (*operation_done)(struct operation *operation, struct session *session);

/* Told on the session's shard, before `done`, when the operation has worked and only waits for the log. */
typedef void (*operation_promised)(struct operation *operation, struct session *session);

/* An operation travels: a step runs on one shard and sends it on to the next. In between it is in a
 * mailbox or waits on a list; it is never touched by two threads.
 *
 * Owner: whoever runs its step. Thread: that shard's. Freed by: its end, after `done` (operation.c). */
struct operation {
    operation_step step;
    operation_step after_commit; /* what follows on the catalog shard once readers see the change */
    operation_done done;
    operation_promised promised; /* NULL: nobody wants to know */
    bool was_promised;
    bool
        is_behind; /* of the session's earlier operations, which may be promised: it ends after them */
    void *context;                 /* the protocol's */
    struct operation *next;        /* on a waiting list */
    struct session *session;       /* NULL: the broker's own, or the connection's */
    struct connection *connection; /* of the session, or who ends; NULL: the broker's own */
    uint16_t origin;
    struct refusal refusal; /* code 0: it worked */
    lsn_t lsn;              /* the reply waits until this is durable (0: it need not) ... */
    uint16_t lsn_shard;     /* ... on this shard's stream */

    /* What was asked. Strings point into `text`. */
    struct vhost *vhost;
    struct str name;      /* queue, exchange or destination */
    struct str other;     /* exchange type, or source */
    struct str key;       /* routing key, or consumer tag */
    struct str arguments; /* table */
    bool passive;
    bool durable;
    bool exclusive;
    bool auto_delete;
    bool internal;
    bool if_unused;
    bool if_empty;
    bool no_ack;
    bool nowait;
    bool is_unbind;
    bool is_to_exchange;
    int32_t priority;
    uint32_t prefetch;
    uint64_t owner; /* connection */
    uint32_t subscription_id;
    struct queue_settings settings;

    /* On the way, and what came of it. */
    struct queue *dying; /* the queue that this operation deletes */
    struct queue_ref queue;
    struct catalog_queue_id *ids; /* queues to delete together */
    struct queue **dying_all;
    uint32_t id_count;
    uint64_t shards_left; /* a barrier's way: bit i for shard i */
    uint64_t transaction; /* that a barrier commits; 0: none */
    bool has_records;     /* something of it may have been staged */
    uint32_t message_count;
    uint32_t consumer_count;
    bool place_here;    /* a new queue belongs on the session's shard */
    uint16_t placement; /* shard of a new queue */
    bool found;
    uint64_t position;
    struct message message;
    struct consumer_ref consumer;
    struct subscription *subscription;
    struct session_ref reply_to;
    uint64_t reply_token;

    char text[];
};

/* A new operation of `session` (its strings are copied). Takes nothing; the caller sets what else was
 * asked and starts it with one of the functions below. */
MUST_CHECK struct operation *operation_new(struct session *session, struct str name,
                                           struct str other, struct str key, struct str arguments,
                                           operation_done done);
/* One of the broker's own, for `vhost`. */
MUST_CHECK struct operation *operation_new_internal(struct broker_shard *broker,
                                                    struct vhost *vhost, struct str name);

/* Go on with `step` on shard `to`: at once when it is this one, else by mail. */
void operation_send(struct operation *operation, struct broker_shard *here, uint16_t to,
                    operation_step step);
/* Apply a command to the catalog (version and vhost are filled in). Thread: the catalog shard's. */
void operation_apply(struct operation *operation, struct broker_shard *here,
                     struct catalog_command *command, struct catalog_result *result);
/* The reply waits for the log; a later one for the same operation counts instead. */
static inline void operation_wait_for(struct operation *operation, struct broker_shard *here,
                                      lsn_t lsn)
{
    operation->lsn = lsn;
    operation->lsn_shard = here->shard->id;
}
/* It waits for all catalog records so far: what it found there may not be durable yet. */
void operation_wait_for_catalog(struct operation *operation, struct broker_shard *here);
/* Back to the session's shard when what it waits for is durable, then `done`. */
void operation_return(struct operation *operation, struct broker_shard *here);
/* On the catalog shard, once readers see what was applied: run `operation->after_commit`, or (NULL)
 * begin again with `operation->step` on the session's shard. */
void operation_wait_commit(struct operation *operation, struct broker_shard *here);
/* Run what waits on `list` (linked by `next`), each from its own beginning. */
void operation_resume_all(struct operation *list, struct broker_shard *here);

/* ---- start (name: what; see the fields) ---- */

void operation_exchange_declare(struct operation *operation); /* other: type */
void operation_exchange_delete(struct operation *operation);
void operation_queue_declare(struct operation *operation); /* name must not be empty */
void operation_queue_delete(struct operation *operation);
void operation_queue_purge(struct operation *operation);
void operation_bind(struct operation *operation); /* name: destination, other: source, key */
void operation_get(struct operation *operation);
/* key: the consumer tag. On success operation->subscription is the new one. */
void operation_consume(struct operation *operation);
void operation_cancel(struct operation *operation, struct subscription *subscription);
/* Delete all exclusive queues of a connection in one command. `done` gets no session. */
void operation_delete_exclusive(struct broker_shard *here, struct connection *connection,
                                struct vhost *vhost, operation_done done, void *context);
/* Done when every shard in the session's `touched` set has handled all mail sent to it before. */
void operation_barrier(struct operation *operation);

/* Does the requester behind a direct reply-to address still wait? 404 when not; name: the address. */
void operation_reply_address(struct operation *operation);

/* Those that wait for a message of the queue to be read back look again. Thread: its shard. */
void operation_get_again(struct queue *queue);

/* The queue should go because nobody uses it (auto-delete, x-expires). Thread: its shard. */
void operation_delete_idle(struct queue *queue);

/* ---- shared checks ---- */

/* Find the queue that is to be read (consume, get, purge) and set operation->queue. False: the operation
 * has ended with 403, 404 or (another connection's exclusive queue) 405. */
MUST_CHECK bool operation_finds_readable(struct operation *operation, struct broker_shard *here);
/* The exclusive owner alone may use a queue (405). */
MUST_CHECK int check_owner(const struct queue_record *queue, uint64_t connection, struct str vhost,
                           struct refusal *refusal);
/* 403 unless the session's user may do `what` to `name`. `kind` is "queue" or "exchange". */
MUST_CHECK int check_permission(const struct session *session, enum permission what,
                                const char *kind, struct str name, struct refusal *refusal);
/* 404 texts. */
int refuse_no_queue(struct refusal *refusal, struct str name, struct str vhost);
int refuse_no_exchange(struct refusal *refusal, struct str name, struct str vhost);

#endif
