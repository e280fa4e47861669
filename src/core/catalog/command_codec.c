/* SPDX-License-Identifier: Apache-2.0 */
/* Catalog commands as bytes. Layout, big-endian:
 *
 *     offset  0         1        2
 *            +---------+--------+-----------+------------------------- - -
 *            | version | kind   | vhost     | body, by kind
 *            | u8 = 1  | u8     | shortstr  |
 *            +---------+--------+-----------+------------------------- - -
 *
 *     kind                  body
 *     1 vhost add           | incarnation u64 |
 *     2 vhost delete        (empty)
 *     3 exchange declare    | incarnation u64 | name shortstr | type u8 | flags u8 | arguments longstr |
 *     4 exchange delete     | name shortstr | flags u8 |
 *     5 queue declare       | incarnation u64 | name shortstr | flags u8 | arguments longstr |
 *     6 queues delete       | count u16 | count times: incarnation u64, name shortstr |
 *     7 bind                | kind u8 | source shortstr | destination shortstr | key shortstr
 *     8 unbind                        | arguments longstr |
 *
 *     shortstr   u8 length, then that many bytes
 *     longstr    u32 length, then that many bytes; arguments are the entries of an AMQP field table
 *     flags      bit 0 durable, 1 auto-delete, 2 internal (exchange declare only); exchange delete: bit
 *                0 if-unused. All other bits are 0
 *     type       0 direct, 1 fanout, 2 topic, 3 headers
 *     kind u8    of a binding's destination: 0 queue, 1 exchange
 *
 * Invariants of what is read:
 *   1. The body ends where the record ends.
 *   2. Incarnations are 1 .. 2^62.
 *   3. Arguments pass table_validate().
 *   4. count <= CATALOG_RECORD_QUEUES_MAX.
 *   5. One command, one encoding: bytes that decode are what encoding the command gives again.
 * There is no checksum: the log and the checkpoint have theirs around each record. */
#include "core/catalog/command_codec.h"

#include "core/table.h"

#include "base/bug.h"
#include "base/err.h"

#define HEADER_BYTES 2
#define INCARNATION_BYTES 8
#define COUNT_BYTES 2
#define FLAGS_BYTES 1
#define TYPE_BYTES 1

enum {
    FLAG_DURABLE = 1,
    FLAG_AUTO_DELETE = 2,
    FLAG_INTERNAL = 4,
    FLAG_IF_UNUSED = 1,
};

/* These numbers are in the format. */
static_assert(EXCHANGE_DIRECT == 0 && EXCHANGE_FANOUT == 1 && EXCHANGE_TOPIC == 2 &&
                  EXCHANGE_HEADERS == 3 && EXCHANGE_TYPE_COUNT == 4,
              "exchange types keep their numbers");
static_assert(DESTINATION_QUEUE == 0 && DESTINATION_EXCHANGE == 1,
              "kinds of destinations keep their numbers");

/* --- Size --- */

static size_t shortstr_size(struct str s)
{
    return 1 + s.len;
}

static size_t longstr_size(struct str s)
{
    return 4 + s.len;
}

static size_t queues_delete_size(const struct catalog_queues_delete *gone)
{
    size_t size = COUNT_BYTES;
    for (size_t i = 0; i < gone->count; i++)
        size += INCARNATION_BYTES + shortstr_size(gone->queues[i].name);
    return size;
}

static size_t binding_size(const struct catalog_binding *binding)
{
    return TYPE_BYTES + shortstr_size(binding->source) + shortstr_size(binding->destination) +
           shortstr_size(binding->routing_key) + longstr_size(binding->arguments);
}

static size_t body_size(const struct catalog_command *command)
{
    switch ((enum catalog_command_kind)command->kind) {
    case CATALOG_VHOST_ADD:
        return INCARNATION_BYTES;
    case CATALOG_EXCHANGE_DECLARE:
        return INCARNATION_BYTES + shortstr_size(command->exchange_declare.name) + TYPE_BYTES +
               FLAGS_BYTES + longstr_size(command->exchange_declare.arguments);
    case CATALOG_EXCHANGE_DELETE:
        return shortstr_size(command->exchange_delete.name) + FLAGS_BYTES;
    case CATALOG_QUEUE_DECLARE:
        return INCARNATION_BYTES + shortstr_size(command->queue_declare.name) + FLAGS_BYTES +
               longstr_size(command->queue_declare.arguments);
    case CATALOG_QUEUES_DELETE:
        return queues_delete_size(&command->queues_delete);
    case CATALOG_BIND:
    case CATALOG_UNBIND:
        return binding_size(&command->binding);
    case CATALOG_VHOST_DELETE:
        break;
    }
    return 0;
}

size_t catalog_command_size(const struct catalog_command *command)
{
    return HEADER_BYTES + shortstr_size(command->vhost) + body_size(command);
}

/* --- Writing --- */

static bool incarnation_is_valid(uint64_t incarnation)
{
    return incarnation > 0 && incarnation <= CATALOG_INCARNATION_MAX;
}

static void write_incarnation(struct writer *w, uint64_t incarnation)
{
    w->failed |= !incarnation_is_valid(incarnation);
    writer_u64(w, incarnation);
}

static void write_arguments(struct writer *w, struct str arguments)
{
    /* A record that cannot be read back costs the data directory; but the walk costs too. */
    DEBUG_BUG_ON(table_validate(arguments) != 0, "arguments to record are no valid table");
    writer_longstr(w, arguments);
}

static void write_exchange_declare(struct writer *w, const struct catalog_exchange_declare *declare)
{
    unsigned flags = (declare->durable ? FLAG_DURABLE : 0U) |
                     (declare->auto_delete ? FLAG_AUTO_DELETE : 0U) |
                     (declare->internal ? FLAG_INTERNAL : 0U);
    w->failed |= (unsigned)declare->type >= EXCHANGE_TYPE_COUNT;
    write_incarnation(w, declare->incarnation);
    writer_shortstr(w, declare->name);
    writer_u8(w, (uint8_t)declare->type);
    writer_u8(w, (uint8_t)flags);
    write_arguments(w, declare->arguments);
}

static void write_exchange_delete(struct writer *w, const struct catalog_exchange_delete *gone)
{
    writer_shortstr(w, gone->name);
    writer_u8(w, gone->if_unused ? FLAG_IF_UNUSED : 0);
}

static void write_queue_declare(struct writer *w, const struct catalog_queue_declare *declare)
{
    unsigned flags =
        (declare->durable ? FLAG_DURABLE : 0U) | (declare->auto_delete ? FLAG_AUTO_DELETE : 0U);
    w->failed |= declare->exclusive || declare->owner != 0;
    write_incarnation(w, declare->incarnation);
    writer_shortstr(w, declare->name);
    writer_u8(w, (uint8_t)flags);
    write_arguments(w, declare->arguments);
}

static void write_queues_delete(struct writer *w, const struct catalog_queues_delete *gone)
{
    if (gone->count > CATALOG_RECORD_QUEUES_MAX) {
        w->failed = true;
        return;
    }
    writer_u16(w, (uint16_t)gone->count);
    for (size_t i = 0; i < gone->count; i++) {
        write_incarnation(w, gone->queues[i].incarnation);
        writer_shortstr(w, gone->queues[i].name);
    }
}

static void write_binding(struct writer *w, const struct catalog_binding *binding)
{
    w->failed |= binding->kind != DESTINATION_QUEUE && binding->kind != DESTINATION_EXCHANGE;
    writer_u8(w, (uint8_t)binding->kind);
    writer_shortstr(w, binding->source);
    writer_shortstr(w, binding->destination);
    writer_shortstr(w, binding->routing_key);
    write_arguments(w, binding->arguments);
}

static void write_body(struct writer *w, const struct catalog_command *command)
{
    switch ((enum catalog_command_kind)command->kind) {
    case CATALOG_VHOST_ADD:
        write_incarnation(w, command->vhost_add.incarnation);
        return;
    case CATALOG_VHOST_DELETE:
        return;
    case CATALOG_EXCHANGE_DECLARE:
        write_exchange_declare(w, &command->exchange_declare);
        return;
    case CATALOG_EXCHANGE_DELETE:
        write_exchange_delete(w, &command->exchange_delete);
        return;
    case CATALOG_QUEUE_DECLARE:
        write_queue_declare(w, &command->queue_declare);
        return;
    case CATALOG_QUEUES_DELETE:
        write_queues_delete(w, &command->queues_delete);
        return;
    case CATALOG_BIND:
    case CATALOG_UNBIND:
        write_binding(w, &command->binding);
        return;
    }
    w->failed = true;
}

void catalog_command_encode(const struct catalog_command *command, struct writer *w)
{
    w->failed |= command->version != CATALOG_COMMAND_VERSION;
    writer_u8(w, command->version);
    writer_u8(w, command->kind);
    writer_shortstr(w, command->vhost);
    write_body(w, command);
}

/* --- Reading --- */

static uint64_t read_incarnation(struct cursor *in)
{
    uint64_t incarnation = cursor_u64(in);
    in->failed |= !incarnation_is_valid(incarnation);
    return incarnation;
}

/* A number below `limit`. */
static unsigned read_below(struct cursor *in, unsigned limit)
{
    unsigned value = cursor_u8(in);
    in->failed |= value >= limit;
    return value;
}

static unsigned read_flags(struct cursor *in, unsigned known)
{
    unsigned flags = cursor_u8(in);
    in->failed |= (flags & ~known) != 0;
    return flags;
}

static struct str read_arguments(struct cursor *in)
{
    struct str arguments = cursor_longstr(in);
    if (!in->failed)
        in->failed = table_validate(arguments) != 0;
    return arguments;
}

static void read_exchange_declare(struct cursor *in, struct catalog_exchange_declare *out)
{
    out->incarnation = read_incarnation(in);
    out->name = cursor_shortstr(in);
    out->type = (enum exchange_type)read_below(in, EXCHANGE_TYPE_COUNT);
    unsigned flags = read_flags(in, FLAG_DURABLE | FLAG_AUTO_DELETE | FLAG_INTERNAL);
    out->durable = flags & FLAG_DURABLE;
    out->auto_delete = flags & FLAG_AUTO_DELETE;
    out->internal = flags & FLAG_INTERNAL;
    out->arguments = read_arguments(in);
}

static void read_exchange_delete(struct cursor *in, struct catalog_exchange_delete *out)
{
    out->name = cursor_shortstr(in);
    out->if_unused = read_flags(in, FLAG_IF_UNUSED) & FLAG_IF_UNUSED;
}

static void read_queue_declare(struct cursor *in, struct catalog_queue_declare *out)
{
    out->incarnation = read_incarnation(in);
    out->name = cursor_shortstr(in);
    unsigned flags = read_flags(in, FLAG_DURABLE | FLAG_AUTO_DELETE);
    out->durable = flags & FLAG_DURABLE;
    out->auto_delete = flags & FLAG_AUTO_DELETE;
    out->arguments = read_arguments(in);
}

static void read_queues_delete(struct cursor *in, struct catalog_queues_delete *out,
                               struct catalog_command_scratch *scratch)
{
    size_t count = cursor_u16(in);
    if (count > ARRAY_LEN(scratch->queues)) {
        in->failed = true;
        return;
    }
    *out = (struct catalog_queues_delete){scratch->queues, count};
    for (size_t i = 0; i < count; i++) {
        scratch->queues[i].incarnation = read_incarnation(in);
        scratch->queues[i].name = cursor_shortstr(in);
    }
}

static void read_binding(struct cursor *in, struct catalog_binding *out)
{
    out->kind = (enum destination_kind)read_below(in, DESTINATION_EXCHANGE + 1U);
    out->source = cursor_shortstr(in);
    out->destination = cursor_shortstr(in);
    out->routing_key = cursor_shortstr(in);
    out->arguments = read_arguments(in);
}

static void read_body(struct cursor *in, struct catalog_command *out,
                      struct catalog_command_scratch *scratch)
{
    switch ((enum catalog_command_kind)out->kind) {
    case CATALOG_VHOST_ADD:
        out->vhost_add.incarnation = read_incarnation(in);
        return;
    case CATALOG_VHOST_DELETE:
        return;
    case CATALOG_EXCHANGE_DECLARE:
        read_exchange_declare(in, &out->exchange_declare);
        return;
    case CATALOG_EXCHANGE_DELETE:
        read_exchange_delete(in, &out->exchange_delete);
        return;
    case CATALOG_QUEUE_DECLARE:
        read_queue_declare(in, &out->queue_declare);
        return;
    case CATALOG_QUEUES_DELETE:
        read_queues_delete(in, &out->queues_delete, scratch);
        return;
    case CATALOG_BIND:
    case CATALOG_UNBIND:
        read_binding(in, &out->binding);
        return;
    }
    in->failed = true;
}

int catalog_command_decode(struct str bytes, struct catalog_command *out,
                           struct catalog_command_scratch *scratch)
{
    struct cursor in = cursor_of_str(bytes);
    *out = (struct catalog_command){.version = cursor_u8(&in)};
    out->kind = cursor_u8(&in);
    out->vhost = cursor_shortstr(&in);
    in.failed |= out->version != CATALOG_COMMAND_VERSION;
    read_body(&in, out, scratch);
    if (cursor_is_done(&in))
        return 0;
    *out = (struct catalog_command){0};
    return ERR_CORRUPT;
}
