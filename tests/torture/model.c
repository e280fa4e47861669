/* SPDX-License-Identifier: Apache-2.0 */
/* The model: events in the order of the log. After a crash the node must stand exactly where some prefix
 * of them leads, and that prefix must hold all that was reported durable. */
#include "torture.h"

#include "base/bug.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

void events_add(struct events *events, const struct event *event)
{
    if (events->count == events->capacity) {
        events->capacity = MAX(events->capacity * 2, (size_t)64);
        events->all = mem_resize(events->all, events->capacity * sizeof *events->all);
    }
    events->all[events->count++] = *event;
}

/* ---- queues and their messages ---- */

static void free_queue(struct model *model, uint8_t name)
{
    struct model_queue *queue = model->queues[name];

    if (!queue)
        return;
    mem_free(queue->messages);
    mem_free(queue);
    model->queues[name] = NULL;
    for (int exchange = 0; exchange < SIM_EXCHANGES; exchange++)
        memset(model->bindings[exchange][name], 0, sizeof model->bindings[exchange][name]);
}

void model_fini(struct model *model)
{
    for (uint8_t name = 0; name < SIM_QUEUES; name++)
        free_queue(model, name);
    mem_free(model->committed);
    mem_free(model->events.all);
}

/* The queue that an event is about, unless it is gone. */
static struct model_queue *find_queue(const struct model *model, const struct event *event)
{
    struct model_queue *queue = model->queues[event->name];
    return queue && queue->incarnation == event->incarnation ? queue : NULL;
}

static void add_queue(struct model *model, const struct event *event)
{
    struct model_queue *queue = mem_alloc_zero(sizeof *queue);

    free_queue(model, event->name);
    queue->incarnation = event->incarnation;
    queue->name = event->name;
    model->queues[event->name] = queue;
    model->last_incarnation = MAX(model->last_incarnation, event->incarnation);
}

static void add_message(struct model_queue *queue, const struct event *event)
{
    if (queue->count == queue->capacity) {
        queue->capacity = MAX(queue->capacity * 2, (size_t)16);
        queue->messages = mem_resize(queue->messages, queue->capacity * sizeof *queue->messages);
    }
    queue->tail = MAX(queue->tail, event->position + 1);
    queue->messages[queue->count++] = (struct model_message){
        .position = event->position,
        .expires_ms = event->expires_ms,
        .number = event->number,
        .added_by = event->transaction,
    };
}

static void take_message(struct model_queue *queue, const struct event *event)
{
    for (size_t i = 0; i < queue->count; i++) {
        struct model_message *message = &queue->messages[i];
        if (message->position != event->position)
            continue;
        BUG_ON(message->is_gone, "the history takes a message twice");
        message->is_gone = true;
        message->gone_by = event->transaction;
        return;
    }
    BUG_ON(true, "the history takes a message that never was");
}

static void add_committed(struct model *model, uint64_t transaction)
{
    if (model->committed_count == model->committed_capacity) {
        model->committed_capacity = MAX(model->committed_capacity * 2, (size_t)16);
        model->committed =
            mem_resize(model->committed, model->committed_capacity * sizeof *model->committed);
    }
    model->committed[model->committed_count++] = transaction;
}

static bool counts(const struct model *model, uint64_t transaction)
{
    if (transaction == 0)
        return true;
    for (size_t i = 0; i < model->committed_count; i++)
        if (model->committed[i] == transaction)
            return true;
    return false;
}

static bool is_there(const struct model *model, const struct model_message *message)
{
    return counts(model, message->added_by) &&
           !(message->is_gone && counts(model, message->gone_by));
}

/* ---- events ---- */

static void on_queue_event(struct model_queue *queue, const struct event *event)
{
    if (!queue)
        return; /* what came too late for a queue that was deleted */
    if (event->kind == EVENT_ADD)
        add_message(queue, event);
    else if (event->kind == EVENT_GONE)
        take_message(queue, event);
    else
        queue->marked = MAX(queue->marked, event->position);
    queue->ever_marked = MAX(queue->ever_marked, queue->marked);
}

void model_step(struct model *model)
{
    const struct event *event = &model->events.all[model->applied++];

    model->is_clean = false;
    switch (event->kind) {
    case EVENT_VHOST:
        model->has_vhost = true;
        break;
    case EVENT_EXCHANGE:
        model->exchanges[event->exchange] = true;
        break;
    case EVENT_EXCHANGE_GONE:
        model->exchanges[event->exchange] = false;
        memset(model->bindings[event->exchange], 0, sizeof model->bindings[event->exchange]);
        break;
    case EVENT_BIND:
    case EVENT_UNBIND:
        model->bindings[event->exchange][event->name][event->key] = event->kind == EVENT_BIND;
        break;
    case EVENT_QUEUE:
        add_queue(model, event);
        break;
    case EVENT_QUEUE_GONE:
        free_queue(model, event->name);
        break;
    case EVENT_ADD:
    case EVENT_GONE:
    case EVENT_MARK:
        on_queue_event(find_queue(model, event), event);
        break;
    case EVENT_COMMIT:
        add_committed(model, event->transaction);
        break;
    }
}

/* ---- the comparison ---- */

static const char *message_differs(const struct model_queue *queue,
                                   const struct model_message *message,
                                   const struct found_message *there, bool is_clean, char text[256])
{
    bool must_be_redelivered =
        message->was_redelivered || (!is_clean && message->position < queue->marked);
    /* A mark may run ahead; after a good end each message says for itself. */
    bool may_be_redelivered =
        must_be_redelivered || (!is_clean && message->position < queue->ever_marked);

    if (there->position != message->position || there->number != message->number)
        snprintf(text, 256,
                 "queue q%u: message %u at %llu is expected, message %u at %llu is there",
                 queue->name, message->number, (unsigned long long)message->position, there->number,
                 (unsigned long long)there->position);
    else if (there->expires_ms != message->expires_ms)
        snprintf(text, 256, "queue q%u: message %u expires at %llu instead of %llu", queue->name,
                 message->number, (unsigned long long)there->expires_ms,
                 (unsigned long long)message->expires_ms);
    else if (must_be_redelivered && !there->is_redelivered)
        snprintf(text, 256, "queue q%u: message %u at %llu is not flagged redelivered", queue->name,
                 message->number, (unsigned long long)message->position);
    else if (there->is_redelivered && !may_be_redelivered)
        snprintf(text, 256, "queue q%u: message %u at %llu was not delivered, and says so",
                 queue->name, message->number, (unsigned long long)message->position);
    else
        return NULL;
    return text;
}

static const char *queue_differs(const struct model *model, const struct model_queue *queue,
                                 const struct found *found, char text[256])
{
    const struct found_queue *there = &found->queues[queue->name];
    const char *why = NULL;
    size_t at = 0;

    if (there->tail < queue->tail) {
        snprintf(text, 256, "queue q%u: positions go on at %llu, and %llu was given", queue->name,
                 (unsigned long long)there->tail, (unsigned long long)queue->tail - 1);
        return text;
    }
    for (size_t i = 0; i < queue->count && !why; i++) {
        if (!is_there(model, &queue->messages[i]))
            continue;
        if (at == there->count) {
            snprintf(text, 256, "queue q%u: message %u at %llu is missing", queue->name,
                     queue->messages[i].number, (unsigned long long)queue->messages[i].position);
            return text;
        }
        why = message_differs(queue, &queue->messages[i], &there->messages[at++], found->is_clean,
                              text);
    }
    if (why || at == there->count)
        return why;
    snprintf(text, 256, "queue q%u: message %u at %llu should not be there", queue->name,
             there->messages[at].number, (unsigned long long)there->messages[at].position);
    return text;
}

const char *model_differs(const struct model *model, const struct found *found, char text[256])
{
    const char *why = NULL;

    if (found->is_clean && !model->is_clean)
        return "it passes for the end of an orderly stop";
    if (model->has_vhost != found->has_vhost)
        return "the vhost";
    if (memcmp(model->exchanges, found->exchanges, sizeof model->exchanges) != 0)
        return "the exchanges";
    if (memcmp(model->bindings, found->bindings, sizeof model->bindings) != 0)
        return "the bindings";
    for (uint8_t name = 0; name < SIM_QUEUES && !why; name++) {
        const struct model_queue *queue = model->queues[name];
        if ((queue ? queue->incarnation : 0) != found->queues[name].incarnation) {
            snprintf(text, 256, "queue q%u: incarnation %llu instead of %llu", name,
                     (unsigned long long)found->queues[name].incarnation,
                     (unsigned long long)(queue ? queue->incarnation : 0));
            return text;
        }
        why = queue ? queue_differs(model, queue, found, text) : NULL;
    }
    return why;
}

/* ---- a new life ---- */

static void settle_queue(const struct model *model, struct model_queue *queue,
                         const struct found_queue *found, bool is_clean)
{
    size_t kept = 0;

    for (size_t i = 0; i < queue->count; i++) {
        struct model_message message = queue->messages[i];
        if (!is_there(model, &message))
            continue;
        message.is_gone = false;
        message.added_by = 0;
        message.gone_by = 0;
        message.was_redelivered = found->messages[kept].is_redelivered;
        queue->messages[kept++] = message;
    }
    queue->count = kept;
    /* A mark that no message showed may have been there, too; it ran ahead of those that come now. */
    queue->ever_marked = MAX(queue->ever_marked, found->marked);
    /* After a good end each entry says for itself whether it was delivered. */
    if (is_clean)
        queue->marked = 0;
}

void model_settle(struct model *model, const struct found *found)
{
    for (uint8_t name = 0; name < SIM_QUEUES; name++)
        if (model->queues[name])
            settle_queue(model, model->queues[name], &found->queues[name], found->is_clean);
    model->committed_count = 0;
    model->events.count = 0;
    model->applied = 0;
}
