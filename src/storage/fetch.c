/* SPDX-License-Identifier: Apache-2.0 */
/* Fetching: askers submit, the reader answers in rounds, the asker's stream takes.
 *
 *   asker         log_fetch_submit      pushes on fetcher->submitted, wakes the reader
 *   reader        take_submitted        the queue first..last, oldest first
 *                 fetch_resolve         ids to places; a fetch with a part that is not written waits
 *                 fetch_read            all places of a round sorted, merged, read, answered (fetch_answer)
 *   stream        log_fetch_take        takes the answers
 *
 * A segment is kept from being recycled by the number of the round that reads it: ending the round lets go
 * of all at once. */
#include "base/bug.h"
#include "base/err.h"
#include "base/mem.h"
#include "storage/log_internal.h"

/* ---- the asker's side ---- */

static void wake_reader(struct fetcher *fetcher)
{
    pthread_mutex_lock(&fetcher->mutex);
    fetcher->has_news = true;
    pthread_cond_signal(&fetcher->wake);
    pthread_mutex_unlock(&fetcher->mutex);
}

static void answer_all(struct log *log);

/* The flags go up before the last look, the push comes before the look at the flags: one side sees the
 * other, when the reader goes to sleep and when the log stops. */
void log_fetch_submit(struct log *log, struct log_fetch *fetch)
{
    struct fetcher *fetcher = &log->fetcher;
    struct log_fetch *head = atomic_load_explicit(&fetcher->submitted, memory_order_relaxed);

    fetch->buffers = NULL;
    fetch->waits_for = 0;
    do {
        fetch->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&fetcher->submitted, &head, fetch,
                                                    memory_order_seq_cst, memory_order_relaxed));
    if (UNLIKELY(atomic_load_explicit(&fetcher->is_closed, memory_order_seq_cst)))
        answer_all(log);
    else if (atomic_load_explicit(&fetcher->is_sleeping, memory_order_seq_cst))
        wake_reader(fetcher);
}

static struct log_fetch *reversed(struct log_fetch *newest)
{
    struct log_fetch *oldest = NULL;

    while (newest) {
        struct log_fetch *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

struct log_fetch *log_fetch_take(struct log_stream *stream)
{
    /* The look first: a shard asks in each turn. */
    if (!atomic_load_explicit(&stream->fetched, memory_order_relaxed))
        return NULL;
    /* Acquire: the answers. */
    return reversed(atomic_exchange_explicit(&stream->fetched, NULL, memory_order_acquire));
}

void log_fetch_counts(struct log *log, uint64_t *read, uint64_t *asked)
{
    *read = atomic_load_explicit(&log->fetcher.octets_read, memory_order_relaxed);
    *asked = atomic_load_explicit(&log->fetcher.octets_asked, memory_order_relaxed);
}

/* ---- the reader's side ---- */

static void push_answer(struct log_fetch *fetch)
{
    struct log_stream *stream = fetch->stream;
    struct log_fetch *head = atomic_load_explicit(&stream->fetched, memory_order_relaxed);

    /* Release: the answers. The fetch may be gone as soon as this is done. */
    do {
        fetch->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&stream->fetched, &head, fetch,
                                                    memory_order_release, memory_order_relaxed));
}

static void tell(struct log *log, uint64_t streams)
{
    const struct log_events *events = &log->settings.events;

    for (; streams != 0 && events->fetched; streams &= streams - 1)
        events->fetched(events->context, (uint16_t)__builtin_ctzll(streams));
}

void fetch_answer(struct log *log, struct log_fetch *fetch)
{
    if (fetch->stream == &log->cleaner.stream) {
        clean_answered(log);
        return;
    }
    log->fetcher.round.told |= 1ULL << fetch->stream->id;
    push_answer(fetch);
}

void fetch_tell(struct log *log)
{
    tell(log, log->fetcher.round.told);
    log->fetcher.round.told = 0;
}

/* The log was stopped: nothing is read any more. Any thread. */
static void answer_all(struct log *log)
{
    struct log_fetch *fetch =
        reversed(atomic_exchange_explicit(&log->fetcher.submitted, NULL, memory_order_seq_cst));
    int failure = atomic_load(&log->failure);
    uint64_t told = 0;

    while (fetch) {
        struct log_fetch *next = fetch->next;
        for (uint32_t i = 0; i < fetch->count; i++) {
            fetch->records[i].payload = NULL;
            fetch->records[i].rc = failure ? failure : ERR_NOT_FOUND;
        }
        told |= 1ULL << fetch->stream->id;
        push_answer(fetch);
        fetch = next;
    }
    tell(log, told);
}

static void take_submitted(struct fetcher *fetcher)
{
    /* Acquire: what is asked for. */
    struct log_fetch *newest =
        atomic_exchange_explicit(&fetcher->submitted, NULL, memory_order_seq_cst);
    struct log_fetch *oldest = reversed(newest);

    if (!oldest)
        return;
    if (fetcher->first)
        fetcher->last->next = oldest;
    else
        fetcher->first = oldest;
    fetcher->last = newest;
}

static void wait_for_part(struct fetcher *fetcher, struct log_fetch *fetch)
{
    fetch->next = fetcher->waiting;
    fetcher->waiting = fetch;
}

/* Fill the round; how many fetches were settled? `give_up`: what has no place now is answered with it. */
static uint32_t gather(struct log *log, int give_up)
{
    struct fetcher *fetcher = &log->fetcher;
    struct log_fetch *waiting = fetcher->waiting;
    uint32_t count = 0;

    fetcher->waiting = NULL;
    atomic_store_explicit(&fetcher->waits, false, memory_order_seq_cst);
    while (waiting) {
        struct log_fetch *fetch = waiting;
        waiting = fetch->next;
        if (fetch_resolve(log, fetch, give_up))
            count++;
        else
            wait_for_part(fetcher, fetch);
    }
    while (fetcher->first && count < FETCH_ROUND && fetcher->round.records < FETCH_ROUND_RECORDS) {
        struct log_fetch *fetch = fetcher->first;
        fetcher->first = fetch->next;
        if (fetch_resolve(log, fetch, give_up))
            count++;
        else
            wait_for_part(fetcher, fetch);
    }
    return count;
}

static void end_round(struct log *log)
{
    pthread_mutex_lock(&log->mutex);
    log->fetcher.round_number++;
    pthread_mutex_unlock(&log->mutex);
}

/* Rounds until nothing is left but what waits for a batch. */
static void answer_ready(struct log *log, int give_up)
{
    uint32_t count;

    do {
        take_submitted(&log->fetcher);
        count = gather(log, give_up);
        fetch_read(log);
        fetch_tell(log);
        end_round(log);
    } while (count > 0 || log->fetcher.first);
}

static bool sleep_until_news(struct fetcher *fetcher)
{
    bool goes_on;

    pthread_mutex_lock(&fetcher->mutex);
    atomic_store_explicit(&fetcher->is_sleeping, true, memory_order_seq_cst);
    while (!fetcher->has_news && !fetcher->is_ending &&
           !atomic_load_explicit(&fetcher->submitted, memory_order_seq_cst))
        pthread_cond_wait(&fetcher->wake, &fetcher->mutex);
    atomic_store_explicit(&fetcher->is_sleeping, false, memory_order_seq_cst);
    fetcher->has_news = false;
    goes_on = !fetcher->is_ending;
    pthread_mutex_unlock(&fetcher->mutex);
    return goes_on;
}

static void *reader_main(void *arg)
{
    struct log *log = arg;

    (void)pthread_setname_np(pthread_self(), "log-reader");
    while (sleep_until_news(&log->fetcher))
        answer_ready(log, 0);
    return NULL;
}

void fetch_news(struct log *log)
{
    if (log->fetcher.has_thread)
        wake_reader(&log->fetcher);
}

/* ---- life ---- */

void fetcher_init(struct fetcher *fetcher)
{
    *fetcher = (struct fetcher){.round_number = 1, .round.guess = FETCH_GAP_BYTES};
    pthread_mutex_init(&fetcher->mutex, NULL);
    pthread_cond_init(&fetcher->wake, NULL);
    fetch_pool_init(&fetcher->pool);
}

void fetcher_fini(struct fetcher *fetcher)
{
    fetch_pool_fini(&fetcher->pool);
    pthread_cond_destroy(&fetcher->wake);
    pthread_mutex_destroy(&fetcher->mutex);
    mem_free(fetcher->round.wants);
}

int fetch_start(struct log *log)
{
    int rc = pthread_create(&log->fetcher.thread, NULL, reader_main, log);

    log->fetcher.has_thread = rc == 0;
    return -rc;
}

void fetch_step(struct log *log)
{
    if (!atomic_load(&log->fetcher.is_closed))
        answer_ready(log, 0);
}

void fetch_stop(struct log *log)
{
    struct fetcher *fetcher = &log->fetcher;
    int failure = atomic_load(&log->failure);

    if (fetcher->has_thread) {
        pthread_mutex_lock(&fetcher->mutex);
        fetcher->is_ending = true;
        pthread_cond_signal(&fetcher->wake);
        pthread_mutex_unlock(&fetcher->mutex);
        pthread_join(fetcher->thread, NULL);
        fetcher->has_thread = false;
    }
    answer_ready(log, failure ? failure : ERR_NOT_FOUND);
    atomic_store_explicit(&fetcher->is_closed, true, memory_order_seq_cst);
    answer_all(log);
}
