/* SPDX-License-Identifier: Apache-2.0 */
/* One turn of a shard, and how it sleeps and is woken.
 *
 * The order of a turn is fixed; each step is one short function below:
 *
 *   1. owed      consumers get what waits for them: output goes first, so that a full input
 *                cannot grow a backlog that could have left
 *   2. sockets   each ready one: one recv of at most 512 KiB, a look at the mailboxes, then parse,
 *                route, enqueue, dispatch
 *   3. mail      what other shards posted: at most what was there when the step began
 *   4. timers
 *   5. conclude  dispatch what mail and timers made ready, gather confirms, stage records
 *   6. publish   what is staged goes to the log, then the tails of all outgoing rings become visible:
 *                what others do because of it stands behind it in the log; peers that sleep are woken
 *   7. send      one send per dirty stream
 *   8. deferred  frees
 *   9. sleep     until a socket, a timer or a peer; not at all when a step left work behind, and not
 *                before a short look for more where that pays (spin.h)
 *
 * Publishing before sending lets a peer work while this thread is in the kernel.
 */
#include "io/shard.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/input.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <stdio.h>
#include <unistd.h>

#define EVENTS_PER_TURN 256
/* A sleeping shard looks up at least this often; nothing depends on it. */
#define SLEEP_MAX_MS 10000
/* More input than this in a turn is a client that sends ahead, not one that waits for its answer. */
#define SPIN_INPUT_MAX 4096

_Thread_local struct shard *shard_current;

enum { MAIL_BLOCK_RELEASE = 1 };

struct block_release_mail {
    struct mail_header header;
    uint32_t count;
    struct block *block;
};
static_assert(sizeof(struct block_release_mail) <= MAIL_BYTES, "one entry");

/* ---- watching descriptors ---- */

static int watch(struct shard *shard, int op, int fd, struct io_handler *handler, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = handler};
    return epoll_ctl(shard->epoll_fd, op, fd, &event) == -1 ? -errno : 0;
}

int shard_watch(struct shard *shard, int fd, struct io_handler *handler, uint32_t events)
{
    return watch(shard, EPOLL_CTL_ADD, fd, handler, events);
}

void shard_rewatch(struct shard *shard, int fd, struct io_handler *handler, uint32_t events)
{
    int rc = watch(shard, EPOLL_CTL_MOD, fd, handler, events);
    BUG_ON(rc != 0, "epoll_ctl MOD of fd %d: %d", fd, rc);
}

void shard_unwatch(struct shard *shard, int fd)
{
    int rc = watch(shard, EPOLL_CTL_DEL, fd, NULL, 0);
    BUG_ON(rc != 0, "epoll_ctl DEL of fd %d: %d", fd, rc);
}

void shard_defer(struct shard *shard, struct deferred *work,
                 void (*run)(struct deferred *, struct shard *))
{
    work->run = run;
    work->next = NULL;
    *shard->deferred_end = work;
    shard->deferred_end = &work->next;
}

static void run_deferred(struct shard *shard)
{
    struct deferred *work = shard->deferred;

    /* In order: what frees an object comes behind what still uses it. What is put off from here on
     * waits for the end of the next turn. */
    shard->deferred = NULL;
    shard->deferred_end = &shard->deferred;
    while (work) {
        struct deferred *next = work->next;
        work->run(work, shard);
        work = next;
    }
}

/* ---- mail ---- */

void *shard_post(struct shard *shard, uint16_t to)
{
    DEBUG_BUG_ON(to == shard->id || to >= shard->count, "mail from shard %u to %u", shard->id, to);
    return mailbox_put(shard->outbox[to]);
}

static void post_release(struct shard *shard, uint16_t to)
{
    struct block_release_mail *mail;
    if (!shard->releases[to].block)
        return;
    mail = shard_post(shard, to);
    mail->header.kind = MAIL_BLOCK_RELEASE;
    mail->block = shard->releases[to].block;
    mail->count = shard->releases[to].count;
    shard->releases[to].block = NULL;
}

void shard_release_remote(struct shard *shard, struct block *block, uint32_t n)
{
    uint16_t to = block->shard;
    if (shard->releases[to].block != block) {
        post_release(shard, to);
        shard->releases[to].block = block;
        shard->releases[to].count = 0;
    }
    shard->releases[to].count += n;
}

static void handle_mail(struct shard *shard, uint16_t from, const void *entry)
{
    const struct mail_header *header = entry;
    if (header->kind == MAIL_BLOCK_RELEASE) {
        const struct block_release_mail *mail = entry;
        block_release(shard, mail->block, mail->count);
        return;
    }
    shard->hooks->mail(shard, from, entry);
}

void shard_read_mail(struct shard *shard)
{
    for (uint16_t from = 0; from < shard->count; from++) {
        struct mailbox *box = shard->inbox[from];
        uint32_t ready = box ? mailbox_ready(box) : 0;
        for (uint32_t i = 0; i < ready; i++) {
            handle_mail(shard, from, mailbox_peek(box, 0));
            mailbox_consume(box, 1);
        }
    }
}

void shard_wake(struct shard *peer)
{
    uint64_t one = 1;
    /* EAGAIN means that the counter is full, so the peer will wake anyhow. */
    ssize_t n = write(peer->wake_fd, &one, sizeof one);
    BUG_ON(n == -1 && errno != EAGAIN, "eventfd of shard %u: errno %d", peer->id, errno);
}

void shard_poke(struct shard *peer)
{
    /* As with mail: store, then look at `sleeping`; the shard raises that flag and then looks here. */
    atomic_store_explicit(&peer->poked, true, memory_order_seq_cst);
    if (atomic_load_explicit(&peer->sleeping, memory_order_seq_cst))
        shard_wake(peer);
}

/* Step 6. Returns true when entries wait outside a full ring. */
static bool publish_mail(struct shard *shard)
{
    bool congested = false;

    shard->hooks->hand_over(shard);
    for (uint16_t to = 0; to < shard->count; to++) {
        struct shard *peer = shard->set->shards[to];
        if (to == shard->id)
            continue;
        post_release(shard, to);
        if (mailbox_publish(shard->outbox[to]) &&
            atomic_load_explicit(&peer->sleeping, memory_order_seq_cst))
            shard_wake(peer);
        congested |= mailbox_is_congested(shard->outbox[to]);
    }
    return congested;
}

/* ---- the turn ---- */

void shard_read_clock(struct shard *shard)
{
    shard->now_ns = clock_mono_ns();
    shard->now_ms = shard->now_ns / 1000000U;
}

static void handle_sockets(struct shard *shard, const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        struct io_handler *handler = events[i].data.ptr;
        if (handler) {
            handler->ready(handler, shard, events[i].events);
        } else {
            uint64_t drained;
            ssize_t n = read(shard->wake_fd, &drained, sizeof drained);
            BUG_ON(n == -1 && errno != EAGAIN, "eventfd read: errno %d", errno);
        }
    }
}

static void send_dirty(struct shard *shard)
{
    struct list dirty;
    struct list *link;
    list_take_all(&dirty, &shard->dirty_streams);
    while ((link = list_pop_front(&dirty)))
        stream_send(CONTAINER_OF(link, struct stream, dirty));
}

static bool mail_waits(const struct shard *shard)
{
    for (uint16_t from = 0; from < shard->count; from++)
        if (shard->inbox[from] && mailbox_ready(shard->inbox[from]) > 0)
            return true;
    return atomic_load_explicit(&shard->poked, memory_order_seq_cst);
}

static int sleep_ms(const struct shard *shard)
{
    uint64_t next = timer_wheel_next_ms(&shard->timers);
    return (int)MIN(next, (uint64_t)SLEEP_MAX_MS);
}

/* Look for events for up to spin_us without sleeping. Not after a turn that was long or read much: a wake-up
 * is a small part of such, its clients may wait for this core, and what comes meanwhile is cheaper as one
 * batch. Number of events; 0 also when there is mail. */
static int spin(struct shard *shard, struct epoll_event *events)
{
    uint64_t limit_ns = (uint64_t)shard->spin_us * 1000;
    uint64_t start_ns = clock_mono_ns();
    int n;
    bool has_mail;

    if (shard->turn_input > SPIN_INPUT_MAX || start_ns - shard->now_ns > limit_ns ||
        !spin_is_due(&shard->spin))
        return 0;
    do {
        n = epoll_wait(shard->epoll_fd, events, EVENTS_PER_TURN, 0);
        has_mail = mail_waits(shard);
    } while (n == 0 && !has_mail && clock_mono_ns() - start_ns < limit_ns);
    spin_done(&shard->spin, n != 0 || has_mail);
    return n;
}

/* Step 9. The flag goes up before the last look at the rings (mailbox.h argues the order). */
static int wait_events(struct shard *shard, struct epoll_event *events, bool was_busy,
                       bool congested)
{
    int n;
    /* Nobody wakes a producer whose full ring has room again, so it does not sleep. */
    if (congested || shard->deferred || shard->hooks->has_work(shard) || mail_waits(shard) ||
        !list_is_empty(&shard->dirty_streams))
        return epoll_wait(shard->epoll_fd, events, EVENTS_PER_TURN, 0);
    if (was_busy && shard->spin_us > 0) {
        n = spin(shard, events);
        if (n != 0 || mail_waits(shard))
            return n;
    }
    shard->hooks->asleep(shard);
    atomic_store_explicit(&shard->sleeping, true, memory_order_seq_cst);
    n = epoll_wait(shard->epoll_fd, events, EVENTS_PER_TURN,
                   mail_waits(shard) ? 0 : sleep_ms(shard));
    atomic_store_explicit(&shard->sleeping, false, memory_order_seq_cst);
    return n;
}

static void turn(struct shard *shard, const struct epoll_event *events, int count)
{
    shard->turns++;
    shard->turn_input = 0;
    if (atomic_load_explicit(&shard->poked, memory_order_relaxed))
        atomic_store_explicit(&shard->poked, false, memory_order_seq_cst);
    shard_read_clock(shard);
    shard->hooks->awake(shard);
    shard->hooks->owed(shard);
    handle_sockets(shard, events, count);
    shard_read_mail(shard);
    timer_wheel_advance(&shard->timers, shard->now_ms);
    shard->hooks->conclude(shard);
    publish_mail(shard);
    send_dirty(shard);
    run_deferred(shard);
}

static void *shard_main(void *arg)
{
    struct shard *shard = arg;
    struct epoll_event events[EVENTS_PER_TURN];
    char name[16]; /* as top -H shows it */
    int count = 0;
    bool was_busy = false; /* a socket or a peer, not only the time, made the last turn */

    shard_current = shard;
    (void)snprintf(name, sizeof name, "shard-%u", shard->id);
    (void)pthread_setname_np(pthread_self(), name);
    for (;;) {
        bool congested;
        turn(shard, events, MAX(count, 0));
        if (atomic_load_explicit(&shard->stop_requested, memory_order_acquire)) {
            if (!shard->stopping) {
                shard->stopping = true;
                shard->hooks->stop(shard);
                run_deferred(shard);
            }
            if (shard->hooks->is_stopped(shard))
                break;
        }
        /* What sending and stopping made to post (block releases above all) must not sleep here. */
        congested = publish_mail(shard);
        count = wait_events(shard, events, was_busy, congested);
        was_busy = count > 0 || mail_waits(shard);
        BUG_ON(count == -1 && errno != EINTR, "epoll_wait: errno %d", errno);
    }
    shard->hooks->asleep(shard);
    return NULL;
}

/* ---- life of the set ---- */

static int shard_init(struct shard *shard)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    list_init(&shard->dirty_streams);
    shard->deferred_end = &shard->deferred;
    stream_pools_init(&shard->stream_pools);
    input_pool_init(shard);
    shard_read_clock(shard);
    timer_wheel_init(&shard->timers, shard->now_ms);
    shard->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    shard->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (shard->epoll_fd == -1 || shard->wake_fd == -1)
        return -errno;
    return epoll_ctl(shard->epoll_fd, EPOLL_CTL_ADD, shard->wake_fd, &event) == -1 ? -errno : 0;
}

static void connect_mailboxes(struct shard_set *set)
{
    for (uint16_t from = 0; from < set->count; from++) {
        for (uint16_t to = 0; to < set->count; to++) {
            if (from == to)
                continue;
            set->shards[from]->outbox[to] = mailbox_new();
            set->shards[to]->inbox[from] = set->shards[from]->outbox[to];
        }
    }
}

int shard_set_new(uint16_t count, uint32_t spin_us, const struct shard_hooks *hooks,
                  struct shard_set **out)
{
    struct shard_set *set = mem_alloc_zero(sizeof *set);
    int rc = 0;

    *out = NULL;
    BUG_ON(count == 0 || count > SHARDS_MAX, "%u shards", count);
    set->count = count;
    for (uint16_t i = 0; i < count; i++) {
        struct shard *shard = mem_alloc_aligned(CACHE_LINE_BYTES, sizeof *shard);
        memset(shard, 0, sizeof *shard);
        shard->id = i;
        shard->count = count;
        shard->spin_us = spin_us;
        shard->hooks = hooks;
        shard->set = set;
        shard->epoll_fd = -1;
        shard->wake_fd = -1;
        set->shards[i] = shard;
    }
    for (uint16_t i = 0; i < count && rc == 0; i++)
        rc = shard_init(set->shards[i]);
    if (rc == 0) {
        connect_mailboxes(set);
        *out = set;
        set = NULL;
    }
    shard_set_free(set);
    return rc;
}

static void stop_first(struct shard_set *set, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        atomic_store_explicit(&set->shards[i]->stop_requested, true, memory_order_release);
        shard_wake(set->shards[i]);
    }
    for (uint16_t i = 0; i < count; i++)
        pthread_join(set->shards[i]->thread, NULL);
}

int shard_set_start(struct shard_set *set)
{
    for (uint16_t i = 0; i < set->count; i++) {
        int rc = pthread_create(&set->shards[i]->thread, NULL, shard_main, set->shards[i]);
        if (rc != 0) {
            stop_first(set, i);
            return -rc;
        }
    }
    return 0;
}

void shard_set_stop(struct shard_set *set)
{
    stop_first(set, set->count);
}

void shard_set_drain_mail(struct shard_set *set)
{
    for (uint16_t i = 0; i < set->count; i++)
        (void)publish_mail(set->shards[i]);
    for (uint16_t i = 0; i < set->count; i++) {
        struct shard *shard = set->shards[i];
        for (uint16_t from = 0; from < set->count; from++) {
            struct mailbox *box = shard->inbox[from];
            for (uint32_t n = box ? mailbox_ready(box) : 0; n > 0; n--) {
                const struct mail_header *header = mailbox_peek(box, 0);
                if (header->kind == MAIL_BLOCK_RELEASE)
                    handle_mail(shard, from, header);
                mailbox_consume(box, 1);
            }
        }
    }
}

void shard_set_free(struct shard_set *set)
{
    if (!set)
        return;
    for (uint16_t i = 0; i < set->count; i++) {
        struct shard *shard = set->shards[i];
        for (uint16_t to = 0; to < set->count; to++)
            mailbox_free(shard->outbox[to]);
        if (shard->receive)
            mem_free(shard->receive);
        block_store_fini(&shard->blocks);
        stream_pools_fini(&shard->stream_pools);
        pool_fini(&shard->carries);
        if (shard->epoll_fd != -1)
            close(shard->epoll_fd);
        if (shard->wake_fd != -1)
            close(shard->wake_fd);
        mem_free(shard);
    }
    mem_free(set);
}
