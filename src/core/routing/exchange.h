/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanges and bindings as readers see them, and the vtable behind each exchange type. */
#ifndef TOKKI_CORE_ROUTING_EXCHANGE_H
#define TOKKI_CORE_ROUTING_EXCHANGE_H

#include "core/routing/dest_set.h"

enum exchange_type {
    EXCHANGE_DIRECT,
    EXCHANGE_FANOUT,
    EXCHANGE_TOPIC,
    EXCHANGE_HEADERS,
};
#define EXCHANGE_TYPE_COUNT 4

/* One binding. Its identity is (source, destination, routing key, arguments); arguments are kept
 * sorted by name, as RabbitMQ sorts them, so that their order does not matter to an unbind.
 *
 * Immutable. Owner: the catalog (two indexes share it). Thread: readers any, until their next
 * quiescent point. Freed by: the catalog, by way of reclaim. */
struct binding {
    struct hamt_item item; /* key: marks of both ends, routing key, arguments */
    struct str source;     /* exchange */
    struct str destination;
    struct str routing_key;
    struct str arguments; /* table entries without the u32 length */
    struct destination target;
    uint32_t source_mark;
    enum destination_kind kind;
    bool durable;   /* both ends are */
    uint64_t stamp; /* the catalog's */
};

struct topic_node;

/* The matcher of an exchange type, by value inside the exchange. */
union exchange_state {
    struct hamt keys;         /* direct: struct direct_key by routing key */
    struct dest_set all;      /* fanout */
    struct topic_node *topic; /* topic: root of the trie; NULL when empty */
    struct hamt header_index; /* headers: struct header_bucket by hash of (name, value) */
};

/* An exchange of one view. A bind or unbind replaces the object (same incarnation, new generation);
 * the strings stay where they are for as long as the incarnation lives.
 *
 * Immutable to readers. Owner: the catalog. Thread: readers any, until their next quiescent point.
 * Freed by: the catalog, by way of reclaim. */
struct exchange {
    union {
        struct hamt_item item;
        struct {
            uint64_t name_hash;
            struct str name;
        };
    };
    struct str arguments; /* table entries without the u32 length */
    struct str alternate; /* argument alternate-exchange */
    bool has_alternate;
    bool has_exchange_destinations; /* a binding of it leads to an exchange */
    bool durable;
    bool auto_delete;
    bool internal;
    bool predeclared; /* "" and amq.* that every vhost has: never deleted by a command */
    enum exchange_type type;
    uint32_t mark;        /* see struct destination */
    uint64_t incarnation; /* unique for the life of the data directory */
    uint64_t hash_seed;   /* as in the view */
    uint64_t
        generation; /* new whenever a binding *of this exchange* comes or goes; never repeats */
    const struct exchange_ops *ops;
    union exchange_state state;
    struct hamt bindings_from;           /* struct binding: this is the source */
    struct hamt bindings_to;             /* struct binding: this is the destination */
    uint32_t exchange_destination_count; /* bindings that lead to exchanges */
    struct exchange_body *body; /* the catalog's: name and arguments, shared by all generations */
    uint64_t stamp;             /* the catalog's */
};

struct vhost_view;
struct route_result;

/* What a message is routed by. */
struct route_input {
    struct str routing_key;
    struct str headers; /* the message's headers table without the u32 length; empty when none */
};

/* An exchange type. `bind` and `unbind` change the state of an exchange that the edit owns, and
 * borrow nothing but the binding itself, which lives until it is unbound. Both run on the writer,
 * `route` on any reader. */
struct exchange_ops {
    const char *name; /* as clients write it: "direct" */
    /* Can routing be repeated for the same key while the generation stays? */
    bool depends_on_headers;
    void (*bind)(struct exchange *exchange, const struct edit *edit, const struct binding *binding);
    void (*unbind)(struct exchange *exchange, const struct edit *edit,
                   const struct binding *binding);
    /* Hand the matching destinations to route_add(). */
    void (*route)(const struct vhost_view *view, const struct exchange *exchange,
                  const struct route_input *input, struct route_result *out);
    /* Dispose of the state, whatever is bound; `exchange` may be a copy of what readers still see. */
    void (*clear)(struct exchange *exchange, const struct edit *edit);
};

extern const struct exchange_ops default_exchange_ops; /* "": by queue name, nothing is bound */
extern const struct exchange_ops direct_exchange_ops;
extern const struct exchange_ops fanout_exchange_ops;
extern const struct exchange_ops topic_exchange_ops;
extern const struct exchange_ops headers_exchange_ops;

/* The type that a client calls `name`. False when there is none. */
bool exchange_type_find(struct str name, enum exchange_type *type);

/* "direct", "fanout", "topic", "headers". */
const char *exchange_type_name(enum exchange_type type);

/* The ops of a type (not of the default exchange). */
const struct exchange_ops *exchange_ops_of(enum exchange_type type);

/* Check the arguments of a binding to an exchange of this type. 0, or ERR_USAGE with the detail of
 * RabbitMQ's 406 in `text` (cut at `cap` - 1 bytes, NUL at the end); only headers exchanges have one.
 * Source: rabbit_exchange_type_headers, validate_binding. */
MUST_CHECK int exchange_check_binding(enum exchange_type type, struct str arguments, char *text,
                                      size_t cap);

#endif
