/* SPDX-License-Identifier: Apache-2.0 */
/* --declare-queues: declare many queues in one pipeline on one channel, then delete them. */
#include "main/perf/scenario.h"

#include "main/perf/client.h"
#include "main/perf/report.h"
#include "main/perf/server.h"

#include "base/clock.h"
#include "base/mem.h"

#include <unistd.h>

#define QUEUE_NAME_MAX 64

struct declare_run {
    const struct options *options;
    struct client client;
    uint8_t *bytes;
    size_t capacity;
};

static struct str queue_name(const struct options *o, uint64_t number, char *buf)
{
    const int len = snprintf(buf, QUEUE_NAME_MAX, "%.24s-%d-%llu", o->id ? o->id : "perf-declare",
                             (int)getpid(), (unsigned long long)number);
    return str_of(buf, (size_t)len);
}

/* Send one method per queue, all at once; returns the seconds until the last reply in `*seconds`. */
static int run_pipeline(struct declare_run *run, bool is_declaring, double *seconds,
                        struct failure *why)
{
    const struct options *o = run->options;
    struct writer w = writer_of(run->bytes, run->capacity);
    for (uint64_t i = 0; i < o->declare_queues; i++) {
        char buf[QUEUE_NAME_MAX];
        const struct amqp_queue_declare declare = {
            .queue = queue_name(o, i, buf),
            .durable = o->is_persistent,
            .arguments = options_queue_args(o),
        };
        const struct amqp_queue_delete delete = {.queue = declare.queue};
        if (is_declaring)
            amqp_frame_method(&w, 1, AMQP_QUEUE_DECLARE, &declare);
        else
            amqp_frame_method(&w, 1, AMQP_QUEUE_DELETE, &delete);
    }
    const uint64_t start_ns = clock_mono_ns();
    const int rc = client_pipeline(&run->client, str_of(run->bytes, writer_len(&w)),
                                   is_declaring ? AMQP_QUEUE_DECLARE_OK : AMQP_QUEUE_DELETE_OK,
                                   o->declare_queues, why);
    *seconds = (double)(clock_mono_ns() - start_ns) * 1e-9;
    return rc;
}

static int declare_and_delete(struct declare_run *run, struct failure *why)
{
    const struct options *o = run->options;
    const double count = (double)o->declare_queues;
    const bool has_server = o->server_pid != 0;
    double declare_seconds, delete_seconds;
    uint64_t cpu_before = 0, cpu_after = 0;
    const uint64_t rss_before = server_rss_kib(o->server_pid);
    int rc = has_server ? server_cpu_ns(o->server_pid, &cpu_before, why) : 0;
    if (rc == 0)
        rc = run_pipeline(run, true, &declare_seconds, why);
    if (rc == 0 && has_server)
        rc = server_cpu_ns(o->server_pid, &cpu_after, why);
    const uint64_t rss_after = server_rss_kib(o->server_pid);
    if (rc == 0)
        rc = run_pipeline(run, false, &delete_seconds, why);
    if (rc != 0)
        return rc;
    const struct report_field fields[] = {
        {"queues", count, true},
        {"declare_seconds", declare_seconds, true},
        {"declared_per_s", count / declare_seconds, true},
        {"delete_seconds", delete_seconds, true},
        {"deleted_per_s", count / delete_seconds, true},
        {"server_cpu_us_per_declare", (double)(cpu_after - cpu_before) / 1000 / count, has_server},
        {"server_bytes_per_queue", ((double)rss_after - (double)rss_before) * 1024 / count,
         has_server},
    };
    report_fields(o, fields, ARRAY_LEN(fields));
    return 0;
}

int scenario_declare(const struct options *o, struct failure *why)
{
    struct declare_run run = {.options = o};
    int rc = client_open(&run.client, o, o->id ? o->id : "perf", 0, why);
    if (rc != 0)
        return rc;
    rc = client_call(&run.client, 1, AMQP_CHANNEL_OPEN, NULL, AMQP_CHANNEL_OPEN_OK, NULL, why);
    run.capacity = o->declare_queues * (QUEUE_NAME_MAX + 64 + o->queue_args_len);
    run.bytes = mem_alloc(run.capacity);
    if (rc == 0)
        rc = declare_and_delete(&run, why);
    mem_free(run.bytes);
    client_close(&run.client);
    return rc;
}
