/* SPDX-License-Identifier: Apache-2.0 */
/* The catalog: vhosts, exchanges, queues and bindings as immutable views changed by commands. */
#ifndef TOKKI_CORE_CATALOG_CATALOG_H
#define TOKKI_CORE_CATALOG_CATALOG_H

#include "core/routing/exchange.h"

#include <stdatomic.h>

/* --- What readers see ---------------------------------------------------------------------------
 *
 * A reader thread (reclaim.h) finds a vhost, loads its view, and uses everything that it reaches
 * from there without locks until its next quiescent point. Views, exchanges, queue records and
 * bindings never change after their publication; keep incarnations, generations and versions across
 * turns, not pointers. (struct vhost itself stays valid as long as the catalog.) */

/* A queue as the catalog knows it. Replaced (same incarnation) when a binding to it comes or goes;
 * the strings stay where they are for as long as the incarnation lives.
 *
 * Immutable to readers. Owner: the catalog. Freed by: the catalog, by way of reclaim. */
struct queue_record {
    union {
        struct hamt_item item;
        struct {
            uint64_t name_hash;
            struct str name;
        };
    };
    struct queue_ref ref; /* ref.incarnation is the queue's incarnation */
    struct str arguments; /* table entries without the u32 length */
    uint64_t owner;       /* connection of an exclusive queue; else 0 */
    bool durable;
    bool auto_delete;
    bool exclusive;
    uint32_t mark;           /* see struct destination */
    struct hamt bindings_to; /* struct binding: this is the destination */
    struct queue_body *body; /* the catalog's: name and arguments, shared by all its records */
    uint64_t stamp;          /* the catalog's */
};

/* All of one vhost at one moment. */
struct vhost_view {
    uint64_t version;      /* rises with each commit that changed this vhost */
    uint64_t hash_seed;    /* of names and keys in all maps below */
    bool deleted;          /* the vhost is gone; the maps are empty */
    uint32_t mark_limit;   /* every mark is below */
    struct hamt exchanges; /* struct exchange by name */
    struct hamt queues;    /* struct queue_record by name */
    uint64_t stamp;        /* the catalog's */
};

/* A stable handle: same address from the vhost's creation until catalog_free(), even when the vhost
 * is deleted (its view then says so). A new vhost of the same name gets a new handle. */
struct vhost {
    struct hamt_item item;                   /* key: the name */
    _Atomic(const struct vhost_view *) view; /* published root */
    struct str name;
    uint64_t incarnation;
    struct vhost_view *working; /* the writer's: equals `view` when nothing is staged */
    struct vhost_marks *marks;  /* the writer's */
    struct vhost *next_dirty;   /* the writer's: staged changes wait for catalog_commit() */
    struct vhost *next;         /* the writer's: all handles, deleted ones too */
    bool dirty;                 /* the writer's */
};

struct catalog;

/* The vhost's present view. Valid until this reader's next quiescent point. Thread: any reader. */
static inline const struct vhost_view *catalog_view(const struct vhost *vhost)
{
    /* Acquire pairs with the release store of catalog_commit(): whoever sees the pointer sees the
     * nodes behind it. */
    return atomic_load_explicit(&vhost->view, memory_order_acquire);
}

/* The vhost of this name, NULL when there is none published. Thread: any reader, and the writer. */
struct vhost *catalog_find_vhost(const struct catalog *catalog, struct str name);

/* Hash of a name or routing key in this view; for callers that keep it across look-ups. */
static inline uint64_t view_hash(const struct vhost_view *view, struct str name)
{
    return str_hash(name, view->hash_seed);
}

/* The exchange / queue of this name, or NULL. Thread: any reader. */
static inline const struct exchange *view_find_exchange(const struct vhost_view *view,
                                                        struct str name)
{
    return (const struct exchange *)hamt_find(&view->exchanges, view_hash(view, name), name);
}

static inline const struct queue_record *view_find_queue(const struct vhost_view *view,
                                                         struct str name)
{
    return (const struct queue_record *)hamt_find(&view->queues, view_hash(view, name), name);
}

/* Walks for listings, in hash order. Use: hamt_iter_init(&it, &view->exchanges), or &view->queues,
 * &exchange->bindings_from, &exchange->bindings_to, &queue->bindings_to; then view_next_*() until
 * NULL. The default exchange has no stored bindings. */
static inline const struct exchange *view_next_exchange(struct hamt_iter *iter)
{
    return (const struct exchange *)hamt_iter_next(iter);
}

static inline const struct queue_record *view_next_queue(struct hamt_iter *iter)
{
    return (const struct queue_record *)hamt_iter_next(iter);
}

static inline const struct binding *view_next_binding(struct hamt_iter *iter)
{
    return (const struct binding *)hamt_iter_next(iter);
}

/* The vhosts that exist, for listings: hamt_iter_init(&it, catalog_vhosts(catalog)). Thread: any
 * reader, until its next quiescent point. */
const struct hamt *catalog_vhosts(const struct catalog *catalog);

static inline struct vhost *catalog_next_vhost(struct hamt_iter *iter)
{
    return (struct vhost *)hamt_iter_next(iter);
}

/* --- The writer's side --------------------------------------------------------------------------
 *
 * One thread (the catalog shard) applies commands and commits them. Applying stages the change: the
 * writer's own working view has it at once (so later commands build on it), readers see it at the
 * next commit. Commit once per turn, *before* any reply or mailbox message that tells somebody of
 * the change; in one turn thousands of commands then share the cost of copying paths. */

/* An empty catalog (no vhosts). `reclaim` is borrowed for the catalog's life; retiring with it is the
 * catalog's alone. `hash_seed` should be random per process: it keeps clients from choosing names
 * that collide. Owner: the node. Freed by: catalog_free(). */
MUST_CHECK struct catalog *catalog_new(struct reclaim *reclaim, uint64_t hash_seed);

/* No reader uses the catalog any more. NULL is fine. */
void catalog_free(struct catalog *catalog);

/* The version of struct catalog_command that this code writes and understands. */
#define CATALOG_COMMAND_VERSION 1

/* Numbers are part of the log format: never reused. */
enum catalog_command_kind {
    CATALOG_VHOST_ADD = 1,
    CATALOG_VHOST_DELETE = 2,
    CATALOG_EXCHANGE_DECLARE = 3,
    CATALOG_EXCHANGE_DELETE = 4,
    CATALOG_QUEUE_DECLARE = 5,
    CATALOG_QUEUES_DELETE = 6,
    CATALOG_BIND = 7,
    CATALOG_UNBIND = 8,
};

/* A queue to delete: one of the same name and another incarnation is left alone. */
struct catalog_queue_id {
    struct str name;
    uint64_t incarnation;
};

/* In the commands that create something, `incarnation` 0 asks for a new number, which is what a client's
 * wish is turned into. A record of what was done carries the number that was given: applying it gives
 * that number again (and later new ones are higher). 1 .. CATALOG_INCARNATION_MAX. */
#define CATALOG_INCARNATION_MAX (UINT64_C(1) << 62)

struct catalog_vhost_add {
    uint64_t incarnation; /* its predeclared exchanges have the numbers right behind it */
};

struct catalog_exchange_declare {
    struct str name;
    uint64_t incarnation;
    enum exchange_type type;
    bool durable;
    bool auto_delete;
    bool internal;
    struct str arguments; /* valid table without the u32 length */
};

struct catalog_exchange_delete {
    struct str name;
    bool if_unused; /* refuse while a binding has it as source */
};

struct catalog_queue_declare {
    struct str name;
    uint64_t incarnation;
    bool durable;
    bool auto_delete;
    bool exclusive;
    uint64_t owner; /* connection of an exclusive queue; else 0 */
    struct str arguments;
    uint16_t shard; /* placement, chosen by the broker */
    uint32_t slot;
};

struct catalog_queues_delete {
    const struct catalog_queue_id *queues;
    size_t count;
};

struct catalog_binding {
    struct str source; /* exchange; not the default one */
    enum destination_kind kind;
    struct str destination;
    struct str routing_key;
    struct str arguments; /* valid table without the u32 length; exchange_check_binding() passed */
};

/* One change, as it will also stand in the log: what matters to replay is in here, nothing is taken
 * from outside, so equal sequences give equal catalogs (names, marks, incarnations, generations).
 * All strings are borrowed for the call. */
struct catalog_command {
    uint8_t version; /* CATALOG_COMMAND_VERSION */
    uint8_t kind;    /* enum catalog_command_kind */
    struct str vhost;
    union {
        struct catalog_vhost_add vhost_add;
        struct catalog_exchange_declare exchange_declare;
        struct catalog_exchange_delete exchange_delete;
        struct catalog_queue_declare queue_declare;
        struct catalog_queues_delete queues_delete;
        struct catalog_binding binding; /* CATALOG_BIND, CATALOG_UNBIND */
    };
};

enum catalog_status {
    CATALOG_DONE,             /* created, deleted, bound, unbound */
    CATALOG_EXISTED,          /* declare, bind: it is there already; nothing changed */
    CATALOG_MISSING,          /* delete, unbind: there is no such thing; nothing changed */
    CATALOG_NO_VHOST,         /* nothing changed */
    CATALOG_SOURCE_NOT_FOUND, /* bind: no such source exchange (told first, as RabbitMQ does) */
    CATALOG_DESTINATION_NOT_FOUND, /* bind: no such queue or exchange */
    CATALOG_IN_USE,                /* exchange delete if_unused: it has bindings */
    CATALOG_REFUSED, /* a predeclared exchange was to be deleted or the default one bound */
};

/* What a command did. The pointers are the writer's working objects: use them on the writer thread
 * before the next catalog_apply(). */
struct catalog_result {
    enum catalog_status status;
    const struct exchange *exchange;  /* exchange declare: the one that is there now */
    const struct queue_record *queue; /* queue declare: the one that is there now */
    size_t queues_deleted;            /* queues delete */
    size_t bindings_deleted;          /* by deletes, cascades included */
    size_t exchanges_auto_deleted;    /* auto-delete exchanges that lost their last binding */
};

/* Apply one command to the working view (see above). Deterministic. Thread: the writer. */
void catalog_apply(struct catalog *catalog, const struct catalog_command *command,
                   struct catalog_result *out);

/* Publish everything applied since the last commit and free what no reader can hold any more. With
 * nothing staged it only frees: call it now and then while catalog_uncollected() is not 0, or the
 * memory of the last changes stays. Thread: the writer. */
void catalog_commit(struct catalog *catalog);

/* Pieces of memory that left the catalog and wait for readers to pass. Thread: the writer. */
size_t catalog_uncollected(const struct catalog *catalog);

/* --- Recording and replay -----------------------------------------------------------------------
 *
 * Durable are: vhosts, exchanges and queues declared durable, and bindings between such. A *record* is
 * a command that, applied to a catalog of the same durable content, makes the same durable change. It
 * never creates what is not durable, and carries the incarnation that was given. Records are turned to
 * bytes and back by command_codec.h. */

/* Receives a record. Everything in it is borrowed for the call; the catalog is not to be used
 * meanwhile. */
typedef void catalog_record_fn(void *context, const struct catalog_command *record);

/* From now on catalog_apply() hands a record of every durable effect to `journal`, in the order of the
 * effects; nothing when it changes nothing durable. What the deletion of an exchange or a queue takes
 * along is recorded only where replay would not do the same by itself: durable exchanges that go by
 * auto-delete are, bindings are not. Several records of one catalog_apply() belong together: whoever
 * keeps some of them and not all has a state that never was. `journal` NULL: no records. Thread: the
 * writer. */
void catalog_set_journal(struct catalog *catalog, catalog_record_fn *journal, void *context);

/* While on, commands are records: nothing is journaled, and no exchange goes by auto-delete (it may have
 * been held by a binding that is not durable; where it did go a record says so). Thread: the writer. */
void catalog_set_replaying(struct catalog *catalog, bool on);

/* Hand the durable content of the working view to `emit`, as records that build it up in an empty
 * catalog that is replaying, or has no journal. Queues come with the shard and slot that they have
 * here. Thread: the writer. */
void catalog_emit(const struct catalog *catalog, catalog_record_fn *emit, void *context);

/* The highest incarnation given so far, to anything; 0 before the first. Thread: the writer. */
uint64_t catalog_last_incarnation(const struct catalog *catalog);

/* Numbers up to `at_least` count as given: what is not durable leaves no record, and the numbers it had
 * must not come back after a restart. Lower than the present one: nothing. Thread: the writer. */
void catalog_reserve_incarnations(struct catalog *catalog, uint64_t at_least);

/* The writer's view of a vhost: staged changes included. Valid until the next catalog_apply().
 * Thread: the writer. */
static inline const struct vhost_view *catalog_working_view(const struct vhost *vhost)
{
    return vhost->working;
}

#endif
