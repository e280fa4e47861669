/* SPDX-License-Identifier: Apache-2.0 */
/* Torture: a node without sockets and threads over a disk that forgets, and a model of what must be left. */
#ifndef TOKKI_TORTURE_H
#define TOKKI_TORTURE_H

#include "core/catalog/catalog.h"
#include "core/queue/consumer.h"
#include "core/recovery/restore.h"
#include "storage/chance.h"
#include "storage/disk_memory.h"

#define SIM_SHARDS_MAX 3
#define SIM_QUEUES 6
#define SIM_EXCHANGES 3
#define SIM_KEYS 3
#define SIM_TRANSACTIONS 4
/* Wall clock of the simulation minus its shards' clock. */
#define SIM_WALL_OFFSET 5000000000U

/* --- The model: what is in the log, in the log's order. ---------------------------------------------- */

enum event_kind {
    EVENT_VHOST,
    EVENT_EXCHANGE,
    EVENT_EXCHANGE_GONE,
    EVENT_BIND,
    EVENT_UNBIND,
    EVENT_QUEUE,
    EVENT_QUEUE_GONE,
    EVENT_ADD,
    EVENT_GONE,
    EVENT_MARK,
    EVENT_COMMIT,
};

/* One record, as the one who staged it knows it. */
struct event {
    enum event_kind kind;
    uint16_t stream;
    lsn_t part;
    uint64_t transaction;
    uint64_t incarnation; /* of the queue */
    uint64_t position;    /* of the message; of EVENT_MARK: the mark */
    uint64_t expires_ms;  /* wall clock */
    uint32_t number;      /* of the message: its bytes follow from it */
    uint8_t name;         /* of the queue */
    uint8_t exchange;
    uint8_t key;
};

struct events {
    struct event *all;
    size_t count;
    size_t capacity;
};

struct model_message {
    uint64_t position;
    uint64_t expires_ms;
    uint32_t number;
    uint64_t added_by; /* transaction */
    uint64_t gone_by;
    bool is_gone;
    bool was_redelivered; /* when it was last recovered: that may never be forgotten */
};

struct model_queue {
    uint64_t incarnation;
    uint64_t marked;
    uint64_t ever_marked; /* in all lives */
    uint64_t tail;        /* behind the highest position that was given */
    uint8_t name;
    struct model_message *messages; /* by position */
    size_t count;
    size_t capacity;
};

/* What is durable. Owner: the history. */
struct model {
    bool is_clean; /* the node stopped in good order, and nothing followed */
    bool has_vhost;
    bool exchanges[SIM_EXCHANGES];
    bool bindings[SIM_EXCHANGES][SIM_QUEUES][SIM_KEYS];
    struct model_queue *queues[SIM_QUEUES]; /* by name; NULL: none */
    uint64_t last_incarnation;
    uint64_t *committed;
    size_t committed_count;
    size_t committed_capacity;
    struct events events; /* handed over to the log since the last recovery, in its order */
    size_t applied;       /* so many of them are in the fields above */
};

/* A message that was found, for the comparison. */
struct found_message {
    uint64_t position;
    uint64_t expires_ms;
    uint32_t number;
    bool is_redelivered;
};

struct found_queue {
    uint64_t incarnation;
    uint64_t marked;
    uint64_t tail;
    struct found_message *messages;
    size_t count;
};

/* What a recovery found. */
struct found {
    bool has_vhost;
    bool is_clean;
    bool exchanges[SIM_EXCHANGES];
    bool bindings[SIM_EXCHANGES][SIM_QUEUES][SIM_KEYS];
    struct found_queue queues[SIM_QUEUES];
};

void events_add(struct events *events, const struct event *event);

void model_fini(struct model *model);
/* Go on by one event. */
void model_step(struct model *model);
/* Why what was found is not the model's present state; NULL when it is. */
const char *model_differs(const struct model *model, const struct found *found, char text[256]);
/* The model goes on from its present state, which is what was found: what was not applied never was, and
 * transactions without a commit neither. */
void model_settle(struct model *model, const struct found *found);

/* --- The node. --------------------------------------------------------------------------------------- */

struct sim;

/* A message in a queue at run time. */
struct live_message {
    uint64_t position;
    uint32_t number;
    bool is_kept;
    bool is_unacked;
    bool is_redelivered;          /* what its next delivery must say */
    bool is_leaving;              /* its settle is under way */
    bool must_go;                 /* the present operation takes it away */
    bool is_paged;                /* it is in a page when timers fire */
    uint64_t expires_ms;          /* shard clock */
    struct consumer_ref consumer; /* who has it, when it was a consumer */
};

struct sim_queue {
    struct sim *sim;
    struct queue *queue; /* NULL: there is none of this name */
    uint8_t name;
    uint64_t marked;               /* the newest mark that was staged */
    struct live_message *messages; /* by position */
    size_t count;
    size_t capacity;
    struct consumer *consumer; /* NULL: nobody consumes */
    uint32_t getters;          /* clients that got QUEUE_GOT_LATER */
};

struct sim_transaction {
    uint64_t id; /* 0: free */
    uint16_t shard;
    uint32_t mails;   /* under way */
    uint64_t touched; /* shards with parts that are not handed over yet */
};

enum mail_kind { MAIL_ENQUEUE, MAIL_SETTLE };

/* From one shard to another; arrives some time after the sender has handed over its records. */
struct sim_mail {
    struct sim_mail *next;
    enum mail_kind kind;
    uint16_t from;
    uint16_t to;
    uint64_t serial;
    uint64_t transaction;
    uint64_t incarnation;
    uint8_t name;
    struct message message;
    uint32_t number;
    struct consumer_ref consumer;
    uint64_t first;
    uint64_t count;
    enum queue_settle_how how;
};

struct sim_shard {
    struct sim *sim;
    struct shard *shard;
    struct stage stage;
    struct queue_host host;
    struct events staged; /* not handed over yet */
    uint32_t slots;
};

/*        begin                 mail of before has come       every shard         open transactions ended
 *  NONE -------> BARRIER ------------------> GATHER -------> DRAIN ----------> WRITE -------> NONE */
enum checkpoint_step {
    CHECKPOINT_NONE,
    CHECKPOINT_BARRIER,
    CHECKPOINT_GATHER,
    CHECKPOINT_DRAIN,
    CHECKPOINT_WRITE,
};

struct sim_checkpoint {
    enum checkpoint_step step;
    struct log_checkpoint *checkpoint;
    struct log_gather gather;
    uint16_t shard;
    struct queue_walk walk;
    bool has_catalog;
    uint64_t last_mail;
    uint64_t last_transaction;
};

/* When the process is killed. */
struct life_span {
    uint64_t calls_left; /* that change the disk; 0: no end is planned */
    bool is_over;
};

/* The log of what need not survive: another one in each life. */
struct sim_spill {
    struct disk *disk;     /* of the history: each life empties it */
    struct life_span span; /* this disk is never cut */
    struct log *log;
    struct stage stages[SIM_SHARDS_MAX];
    bool is_started;
    bool is_stalled;      /* as a full disk that is waited for */
    bool has_failed_call; /* a fault was planned in this life */
    bool has_failed;      /* so the node stops */
    bool wants_sweep;
    bool is_sweep_written;
    struct log_checkpoint *sweep; /* being gathered */
    struct log_gather gather;
    struct queue_walk walk;
    uint16_t sweep_shard; /* the next */
};

/* What clients of a history do beside the usual, so that much is written and little of it lives. */
enum sim_style {
    STYLE_MIXED,     /* nothing */
    STYLE_KEEPER,    /* queue 0 is never consumed, others move much */
    STYLE_SCATTERED, /* 30 of 100 live, everywhere */
    STYLE_FANOUT,    /* bodies of all queues are released one by one */
    STYLE_HELD,      /* some are unacknowledged for long */
    STYLES,
};

/* One history: a node's lives on one disk. Owner: run_history. */
struct sim {
    uint64_t seed;
    bool is_verbose;
    struct chance chance;
    enum sim_style style;
    uint64_t transient_of_60; /* of the style's messages */
    uint16_t shard_count;
    uint32_t segment_bytes;
    uint64_t checkpoint_bytes;
    struct disk *disk;
    struct life_span span;
    struct sim_spill spill;
    struct model model;
    uint32_t next_number;
    size_t messages_max; /* in one queue */
    uint64_t now_ms;
    uint64_t lives;
    bool is_alive;        /* recovered, and not ended yet */
    bool has_failed_call; /* a fault was planned in this life */
    bool is_unreadable;   /* the disk did not give something back: the node ends */

    /* Of the present life. */
    struct log *log;
    struct shard_set *set;
    struct sim_shard shards[SIM_SHARDS_MAX];
    struct reclaim *reclaim;
    struct catalog *catalog;
    struct vhost *vhost;
    uint64_t last_transaction;
    struct sim_queue queues[SIM_QUEUES];
    struct sim_transaction transactions[SIM_TRANSACTIONS];
    struct sim_mail *mail; /* oldest first */
    uint64_t last_mail;
    uint64_t senders; /* shards whose turn must end before that mail leaves */
    struct sim_checkpoint checkpoint;
    bool wants_checkpoint;
    struct event *catalog_event; /* of the command that is applied */
};

/* Ends the program: this history is not as it must be. */
__attribute__((noreturn, format(printf, 2, 3))) void torture_fail(const struct sim *sim,
                                                                  const char *format, ...);
#define CHECK(sim, condition, ...)                                                                 \
    do {                                                                                           \
        if (!(condition))                                                                          \
            torture_fail(sim, __VA_ARGS__);                                                        \
    } while (0)

/* body.c: messages whose bytes follow from their number; those with these bits are small, or of a size that fills
 * segments */
#define NUMBER_SMALL (1U << 31)
#define NUMBER_MIDDLE (1U << 30)
#define NUMBER_BITS (NUMBER_SMALL | NUMBER_MIDDLE)
struct message body_make(struct sim *sim, struct sim_shard *at, uint32_t number,
                         bool is_persistent);
void body_check(const struct sim *sim, const struct message *message, uint32_t number);
/* The number in its first octets. */
uint32_t body_number(const struct sim *sim, const struct message *message);
uint32_t body_bytes(uint32_t number);
/* Octets of its records in a log, about. */
uint64_t body_log_bytes(uint32_t number);
/* Octets of it in records of at least `record`. */
uint64_t body_large_bytes(uint32_t number, uint64_t record);

/* lent.c: `disk`, which outlives this one, and `span`. */
struct disk *disk_lend(struct disk *disk, struct life_span *span);

/* shards.c */
void open_shards(struct sim *sim);
void close_shards(struct sim *sim);
/* The catalog's records, as the node's journal writes them. */
void journal(void *context, const struct catalog_command *command);
/* An effect that was staged last on `shard`. */
void shard_note(struct sim *sim, uint16_t shard, struct event event);
/* Effects in parts that were handed over go to the model. After everything that stages. */
void shard_settled(struct sim *sim, uint16_t shard);
/* Hand over, as the end of a turn does. */
void shard_hand_over(struct sim *sim, uint16_t shard, bool is_due);
/* Room for the records of one operation in the open part, so that all of it is in one. */
void shard_make_room(struct sim *sim, uint16_t shard);
void queue_begin(struct sim *sim, uint8_t name, struct queue *queue);
void queue_end(struct sim *sim, uint8_t name);
struct live_message *queue_remember(struct sim_queue *queue, const struct live_message *message);
/* What the last operation has done to the messages of the queue. */
void queue_observe(struct sim *sim, struct sim_queue *queue);
struct sim_shard *shard_of(struct sim *sim, const struct sim_queue *queue);
/* The message at `position`, which is there. */
struct live_message *queue_message(struct sim_queue *queue, uint64_t position);
/* `message`, at `position`, is given to a client: it must be the right one. */
struct live_message *queue_gives(struct sim_queue *queue, const struct message *message,
                                 uint64_t position);

/* recover.c */
struct found_state {
    struct sim *sim;
    struct recovery recovery;
    struct found found;
    struct log_error error;
    int rc;
};

/* From the replayed records to queues. Errors as log_read. */
int restore(struct found_state *restoring);

/* life.c */
/* Begin a life on sim->disk: recover, compare, rebuild. False: the power went meanwhile (or a planned
 * failure ended it). */
bool life_begin(struct sim *sim);
/* The process is gone; sim->disk holds the disk as it was left. */
void life_end(struct sim *sim);
/* An end in good order; false when the disk did not take it. */
bool life_stop(struct sim *sim);

/* operations.c: what clients do. */
void operation_random(struct sim *sim);
/* After each operation, before the mail that it sends arrives. */
void operation_end_turns(struct sim *sim);
/* A client asks for a message. */
void operation_get(struct sim *sim, struct sim_queue *queue);
/* The end of a turn, as far as this queue goes. */
void operation_dispatch(struct sim *sim, struct sim_queue *queue);
/* A consumer, or none any more. */
void operation_consume(struct sim *sim, struct sim_queue *queue, uint32_t prefetch, bool no_ack);
void operation_cancel(struct sim *sim, struct sim_queue *queue);

/* paging.c */
/* Everything that is known of a queue must be what this program knows. */
void queue_look(const struct sim *sim, const struct sim_queue *queue);
/* Timers have fired: nothing that is ready is past its time, but for what has to be read first, or for later turns. */
void queue_look_at_times(const struct sim *sim, const struct sim_queue *queue);
enum message_state queue_state_at(const struct queue *queue, uint64_t position);
/* Some memory is let go. */
void page_out_random(struct sim *sim);
/* The shards take what was read. */
void fetched(struct sim *sim);
/* The host's events. */
void on_loaded(struct queue *queue);
void on_unreadable(struct queue_host *host, const struct queue *queue, uint64_t id, int rc);
/* Nothing is waited for any more, since the log has ended. */
void forget_loads(struct sim *sim, uint16_t shard);

/* bulk.c: many messages at once. */
/* A queue that they come to, or that is read to its end. */
void burst_random(struct sim *sim);
void drain_random(struct sim *sim);
/* What the history's style wants. */
void bulk_random(struct sim *sim);
/* Does nobody take anything from this queue? */
bool is_left_alone(const struct sim *sim, uint8_t name);

/* spill.c: as broker/spill.c */
/* This shard is about to page out. */
void spill_begin(struct sim *sim, uint16_t shard);
void spill_hand_over(struct sim *sim, uint16_t shard);
/* Sweeps, a shard at a time; it stalls and goes on. */
void spill_go_on(struct sim *sim);
/* A step of a sweep that is wanted or under way; false: none is. */
bool spill_sweep_goes_on(struct sim *sim);
/* The spill is waited for. */
void spill_wake(struct sim *sim);
/* The log's threads. False: it has failed, the node stops. */
bool spill_write_some(struct sim *sim);
/* Before the shards are closed. */
void spill_stop(struct sim *sim);
/* After it. */
void spill_close(struct sim *sim);
void spill_fini(struct sim *sim);
/* Is there a copy in the spill of the message at `position`, whose chunk is in memory? */
bool spill_has(const struct queue *queue, uint64_t position);

/* bound.c */
/* Clients pause, checkpoints are written and the cleaner ends; then the log takes no more of its disk than it may,
 * and so with the spill. False: the life ends. */
bool bound_look(struct sim *sim);

/* catalog.c: what clients declare and delete. */
void catalog_random(struct sim *sim);
void add_vhost(struct sim *sim);

/* mail.c: between shards. */
/* Owner: the list, until it is delivered. */
struct sim_mail *mail_send(struct sim *sim, enum mail_kind kind, uint16_t from,
                           const struct sim_queue *to, uint64_t transaction);
bool mail_is_delivered(const struct sim *sim, uint64_t serial);
void mail_deliver_some(struct sim *sim);
void mail_deliver_all(struct sim *sim);
void mail_drop_all(struct sim *sim);
/* Do it, on the queue's shard. */
void enqueue_here(struct sim *sim, struct sim_queue *queue, struct message *message,
                  uint32_t number);
void settle_here(struct sim *sim, struct sim_queue *queue, uint64_t first, uint64_t count,
                 enum queue_settle_how how, struct consumer_ref consumer);

/* transactions.c */
void transaction_random(struct sim *sim);
/* Commit some that may be. */
void transactions_go_on(struct sim *sim);
/* All of them: everything is handed over. */
void transactions_end(struct sim *sim);
/* The work of one is about to be done, or is done, on `shard`. */
void transaction_enter(struct sim *sim, uint16_t shard, uint64_t transaction);
void transaction_leave(struct sim *sim, uint16_t shard);
void transaction_mailed(struct sim *sim, uint64_t transaction, int mails);

/* operations.c: parts of a transaction, too; transaction 0 is none. */
void publish_random(struct sim *sim, uint16_t shard, uint64_t transaction);
void publish_to(struct sim *sim, uint16_t shard, struct sim_queue **to, uint32_t count,
                struct message message, uint32_t number, uint64_t transaction);
void settle_random(struct sim *sim, uint16_t shard, uint64_t transaction);
/* A run of at most `max` neighbours that one client has, from message `first` of the list on. 0: it has not. */
uint64_t settle_run_from(const struct sim_queue *queue, size_t first, uint64_t max);

/* checkpoints.c */
void checkpoint_begin(struct sim *sim);
void checkpoint_go_on(struct sim *sim);
void checkpoint_written(struct sim *sim);
void checkpoint_forget(struct sim *sim);

/* history.c */
/* The log's threads. False: the life ends. */
bool write_some(struct sim *sim);
void history_run(uint64_t seed, bool is_verbose);
__attribute__((format(printf, 2, 3))) void say(const struct sim *sim, const char *format, ...);
/* What all histories so far have seen. */
struct torture_counts {
    uint64_t lives;
    uint64_t cuts;
    uint64_t kills;
    uint64_t stops;
    uint64_t failures; /* the log ended by a planned fault */
    uint64_t second_cuts;
    uint64_t checkpoints;
    uint64_t transactions;
    uint64_t events;
    uint64_t unsure; /* events that a recovery could have either way */
    uint64_t messages;
    uint64_t pages;   /* that left memory */
    uint64_t loaded;  /* that came back */
    uint64_t later;   /* gets that had to wait */
    uint64_t drained; /* queues read to the end */
    uint64_t restored_pages;
    uint64_t expired;
    uint64_t expired_paged;    /* of them, in pages */
    uint64_t expired_returned; /* of them, had been delivered */
    uint64_t unread_times;     /* pages of a start whose times were not known */
    uint64_t spilled_pages;    /* pages with transient messages that left memory, ... */
    uint64_t mixed_pages;      /* ... of them, with others */
    uint64_t spilled_given;    /* transient messages that were delivered from the spill */
    uint64_t transient_lost;   /* in it at the end of a life */
    uint64_t sweeps;
    uint64_t swept;         /* octets of segments that went with them */
    uint64_t spill_cleaned; /* segments */
    uint64_t stalls;
    uint64_t spill_failures;
    uint64_t spill_refusals; /* it could not be begun */
    uint64_t bounds;         /* looks at the disk's use */
    uint64_t bound_most;     /* of 100, how much of what it may the log has taken */
    uint64_t restless;       /* pauses in which the cleaner found no end */
    uint64_t cleaned;        /* segments */
    uint64_t moved;          /* octets */
    uint64_t rounds;         /* of cleaning */
    uint64_t bounds_near;    /* looks that found more than half of what may be */
    uint64_t
        bounds_held; /* looks that would have failed with what the cleaner has emptied in this life */
};
extern struct torture_counts torture_counts;

static inline uint64_t roll(struct sim *sim, uint64_t sides)
{
    return chance_below(&sim->chance, sides);
}

static inline bool hits(struct sim *sim, uint64_t times, uint64_t of)
{
    return chance_hits(&sim->chance, times, of);
}

#endif
