/* SPDX-License-Identifier: Apache-2.0 */
/* The load scenario: set up connections, let the workers run, measure between two instants, close. */
#include "main/perf/scenario.h"

#include "main/perf/client.h"
#include "main/perf/consumer.h"
#include "main/perf/progress.h"
#include "main/perf/publisher.h"
#include "main/perf/report.h"
#include "main/perf/server.h"
#include "main/perf/topology.h"
#include "main/perf/worker.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* After counted publishers have ended, uncounted consumers are through when nothing came for so long. */
#define DRAIN_QUIET_NS 500000000U
/* A broker drowned in messages may take long to answer our close; nobody waits longer for it. */
#define CLOSE_TIMEOUT_NS 5000000000U
/* With more connections than this, each of ours to loopback gets another source address in turn. */
#define CONNECTIONS_PER_SOURCE 2000

/* Owner: scenario_load(). Workers [0, threads) publish, [threads, 2 * threads) consume; those of a
 * role without agents are not started. */
struct load {
    const struct options *options;
    struct topology topology;
    struct client setup; /* holds the topology's connection until the end */
    struct worker *workers;
    size_t worker_count;
    int notice_fd;
    uint64_t connection_count;
};

/* --- Set-up --- */

static int open_connection(struct load *l, struct client *c, const char *role, uint64_t number,
                           uint64_t channels, struct failure *why)
{
    char name[280];
    const unsigned source = 1 + (unsigned)(l->connection_count++ / CONNECTIONS_PER_SOURCE % 250);
    snprintf(name, sizeof name, "%s-%s-%llu", l->options->id ? l->options->id : "perf", role,
             (unsigned long long)number);
    int rc = client_open(c, l->options, name, source > 1 ? source : 0, why);
    if (rc == 0 && channels > c->channel_max) {
        rc = failure_set(why, ERR_USAGE, "the broker allows %u channels on a connection",
                         c->channel_max);
        client_abort(c);
    }
    for (uint16_t channel = 1; rc == 0 && channel <= channels; channel++) {
        rc = client_call(c, channel, AMQP_CHANNEL_OPEN, NULL, AMQP_CHANNEL_OPEN_OK, NULL, why);
        if (rc != 0)
            client_abort(c);
    }
    return rc;
}

static struct batch_template template_of(const struct load *l, const struct client *c,
                                         uint16_t channel, uint64_t number, char *key)
{
    const struct options *o = l->options;
    return (struct batch_template){
        .channel = channel,
        .frame_max = c->frame_max,
        .exchange = str_from_c(o->exchange),
        .routing_key = topology_routing_key(&l->topology, number, key),
        .keys = !o->uses_random_keys                     ? BATCH_KEYS_FIXED
                : strcmp(o->exchange_type, "topic") == 0 ? BATCH_KEYS_TOPIC
                                                         : BATCH_KEYS_RANDOM,
        .is_persistent = o->is_persistent,
        .is_mandatory = o->is_mandatory,
        .sizes = o->sizes,
        .size_count = o->size_count,
    };
}

static int select_confirms(const struct load *l, struct client *c, struct failure *why)
{
    const struct amqp_confirm_select select = {false};
    int rc = 0;
    for (uint16_t channel = 1; rc == 0 && channel <= l->options->producer_channels; channel++)
        rc = client_call(c, channel, AMQP_CONFIRM_SELECT, &select, AMQP_CONFIRM_SELECT_OK, NULL,
                         why);
    return rc;
}

static int add_publisher(struct load *l, uint64_t index, struct failure *why)
{
    const uint16_t channels = (uint16_t)l->options->producer_channels;
    struct worker *w = &l->workers[index % l->options->threads];
    struct client c;
    int rc = open_connection(l, &c, "publisher", index, channels, why);
    if (rc == 0 && l->options->confirm_window) {
        rc = select_confirms(l, &c, why);
        if (rc != 0)
            client_abort(&c);
    }
    if (rc != 0)
        return rc;
    struct batch_template *templates = mem_alloc(channels * sizeof *templates);
    char(*keys)[TOPOLOGY_NAME_MAX] = mem_alloc(channels * sizeof *keys);
    for (uint16_t i = 0; i < channels; i++)
        templates[i] = template_of(l, &c, (uint16_t)(i + 1), index * channels + i, keys[i]);
    const uint32_t frame_max = c.frame_max;
    struct conn *conn =
        publisher_conn_new(w, client_detach(&c), frame_max, templates, channels, index * channels);
    mem_free(keys);
    mem_free(templates);
    return worker_add(w, conn, why);
}

/* Prefetch and queue of one consumer channel. Fills `queue`. */
static int prepare_consumer(struct load *l, struct client *c, uint16_t channel, uint64_t number,
                            char *queue, struct failure *why)
{
    const struct options *o = l->options;
    const struct amqp_basic_qos each = {.prefetch_count = (uint16_t)o->prefetch};
    const struct amqp_basic_qos all = {.prefetch_count = (uint16_t)o->channel_prefetch,
                                       .global = true};
    int rc = 0;
    if (o->prefetch)
        rc = client_call(c, channel, AMQP_BASIC_QOS, &each, AMQP_BASIC_QOS_OK, NULL, why);
    if (rc == 0 && o->channel_prefetch)
        rc = client_call(c, channel, AMQP_BASIC_QOS, &all, AMQP_BASIC_QOS_OK, NULL, why);
    if (rc == 0 && !topology_queue_name(&l->topology, number, queue))
        rc = topology_declare_own_queue(&l->topology, c, channel, queue, why);
    return rc;
}

static int add_consumer(struct load *l, uint64_t index, struct failure *why)
{
    const uint16_t channels = (uint16_t)l->options->consumer_channels;
    struct worker *w = &l->workers[l->options->threads + index % l->options->threads];
    struct client c;
    int rc = open_connection(l, &c, "consumer", index, channels, why);
    if (rc != 0)
        return rc;
    char(*names)[TOPOLOGY_NAME_MAX] = mem_alloc(channels * sizeof *names);
    struct str *queues = mem_alloc(channels * sizeof *queues);
    for (uint16_t i = 0; rc == 0 && i < channels; i++) {
        rc = prepare_consumer(l, &c, (uint16_t)(i + 1), index * channels + i, names[i], why);
        queues[i] = str_from_c(names[i]);
    }
    const uint32_t frame_max = c.frame_max;
    if (rc != 0) {
        client_abort(&c);
    } else {
        struct conn *conn =
            consumer_conn_new(w, client_detach(&c), frame_max, queues, channels, index * channels);
        rc = worker_add(w, conn, why);
        if (rc == 0 && (rc = consumer_conn_begin(conn)) != 0)
            *why = w->failure;
    }
    mem_free(queues);
    mem_free(names);
    return rc;
}

static int set_up(struct load *l, struct failure *why)
{
    const struct options *o = l->options;
    l->notice_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->notice_fd == -1)
        return failure_set(why, -errno, "eventfd: %s", strerror(errno));
    l->worker_count = 2 * o->threads;
    l->workers = mem_alloc_zero(l->worker_count * sizeof *l->workers);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < l->worker_count; i++)
        rc = worker_init(&l->workers[i], o, i < o->threads, l->notice_fd, why);
    if (rc == 0)
        rc = open_connection(l, &l->setup, "setup", 0, 1, why);
    if (rc == 0)
        rc = topology_declare(&l->topology, &l->setup, why);
    for (uint64_t i = 0; rc == 0 && i < o->consumers; i++)
        rc = add_consumer(l, i, why);
    for (uint64_t i = 0; rc == 0 && i < o->producers; i++)
        rc = add_publisher(l, i, why);
    return rc;
}

/* Consumers first: they are to be ready before the first message. */
static int start_workers(struct load *l, struct failure *why)
{
    int rc = 0;
    for (size_t i = l->worker_count; rc == 0 && i-- > 0;) {
        if (l->workers[i].conn_count)
            rc = worker_start(&l->workers[i], why);
    }
    return rc;
}

/* --- Measuring --- */

static int snapshot_take(const struct load *l, struct snapshot *s, struct failure *why)
{
    *s = (struct snapshot){.time_ns = clock_mono_ns(), .client_cpu_ns = own_cpu_ns()};
    for (size_t i = 0; i < l->worker_count; i++) {
        struct worker *w = &l->workers[i];
        for (int c = 0; c < COUNTERS; c++) {
            if (c == COUNTER_BODY_BYTES && w->is_publishing && l->options->consumers)
                continue;
            s->counters[c] += atomic_load_explicit(&w->totals[c], memory_order_relaxed);
        }
        const uint64_t last = atomic_load_explicit(&w->last_activity_ns, memory_order_relaxed);
        s->last_activity_ns = MAX(s->last_activity_ns, last);
    }
    if (l->options->server_pid == 0)
        return 0;
    return server_cpu_ns(l->options->server_pid, &s->server_cpu_ns, why);
}

/* 0 while all go on, 1 when the run is over, ERR_REFUSED when a worker failed. */
static int workers_check(const struct load *l, const struct snapshot *now, struct failure *why)
{
    const struct options *o = l->options;
    bool publishers_done = true, consumers_done = true;
    for (size_t i = 0; i < l->worker_count; i++) {
        const struct worker *w = &l->workers[i];
        if (w->conn_count == 0)
            continue;
        const int state = atomic_load_explicit(&w->state, memory_order_acquire);
        if (state == WORKER_FAILED) {
            *why = w->failure;
            return ERR_REFUSED;
        }
        bool *done = w->is_publishing ? &publishers_done : &consumers_done;
        *done = *done && state == WORKER_FINISHED;
    }
    if (o->producers && o->producer_messages == 0)
        publishers_done = false;
    if (o->consumers && o->consumer_messages) /* they decide; publishers without a count do not */
        return consumers_done && (publishers_done || o->producer_messages == 0);
    if (o->consumers)
        consumers_done = o->producers && now->time_ns - now->last_activity_ns > DRAIN_QUIET_NS;
    return publishers_done && consumers_done;
}

/* Run until `end_ns` (0: no end), the counts or Ctrl-C. 1 when the run is over before `end_ns`. */
static int run_until(struct load *l, uint64_t end_ns, struct progress *progress,
                     struct failure *why)
{
    struct snapshot now;
    for (;;) {
        int rc = snapshot_take(l, &now, why);
        if (rc == 0)
            rc = workers_check(l, &now, why);
        if (rc == 0 && scenario_is_interrupted)
            rc = 1;
        if (rc != 0)
            return rc;
        if (end_ns && now.time_ns >= end_ns)
            return 0;
        progress_print(progress, &now);
        progress_wait(l->notice_fd, end_ns, progress);
    }
}

static void result_counters(struct load_result *r, const struct snapshot *from,
                            const struct snapshot *to)
{
    for (int c = 0; c < COUNTERS; c++)
        r->counters[c] = to->counters[c] - from->counters[c];
    r->client_cpu_ns = to->client_cpu_ns - from->client_cpu_ns;
    r->server_cpu_ns = to->server_cpu_ns - from->server_cpu_ns;
}

static int measure(struct load *l, struct load_result *r, struct failure *why)
{
    const struct options *o = l->options;
    struct progress progress = {.options = o};
    struct snapshot from, to;
    int rc = snapshot_take(l, &from, why);
    if (rc == 0)
        rc = start_workers(l, why);
    if (rc == 0 && o->warmup_ns) {
        rc = run_until(l, from.time_ns + o->warmup_ns, &progress, why);
        for (size_t i = 0; i < l->worker_count; i++)
            worker_reset_latency(&l->workers[i]);
        if (rc == 0)
            rc = snapshot_take(l, &from, why);
    }
    if (rc == 0)
        rc = run_until(l, o->duration_ns ? from.time_ns + o->duration_ns : 0, &progress, why);
    if (rc < 0)
        return rc;
    const bool has_ended_itself = rc == 1;
    rc = snapshot_take(l, &to, why);
    if (rc != 0)
        return rc;
    result_counters(r, &from, &to);
    /* A counted run ends with its last message, not with our noticing. */
    const uint64_t end_ns =
        has_ended_itself && to.last_activity_ns > from.time_ns ? to.last_activity_ns : to.time_ns;
    r->seconds = (double)(end_ns - from.time_ns) * 1e-9;
    r->server_rss_kib = o->server_pid ? server_rss_kib(o->server_pid) : 0;
    return 0;
}

/* --- End --- */

static void close_role(struct load *l, bool is_publishing)
{
    const uint64_t deadline_ns = clock_mono_ns() + CLOSE_TIMEOUT_NS;
    for (int step = 0; step < 2; step++) {
        for (size_t i = 0; i < l->worker_count; i++) {
            struct worker *w = &l->workers[i];
            for (size_t k = 0; k < w->conn_count && w->is_publishing == is_publishing; k++)
                (step ? conn_await_closed : conn_say_close)(w->conns[k], deadline_ns);
        }
    }
}

/* Publishers that only wrote have given work to the broker that it does later: their close-ok comes
 * after it, so its CPU time is read again then. */
static int count_late_work(struct load *l, struct load_result *r, const struct snapshot *before,
                           struct failure *why)
{
    const struct options *o = l->options;
    if (o->server_pid == 0 || o->producer_messages == 0 || o->consumers)
        return 0;
    uint64_t cpu_ns;
    const int rc = server_cpu_ns(o->server_pid, &cpu_ns, why);
    if (rc != 0)
        return rc;
    r->server_cpu_ns += cpu_ns - before->server_cpu_ns;
    r->has_late_work = true;
    return 0;
}

static int finish(struct load *l, struct load_result *r, struct failure *why)
{
    struct snapshot end;
    int rc = snapshot_take(l, &end, why);
    if (rc != 0)
        return rc;
    close_role(l, true);
    rc = count_late_work(l, r, &end, why);
    close_role(l, false);
    for (size_t i = 0; i < l->worker_count; i++) {
        struct worker *w = &l->workers[i];
        histogram_merge(w->is_publishing ? &r->confirm_latency : &r->latency, &w->latency);
        r->published_total += w->counters[COUNTER_PUBLISHED];
        r->consumed_total += w->counters[COUNTER_CONSUMED];
    }
    return rc;
}

static void stop_workers(struct load *l)
{
    /* Publishers first, so that consumers see no end of the world. */
    for (size_t i = 0; l->workers && i < l->worker_count; i++)
        worker_stop(&l->workers[i]);
}

int scenario_load(const struct options *o, struct failure *why)
{
    struct load l = {.options = o, .setup.fd = -1, .notice_fd = -1};
    struct load_result *r = mem_alloc_zero(sizeof *r);
    const uint64_t start_ns = clock_mono_ns();
    topology_init(&l.topology, o);
    int rc = set_up(&l, why);
    r->setup_seconds = (double)(clock_mono_ns() - start_ns) * 1e-9;
    if (rc == 0)
        rc = measure(&l, r, why);
    stop_workers(&l);
    if (rc == 0)
        rc = finish(&l, r, why);
    if (rc == 0)
        report_load(o, r);
    for (size_t i = 0; l.workers && i < l.worker_count; i++)
        worker_free(&l.workers[i]);
    mem_free(l.workers);
    if (l.setup.fd != -1)
        client_close(&l.setup);
    if (l.notice_fd != -1)
        close(l.notice_fd);
    mem_free(r);
    return rc;
}
