/* SPDX-License-Identifier: Apache-2.0 */
/* Shard: one thread with an epoll loop, timers, blocks and mailboxes to every other shard. */
#ifndef TOKKI_IO_SHARD_H
#define TOKKI_IO_SHARD_H

#include "base/bug.h"
#include "base/list.h"
#include "base/pool.h"
#include "io/block.h"
#include "io/handler.h"
#include "io/mailbox.h"
#include "io/spin.h"
#include "io/stream.h"
#include "io/timer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A shard id fits a handle's 16 bits; more threads than this gain nothing on one machine. */
#define SHARDS_MAX 64

struct shard;

/* Work put off to the end of the turn: mostly freeing what events of this turn may still name. */
struct deferred {
    struct deferred *next;
    void (*run)(struct deferred *work, struct shard *shard);
};

/* What the layers above do at the fixed points of a turn (shard.c draws it). All are called on the
 * shard's thread; all must be set. */
struct shard_hooks {
    void (*awake)(struct shard *shard); /* a turn begins: may look at shared values again */
    void (*owed)(struct shard *shard);  /* deliver what consumers are owed, before new input */
    void (*mail)(struct shard *shard, uint16_t from, const void *entry);
    void (*conclude)(struct shard *shard);  /* input is done: dispatch, stage, gather replies */
    void (*hand_over)(struct shard *shard); /* mail leaves next: what it tells of goes to the log */
    bool (*has_work)(struct shard *shard);  /* must the next turn come at once? */
    void (*asleep)(struct shard *shard);    /* holds no shared value while it sleeps */
    void (*stop)(struct shard *shard);      /* orderly end begins; called once */
    bool (*is_stopped)(struct shard *shard); /* nothing left to wait for? */
};

/* Owner: struct shard_set. Thread: its own, except the fields marked shared. Freed by:
 * shard_set_free after the thread has ended. */
struct shard {
    uint16_t id;
    uint16_t count;   /* shards in the set */
    uint32_t spin_us; /* longest look for more before it sleeps */
    struct spin spin;
    uint64_t turn_input; /* bytes received in this turn */
    int epoll_fd;
    int wake_fd;
    uint64_t now_ns; /* monotonic, read once a turn */
    uint64_t now_ms;
    struct timer_wheel timers;
    struct block_store blocks;
    struct block *receive;  /* block that small reads of all connections append to; may be NULL */
    uint32_t receive_owned; /* receive blocks that a busy connection keeps for itself */
    uint64_t carry_bytes;   /* partial frames that connections without a block keep */
    struct pool carries;    /* buffers for the small ones */
    struct stream_pools stream_pools;
    struct list dirty_streams; /* streams with output to send this turn */
    struct deferred *deferred; /* oldest first */
    struct deferred **deferred_end;
    struct mailbox *inbox[SHARDS_MAX];  /* from shard i; NULL for i == id */
    struct mailbox *outbox[SHARDS_MAX]; /* to shard i */
    struct {
        struct block *block;
        uint32_t count;
    } releases[SHARDS_MAX]; /* run of block releases not yet posted, per owner */
    const struct shard_hooks *hooks;
    void *upper; /* the broker's per-shard state */
    struct shard_set *set;
    pthread_t thread;
    bool stopping;
    uint64_t turns;
    /* Shared. */
    CACHE_ALIGNED _Atomic bool sleeping;
    _Atomic bool poked;
    _Atomic bool stop_requested;
    _Atomic uint32_t receive_pinned; /* receive blocks that waiting messages keep */
    _Atomic uint64_t queue_bytes;    /* of waiting messages of this shard */
    _Atomic uint64_t bytes_in_use;   /* messages, buffers and unfinished input of this shard */
};

/* Owner: main. Thread: made and ended by main; the array is immutable in between. */
struct shard_set {
    uint16_t count;
    struct shard *shards[SHARDS_MAX];
};

extern _Thread_local struct shard *shard_current;

/* Mutating functions begin with this (style section 4.8). */
static inline void assert_on_shard(const struct shard *shard)
{
    DEBUG_BUG_ON(shard_current != shard, "shard %u touched from another thread", shard->id);
    (void)shard;
}

/* Make `count` shards with their mailboxes; no thread runs yet. `spin_us`: how long a shard that was
 * busy looks for more before it sleeps, while that pays (spin.h; 0: not at all). Errors: -errno (descriptors). */
MUST_CHECK int shard_set_new(uint16_t count, uint32_t spin_us, const struct shard_hooks *hooks,
                             struct shard_set **out);
/* The shard's time is now: for who did long work on it before its thread runs. */
void shard_read_clock(struct shard *shard);
/* Start one thread per shard. Errors: -errno; shards started before it have been stopped. */
MUST_CHECK int shard_set_start(struct shard_set *set);
/* Ask all shards to stop in good order (hooks->stop) and wait for their threads. */
void shard_set_stop(struct shard_set *set);
/* After all threads have ended: handle block releases still in the mailboxes, forget the rest. */
void shard_set_drain_mail(struct shard_set *set);
void shard_set_free(struct shard_set *set);

/* Let a sleeping shard take a turn. Any thread. */
void shard_wake(struct shard *shard);
/* Some value that the shard looks at each turn has changed: it takes a turn after this, at no cost while it
 * is awake. Any thread. */
void shard_poke(struct shard *shard);

/* Watch `fd` (level-triggered). Errors: -errno. */
MUST_CHECK int shard_watch(struct shard *shard, int fd, struct io_handler *handler,
                           uint32_t events);
void shard_rewatch(struct shard *shard, int fd, struct io_handler *handler, uint32_t events);
void shard_unwatch(struct shard *shard, int fd);

/* Run `work` when this turn is over. */
void shard_defer(struct shard *shard, struct deferred *work,
                 void (*run)(struct deferred *, struct shard *));

/* Room for one mail entry (MAIL_BYTES) to shard `to` (not itself), filled before the next post; it
 * begins with struct mail_header, kind >= MAIL_USER. Sent when the turn ends. */
__attribute__((returns_nonnull)) void *shard_post(struct shard *shard, uint16_t to);
/* Does mail to `to` wait outside the ring? Then stop making more of it. */
static inline bool shard_is_congested(const struct shard *shard, uint16_t to)
{
    return to != shard->id && mailbox_is_congested(shard->outbox[to]);
}
/* Handle the mail that has arrived. Also called after each recv, before its bytes are parsed: what a
 * client was told on one connection must hold on every other (architecture section 2). */
void shard_read_mail(struct shard *shard);

/* Mail kinds below this are the io layer's own. */
#define MAIL_USER 16

/* block_unref's part for blocks of other shards. */
void shard_release_remote(struct shard *shard, struct block *block, uint32_t n);

#endif
