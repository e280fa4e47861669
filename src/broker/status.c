/* SPDX-License-Identifier: Apache-2.0 */
/* The node's counters, as a line of the log; SIGUSR1 asks for it. */
#include "broker/status.h"

#include "base/attr.h"
#include "base/log.h"
#include "broker/alarm.h"
#include "core/queue/queue.h"
#include "io/listener.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_MAX_OCTETS 1500

struct line {
    char text[LINE_MAX_OCTETS];
    size_t len;
};

PRINTF_LIKE(2, 3) static void add(struct line *line, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line->text + line->len, sizeof line->text - line->len, format, args);
    va_end(args);
    if (n > 0)
        line->len = MIN(line->len + (size_t)n, sizeof line->text - 1);
}

static void add_number(struct line *line, const char *name, uint64_t number)
{
    add(line, " %s=%llu", name, (unsigned long long)number);
}

/* Which are set, and how often each was. */
static void add_alarms(struct line *line, struct node *node)
{
    static const char *const names[ALARM_COUNT] = {"memory", "disk", "spill", "disk_free"};
    uint32_t alarms = node_alarms(node);
    bool is_starved = false;

    add(line, "alarms=");
    for (uint32_t i = 0; i < ALARM_COUNT; i++)
        if (alarms & (1U << i))
            add(line, "%s,", names[i]);
    for (uint32_t i = 0; i < node->listener_count; i++)
        is_starved |= listener_is_starved(node->listeners[i]);
    add(line, "%s", is_starved ? "descriptors" : alarms ? "" : "none");
    for (uint32_t i = 0; i < ALARM_COUNT; i++)
        add(line, " %s_alarms=%llu", names[i],
            (unsigned long long)atomic_load(&node->alarm_counts[i]));
}

static void add_log(struct line *line, const char *name, struct log *log)
{
    struct log_clean_counts counts = log_clean_counts(log);
    uint64_t read;
    uint64_t asked;

    log_fetch_counts(log, &read, &asked);
    add(line, " %s_bytes=%llu", name, (unsigned long long)counts.total);
    add(line, " %s_cleaned_segments=%llu", name, (unsigned long long)counts.segments);
    add(line, " %s_moved_bytes=%llu", name, (unsigned long long)counts.moved);
    add(line, " %s_read_bytes=%llu", name, (unsigned long long)read);
    add(line, " %s_asked_bytes=%llu", name, (unsigned long long)asked);
}

void status_log(struct node *node)
{
    struct line line = {.len = 0};
    uint64_t queues = 0;

    for (uint16_t i = 0; i < node->shards->count; i++)
        queues += atomic_load(&node->queue_counts[i]);
    add_alarms(&line, node);
    add_number(&line, "connections", atomic_load(&node->open_connections));
    add_number(&line, "queues", queues);
    add_number(&line, "memory_bytes", node_bytes_in_use(node));
    add_number(&line, "memory_limit_bytes", node->settings.memory_limit_bytes);
    add_number(&line, "queue_memory_bytes", node_queue_bytes(node));
    add_number(&line, "queue_memory_limit_bytes", node->settings.queue_memory_bytes);
    if (node->log)
        add_log(&line, "log", node->log);
    if (node->spill && atomic_load(&node->has_spill))
        add_log(&line, "spill", node->spill);
    log_info("status", "%s", line.text);
}
