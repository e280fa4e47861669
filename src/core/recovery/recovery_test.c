/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recovery.c: numbers of commands, transactions, states, marks, and records that cannot be. */
#include "core/recovery/recovery.h"

#include "base/err.h"
#include "core/catalog/command_codec.h"
#include "core/recovery/queue_model.h"
#include "storage/disk_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define QUEUE 20U

/* Records as the log hands them on: each has the next identity. */
struct fixture {
    struct recovery recovery;
    uint64_t id;
    int rc; /* of the last one */
};

static void begin(struct fixture *f)
{
    *f = (struct fixture){.id = record_id(5, 0)};
    recovery_init(&f->recovery);
}

static void end(struct fixture *f)
{
    recovery_free(&f->recovery);
}

static void hand_on(struct fixture *f, uint8_t kind, const uint8_t *payload, size_t octets)
{
    struct record_header header = {
        .octets = (uint32_t)octets, .kind = kind, .version = RECORD_VERSION};
    f->rc = recovery_record(&f->recovery, f->id++, &header, payload);
}

/* A record of 64-bit numbers. */
static void numbers(struct fixture *f, enum record_kind kind, const uint64_t *all, size_t count)
{
    uint8_t payload[256];
    struct writer w = writer_of(payload, sizeof payload);

    for (size_t i = 0; i < count; i++)
        writer_u64(&w, all[i]);
    hand_on(f, (uint8_t)kind, payload, writer_len(&w));
}

#define RECORD(f, kind, ...)                                                                       \
    numbers(f, kind, (const uint64_t[]){__VA_ARGS__},                                              \
            sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static void add_in(struct fixture *f, uint64_t sequence, uint64_t position, uint64_t transaction)
{
    RECORD(f, RECORD_ENQUEUE_REF, QUEUE, 0, sequence, transaction, position, 0, 1000 + position, 0,
           0);
}

static void add(struct fixture *f, uint64_t sequence, uint64_t position)
{
    add_in(f, sequence, position, 0);
}

/* With what is known of the body: it is not read at a start. */
static void test_a_reference_tells_of_its_body(void **state)
{
    const struct recovered_entry *entry;
    struct fixture f;
    (void)state;

    begin(&f);
    RECORD(&f, RECORD_ENQUEUE_REF, QUEUE, 0, 1, 0, 7, 55, record_id(4, 16), (100ULL << 32) + 9000,
           3ULL << 32);
    assert_int_equal(f.rc, 0);
    entry = &recovery_find(&f.recovery, QUEUE)->entries[0];
    assert_int_equal(entry->position, 7);
    assert_int_equal(entry->expires_ms, 55);
    assert_int_equal(entry->body, record_id(4, 16));
    assert_int_equal(entry->image_len, 100);
    assert_int_equal(entry->body_bytes, 9000);
    assert_int_equal(entry->span, 3);
    end(&f);
}

static void settle_in(struct fixture *f, uint64_t sequence, uint64_t first, uint64_t count,
                      uint64_t transaction)
{
    RECORD(f, RECORD_SETTLE, QUEUE, 0, sequence, transaction, first, count);
}

/* A state of QUEUE with the positions [first, first + count). */
static void state_of(struct fixture *f, uint64_t sequence, uint64_t tail, uint64_t first,
                     uint32_t count)
{
    uint8_t payload[1024];
    struct writer w = writer_of(payload, sizeof payload);

    writer_u64(&w, QUEUE);
    writer_u64(&w, sequence);
    writer_u64(&w, tail);
    writer_u64(&w, 0);
    writer_u64(&w, 0);
    writer_u32(&w, count);
    writer_u32(&w, 0);
    for (uint32_t i = 0; i < count; i++) {
        writer_u64(&w, first + i);
        writer_u64(&w, 0);
        writer_u64(&w, 1000 + first + i);
        writer_u64(&w, 0);
        writer_u64(&w, 0);
    }
    hand_on(f, RECORD_QUEUE_STATE, payload, writer_len(&w));
}

static void command(struct fixture *f, const struct catalog_command *command)
{
    uint8_t payload[512];
    struct writer w = writer_of(payload, sizeof payload);

    catalog_command_encode(command, &w);
    hand_on(f, RECORD_CATALOG, payload, writer_len(&w));
}

static void add_vhost(struct fixture *f)
{
    struct catalog_command vhost = {.version = CATALOG_COMMAND_VERSION,
                                    .kind = CATALOG_VHOST_ADD,
                                    .vhost = STR("/"),
                                    .vhost_add.incarnation = 1};
    command(f, &vhost);
    assert_int_equal(f->rc, 0);
}

static void declare(struct fixture *f, uint64_t incarnation)
{
    struct catalog_command queue = {
        .version = CATALOG_COMMAND_VERSION,
        .kind = CATALOG_QUEUE_DECLARE,
        .vhost = STR("/"),
        .queue_declare = {.name = STR("q"), .incarnation = incarnation, .durable = true},
    };
    command(f, &queue);
    assert_int_equal(f->rc, 0);
}

/* The positions of QUEUE that are there, as text. */
static const char *left(struct fixture *f)
{
    static char text[256];
    const struct recovered_queue *queue = recovery_find(&f->recovery, QUEUE);
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = 0; queue && i < queue->count; i++)
        if (!queue->entries[i].is_gone)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%llu", at ? " " : "",
                                   (unsigned long long)queue->entries[i].position);
    return text;
}

/* ---- numbers of commands (invariant 9) ---- */

static void test_commands_follow_each_other(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    for (uint64_t i = 0; i < 5; i++) {
        add(&f, i + 1, i);
        assert_int_equal(f.rc, 0);
    }
    settle_in(&f, 6, 1, 2, 0);
    recovery_finish(&f.recovery);
    assert_string_equal(left(&f), "0 3 4");
    assert_int_equal(recovery_find(&f.recovery, QUEUE)->tail, 5);
    assert_int_equal(recovery_find(&f.recovery, QUEUE)->sequence, 6);
    end(&f);
}

static void test_a_gap_is_refused(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    add(&f, 1, 0);
    add(&f, 3, 2);
    assert_int_equal(f.rc, ERR_CORRUPT);
    assert_string_equal(f.recovery.reason, "queue 20: command 1 is followed by 3");
    end(&f);
}

static void test_with_recover_a_gap_is_told_and_passed(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    f.recovery.recovers = true;
    add(&f, 1, 0);
    add(&f, 3, 2);
    assert_int_equal(f.rc, ERR_CORRUPT);
    add(&f, 4, 3);
    assert_int_equal(f.rc, 0);
    assert_string_equal(left(&f), "0 2 3");
    end(&f);
}

static void test_what_the_state_has_is_passed_over(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    state_of(&f, 7, 12, 3, 4);
    add(&f, 6, 5);
    settle_in(&f, 7, 4, 1, 0);
    assert_int_equal(f.rc, 0);
    settle_in(&f, 8, 3, 1, 0);
    add(&f, 9, 12);
    assert_int_equal(f.rc, 0);
    assert_string_equal(left(&f), "4 5 6 12");
    end(&f);
}

static void test_a_gap_behind_the_state_is_refused(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    state_of(&f, 7, 12, 3, 4);
    add(&f, 9, 12);
    assert_int_equal(f.rc, ERR_CORRUPT);
    end(&f);
}

/* It was deleted before its state was gathered. */
static void test_a_queue_without_a_beginning_may_be_deleted(void **state)
{
    struct fixture f;
    uint64_t id = 0;
    (void)state;

    begin(&f);
    add_vhost(&f);
    add(&f, 5, 9);
    assert_int_equal(f.rc, 0);
    add(&f, 6, 10);
    assert_int_equal(f.rc, 0);
    recovery_finish(&f.recovery);
    assert_int_equal(recovery_check(&f.recovery, &id), 0);
    end(&f);
}

static void test_a_queue_without_a_beginning_must_not_be_there(void **state)
{
    struct fixture f;
    uint64_t first;
    uint64_t id = 0;
    (void)state;

    begin(&f);
    add_vhost(&f);
    declare(&f, QUEUE);
    first = f.id;
    add(&f, 5, 9);
    add(&f, 6, 10);
    recovery_finish(&f.recovery);
    assert_int_equal(recovery_check(&f.recovery, &id), ERR_CORRUPT);
    assert_true(id == first);
    assert_string_equal(f.recovery.reason, "queue 20: its first commands are missing");
    assert_int_equal(recovery_check(&f.recovery, &id), 0);
    end(&f);
}

static void test_positions_only_rise(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    add(&f, 1, 4);
    add(&f, 2, 4);
    assert_int_equal(f.rc, ERR_CORRUPT);
    end(&f);
}

/* Invariant 12. */
static void test_positions_go_on_behind_what_is_gone(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    add(&f, 1, 0);
    add(&f, 2, 8);
    settle_in(&f, 3, 0, 9, 0);
    assert_string_equal(left(&f), "");
    assert_int_equal(recovery_find(&f.recovery, QUEUE)->tail, 9);
    end(&f);
    begin(&f);
    state_of(&f, 7, 40, 3, 1);
    assert_int_equal(recovery_find(&f.recovery, QUEUE)->tail, 40);
    end(&f);
}

/* ---- transactions (invariant 10) ---- */

/* Messages 0 and 1; transaction 3 takes 0 and adds 2. */
static void open_transaction(struct fixture *f)
{
    begin(f);
    add(f, 1, 0);
    add(f, 2, 1);
    settle_in(f, 3, 0, 1, 3);
    add_in(f, 4, 2, 3);
    assert_int_equal(f->rc, 0);
}

static void test_a_committed_transaction_counts(void **state)
{
    struct fixture f;
    (void)state;

    open_transaction(&f);
    RECORD(&f, RECORD_COMMIT, 3);
    recovery_finish(&f.recovery);
    assert_string_equal(left(&f), "1 2");
    assert_int_equal(f.recovery.last_transaction, 3);
    assert_false(f.recovery.has_undone);
    end(&f);
}

static void test_one_without_a_commit_is_undone(void **state)
{
    struct fixture f;
    (void)state;

    open_transaction(&f);
    RECORD(&f, RECORD_COMMIT, 4); /* another one */
    recovery_finish(&f.recovery);
    assert_string_equal(left(&f), "0 1");
    assert_true(f.recovery.has_undone);
    assert_int_equal(f.recovery.last_transaction, 4);
    end(&f);
}

/* The life after an undone transaction settles what it had taken. */
static void test_what_is_settled_after_an_undo_stays_away(void **state)
{
    struct fixture f;
    (void)state;

    open_transaction(&f);
    RECORD(&f, RECORD_UNDO, 3);
    assert_int_equal(f.rc, 0);
    assert_string_equal(left(&f), "0 1");
    settle_in(&f, 5, 0, 1, 0);
    recovery_finish(&f.recovery);
    assert_string_equal(left(&f), "1");
    assert_false(f.recovery.has_undone);
    end(&f);
}

static int note_undo(void *context, uint64_t id, const struct record_header *header,
                     const uint8_t *payload)
{
    (void)id;
    assert_int_equal(header->kind, RECORD_UNDO);
    *(uint64_t *)context = load_u64(payload);
    return 0;
}

/* What the next life begins with, written to a log and read again. */
static uint64_t undo_in_the_log(struct fixture *f)
{
    struct log_settings settings = {.segment_bytes = LOG_SEGMENT_MIN, .streams = 1, .seed = 1};
    struct stage stage = {0};
    struct disk *disk = disk_memory_new();
    struct log_error error;
    struct log *log;
    uint64_t upto = 0;

    assert_int_equal(log_open(disk, &settings, &log, &error), 0);
    assert_int_equal(log_replay(log, note_undo, &upto, &error), 0);
    assert_int_equal(log_start(log, &error), 0);
    stage.stream = log_stream(log, 0);
    recovery_log_undone(&f->recovery, &stage);
    assert_int_equal(log_step(log), 0);
    disk = disk_memory_clone(disk);
    log_free(log);
    assert_int_equal(log_open(disk, &settings, &log, &error), 0);
    assert_int_equal(log_replay(log, note_undo, &upto, &error), 0);
    log_free(log);
    return upto;
}

static void test_what_was_undone_is_told_to_the_log(void **state)
{
    struct fixture f;
    (void)state;

    open_transaction(&f);
    recovery_finish(&f.recovery);
    assert_int_equal(undo_in_the_log(&f), 3);
    end(&f);
    open_transaction(&f);
    RECORD(&f, RECORD_COMMIT, 3);
    recovery_finish(&f.recovery);
    assert_int_equal(undo_in_the_log(&f), 0);
    end(&f);
}

static void test_one_that_is_open_adds_what_another_takes(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    add_in(&f, 1, 0, 3);
    settle_in(&f, 2, 0, 1, 4);
    recovery_finish(&f.recovery);
    assert_string_equal(left(&f), "");
    end(&f);
}

static void test_many_settles_before_an_undo(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f); /* so many that the model makes room by forgetting those that are gone */
    for (uint64_t i = 0; i < 3000; i++)
        add(&f, i + 1, i);
    settle_in(&f, 3001, 7, 1, 3);
    settle_in(&f, 3002, 0, 2990, 0);
    recovery_finish(&f.recovery);
    assert_string_equal(left(&f), "7 2990 2991 2992 2993 2994 2995 2996 2997 2998 2999");
    end(&f);
}

/* ---- the rest ---- */

static void test_marks_are_kept(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    add(&f, 1, 0);
    RECORD(&f, RECORD_DELIVERED, QUEUE, 9);
    RECORD(&f, RECORD_DELIVERED, QUEUE, 4);
    assert_int_equal(f.rc, 0);
    assert_int_equal(recovery_find(&f.recovery, QUEUE)->delivered, 9);
    end(&f);
}

static void test_catalog_records_that_the_state_has_are_passed_over(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    f.id = 0;
    RECORD(&f, RECORD_CATALOG_STATE, record_id(5, 8), 77, 12);
    f.id = 0;
    add_vhost(&f);
    f.id = record_id(5, 0);
    declare(&f, 30);
    assert_true(catalog_last_incarnation(f.recovery.catalog) < 30);
    f.id = record_id(5, 8);
    declare(&f, 31);
    assert_int_equal(catalog_last_incarnation(f.recovery.catalog), 31);
    assert_int_equal(f.recovery.last_incarnation, 77);
    assert_int_equal(f.recovery.last_transaction, 12);
    end(&f);
}

static void test_unknown_kinds_and_versions_are_refused(void **state)
{
    struct fixture f;
    struct record_header header = {
        .octets = 8, .kind = RECORD_COMMIT, .version = RECORD_VERSION + 1};
    uint8_t payload[8] = {0};
    (void)state;

    begin(&f);
    hand_on(&f, 99, payload, sizeof payload);
    assert_int_equal(f.rc, ERR_CORRUPT);
    assert_non_null(strstr(f.recovery.reason, "99"));
    assert_int_equal(recovery_record(&f.recovery, f.id, &header, payload), ERR_CORRUPT);
    assert_non_null(strstr(f.recovery.reason, "version"));
    end(&f);
}

/* Each kind, cut at each length: refused, or of that length by right (a body). */
static void test_cut_records_are_refused(void **state)
{
    static const uint8_t kinds[] = {RECORD_ENQUEUE_REF, RECORD_SETTLE,        RECORD_EXPIRE,
                                    RECORD_DELIVERED,   RECORD_COMMIT,        RECORD_UNDO,
                                    RECORD_QUEUE_STATE, RECORD_CATALOG_STATE, RECORD_CATALOG};
    static const size_t whole[] = {56, 48, 56, 16, 8, 8, 48, 24, SIZE_MAX};
    uint8_t payload[64];
    (void)state;

    for (size_t i = 0; i < sizeof kinds; i++)
        for (size_t octets = 0; octets <= sizeof payload; octets++) {
            struct fixture f;
            begin(&f);
            memset(payload, 0, sizeof payload);
            payload[7] = QUEUE;
            payload[23] = 1;
            hand_on(&f, kinds[i], payload, octets);
            if (octets != whole[i])
                assert_int_equal(f.rc, ERR_CORRUPT);
            end(&f);
        }
}

/* ---- sizes ---- */

static void test_no_queue_ends_beyond_all_numbers(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    state_of(&f, 1, UINT64_C(1) << 63, 3, 1);
    assert_int_equal(f.rc, ERR_CORRUPT);
    end(&f);
    begin(&f);
    add(&f, 1, (UINT64_C(1) << 62) + 1);
    assert_int_equal(f.rc, ERR_CORRUPT);
    end(&f);
}

/* One message that never goes, and a tail far away: no more than a ring can hold. */
static void test_a_queue_ends_where_it_can_span(void **state)
{
    struct recovered_queue *queue;
    struct fixture f;
    (void)state;

    begin(&f);
    state_of(&f, 1, UINT64_C(1) << 61, 3, 1);
    assert_int_equal(f.rc, 0);
    queue = recovery_find(&f.recovery, QUEUE);
    assert_int_equal(queue_model_end(queue), 3 + QUEUE_SPAN_MAX);
    settle_in(&f, 2, 3, 1, 0);
    assert_int_equal(queue_model_end(queue), UINT64_C(1) << 61);
    end(&f);
}

/* The entries of the transaction have made room; what stands behind them is not moved for each of them. */
static void test_a_large_transaction_is_undone_at_once(void **state)
{
    enum { TAKEN = 100000, BEHIND = 100000 };
    struct recovered_queue *queue;
    struct fixture f;
    (void)state;

    begin(&f);
    for (uint64_t i = 0; i < TAKEN + BEHIND; i++)
        add(&f, i + 1, i);
    for (uint64_t i = 0; i < TAKEN; i++)
        settle_in(&f, TAKEN + BEHIND + 1 + i, TAKEN - 1 - i, 1, 5);
    queue = recovery_find(&f.recovery, QUEUE);
    assert_in_range(queue->count, BEHIND, TAKEN + BEHIND - 1);
    recovery_finish(&f.recovery);
    assert_int_equal(queue->count - queue->gone, TAKEN + BEHIND);
    for (uint64_t i = 0; i < TAKEN + BEHIND; i++)
        assert_true(queue->entries[i].position == i && !queue->entries[i].is_gone);
    end(&f);
}

/* ---- catalog records behind damage ---- */

static void declare_as(struct fixture *f, uint64_t incarnation)
{
    struct catalog_command queue = {
        .version = CATALOG_COMMAND_VERSION,
        .kind = CATALOG_QUEUE_DECLARE,
        .vhost = STR("/"),
        .queue_declare = {.name = STR("q"), .incarnation = incarnation, .durable = true},
    };
    command(f, &queue);
}

static uint64_t incarnation_of_q(struct fixture *f)
{
    struct vhost *vhost;

    catalog_commit(f->recovery.catalog);
    vhost = catalog_find_vhost(f->recovery.catalog, STR("/"));
    if (!vhost || !view_find_queue(catalog_view(vhost), STR("q")))
        return 0;
    return view_find_queue(catalog_view(vhost), STR("q"))->ref.incarnation;
}

static void test_with_recover_a_lost_vhost_is_added(void **state)
{
    struct fixture f;
    uint64_t id;
    (void)state;

    begin(&f);
    f.recovery.recovers = true;
    declare_as(&f, QUEUE);
    assert_int_equal(f.rc, ERR_CORRUPT);
    assert_string_equal(f.recovery.reason, "the record of vhost '/' is lost: it was added anew");
    add(&f, 1, 0);
    assert_int_equal(incarnation_of_q(&f), QUEUE);
    assert_int_equal(recovery_check(&f.recovery, &id), 0);
    end(&f);
}

static void test_with_recover_a_later_queue_replaces_one_of_its_name(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    f.recovery.recovers = true;
    add_vhost(&f);
    declare(&f, QUEUE);
    declare_as(&f, QUEUE + 5);
    assert_int_equal(f.rc, ERR_CORRUPT);
    assert_int_equal(incarnation_of_q(&f), QUEUE + 5);
    declare_as(&f, QUEUE);
    assert_int_equal(f.rc, 0);
    assert_int_equal(incarnation_of_q(&f), QUEUE + 5);
    end(&f);
}

static void test_with_recover_a_lost_binding_is_told(void **state)
{
    struct catalog_command bind = {
        .version = CATALOG_COMMAND_VERSION,
        .kind = CATALOG_BIND,
        .vhost = STR("/"),
        .binding = {.source = STR("amq.direct"), .destination = STR("q"), .routing_key = STR("k")},
    };
    struct fixture f;
    (void)state;

    begin(&f);
    f.recovery.recovers = true;
    add_vhost(&f);
    command(&f, &bind);
    assert_int_equal(f.rc, ERR_CORRUPT);
    bind.kind = CATALOG_UNBIND;
    command(&f, &bind);
    assert_int_equal(f.rc, 0);
    end(&f);
}

static void test_with_recover_a_queue_without_a_declaration_is_told(void **state)
{
    struct catalog_queue_id ids[] = {{STR("q"), QUEUE}};
    struct catalog_command delete = {.version = CATALOG_COMMAND_VERSION,
                                     .kind = CATALOG_QUEUES_DELETE,
                                     .vhost = STR("/"),
                                     .queues_delete = {ids, 1}};
    (void)state;

    for (int is_deleted = 0; is_deleted <= 1; is_deleted++) {
        struct fixture f;
        uint64_t id = 1;
        begin(&f);
        f.recovery.recovers = true;
        add_vhost(&f);
        add(&f, 1, 0);
        add(&f, 2, 1);
        if (is_deleted)
            command(&f, &delete);
        recovery_finish(&f.recovery);
        if (!is_deleted) {
            assert_int_equal(recovery_check(&f.recovery, &id), ERR_CORRUPT);
            assert_int_equal(id, 0);
            assert_non_null(strstr(f.recovery.reason, "2 messages"));
        }
        assert_int_equal(recovery_check(&f.recovery, &id), 0);
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands_follow_each_other),
        cmocka_unit_test(test_a_gap_is_refused),
        cmocka_unit_test(test_with_recover_a_gap_is_told_and_passed),
        cmocka_unit_test(test_what_the_state_has_is_passed_over),
        cmocka_unit_test(test_a_gap_behind_the_state_is_refused),
        cmocka_unit_test(test_a_queue_without_a_beginning_may_be_deleted),
        cmocka_unit_test(test_a_queue_without_a_beginning_must_not_be_there),
        cmocka_unit_test(test_a_reference_tells_of_its_body),
        cmocka_unit_test(test_with_recover_a_lost_vhost_is_added),
        cmocka_unit_test(test_with_recover_a_later_queue_replaces_one_of_its_name),
        cmocka_unit_test(test_with_recover_a_lost_binding_is_told),
        cmocka_unit_test(test_with_recover_a_queue_without_a_declaration_is_told),
        cmocka_unit_test(test_no_queue_ends_beyond_all_numbers),
        cmocka_unit_test(test_a_queue_ends_where_it_can_span),
        cmocka_unit_test(test_a_large_transaction_is_undone_at_once),
        cmocka_unit_test(test_positions_only_rise),
        cmocka_unit_test(test_positions_go_on_behind_what_is_gone),
        cmocka_unit_test(test_a_committed_transaction_counts),
        cmocka_unit_test(test_one_without_a_commit_is_undone),
        cmocka_unit_test(test_what_is_settled_after_an_undo_stays_away),
        cmocka_unit_test(test_what_was_undone_is_told_to_the_log),
        cmocka_unit_test(test_one_that_is_open_adds_what_another_takes),
        cmocka_unit_test(test_many_settles_before_an_undo),
        cmocka_unit_test(test_marks_are_kept),
        cmocka_unit_test(test_catalog_records_that_the_state_has_are_passed_over),
        cmocka_unit_test(test_unknown_kinds_and_versions_are_refused),
        cmocka_unit_test(test_cut_records_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
