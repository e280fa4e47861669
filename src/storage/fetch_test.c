/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of fetching on a log without threads: what is answered, how much is read, damage, ends. */
#include "storage/fetch_fixture.h"

#include <errno.h>

/* ---- what is asked for is answered ---- */

static void one_record(void **state)
{
    struct rig *rig = rig_new(LOG_SEGMENT_MIN, 1);
    (void)state;

    rig_append(rig, 0, 160);
    rig_step(rig);
    assert_int_equal(rig_fetch(rig, 0, 1), 0);
    rig_free(rig);
}

/* Over more segments than stay open, in parts of all sizes. */
static void records_in_any_order(void **state)
{
    struct rig *rig = rig_new(LOG_SEGMENT_MIN, 3);
    struct log_fetch *fetches[20];
    (void)state;

    for (int i = 0; i < 3000; i++) {
        rig_append(rig, (uint16_t)(i % 3), (uint32_t)chance_below(&rig->chance, 2000));
        if (chance_hits(&rig->chance, 1, 5))
            rig_step(rig);
    }
    rig_step(rig);
    assert_true(rig_segments(rig) > 2 * FETCH_FILES);
    for (int turn = 0; turn < 20; turn++) {
        for (size_t i = 0; i < ARRAY_LEN(fetches); i++)
            fetches[i] = fetch_random(rig, 1 + (uint32_t)chance_below(&rig->chance, 300));
        rig_step(rig);
        for (size_t i = 0; i < ARRAY_LEN(fetches); i++)
            fetch_check(rig, fetches[i], 0);
    }
    rig_free(rig);
}

/* Answers come in the order of asking, to the stream that is named; a fetch of nothing is answered, too. */
static void streams_take_their_own(void **state)
{
    struct rig *rig = rig_new(LOG_SEGMENT_MIN, 2);
    struct log_fetch *fetches[4];
    (void)state;

    rig_append(rig, 0, 10);
    rig_append(rig, 1, 20);
    rig_step(rig);
    for (int i = 0; i < 4; i++) {
        fetches[i] = fetch_new(rig, (uint16_t)(i % 2), i == 3 ? 0 : 1);
        log_fetch_submit(rig->log, fetches[i]);
    }
    assert_null(log_fetch_take(log_stream(rig->log, 0)));
    rig_step(rig);
    assert_int_equal(rig->told[0], 1);
    assert_int_equal(rig->told[1], 1);
    assert_ptr_equal(log_fetch_take(log_stream(rig->log, 0)), fetches[0]);
    assert_ptr_equal(fetches[0]->next, fetches[2]);
    assert_null(fetches[2]->next);
    for (int i = 0; i < 4; i++)
        fetch_drop(fetches[i]);
    rig_free(rig);
}

static void long_records(void **state)
{
    static const uint32_t sizes[] = {0,      1,      65527,  65528,   65529,   65536,
                                     100000, 262143, 524288, 1000000, 1048567, 1048568};
    struct rig *rig = rig_new(4U << 20, 1);
    (void)state;

    for (int turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
            rig_append(rig, 0, sizes[i]);
        rig_step(rig);
    }
    /* The guess is small now, so that long ones need a second read. */
    for (int i = 0; i < 2000; i++)
        assert_int_equal(rig_fetch(rig, 0, 1), 0);
    for (uint32_t i = 0; i < rig->count; i++)
        assert_int_equal(rig_fetch(rig, i, 1), 0);
    assert_int_equal(rig_fetch(rig, 0, rig->count), 0);
    rig_free(rig);
}

/* A queue that is read in order pays little more than its octets, in large reads. */
static void neighbours_are_read_at_once(void **state)
{
    struct rig *rig = rig_new(16U << 20, 1);
    struct log_fetch *fetches[32];
    uint64_t calls;
    uint64_t read;
    uint64_t asked;
    (void)state;

    for (int i = 0; i < 32 * 128; i++) {
        rig_append(rig, 0, 160);
        if (i % 200 == 0)
            rig_step(rig);
    }
    rig_step(rig);
    assert_int_equal(rig_fetch(rig, 0, 1000), 0);
    log_fetch_counts(rig->log, &read, &asked);
    assert_int_equal(asked, 1000 * 168);
    assert_true(read < asked + asked / 4 + FETCH_GAP_BYTES);
    calls = disk_memory_calls(rig->disk, DISK_CALL_READ);
    for (uint32_t i = 0; i < 32; i++) {
        fetches[i] = fetch_new(rig, 0, 128);
        for (uint32_t k = 0; k < 128; k++)
            fetches[i]->records[k].id = rig->ids[i * 128 + k];
        log_fetch_submit(rig->log, fetches[i]);
    }
    rig_step(rig);
    for (int i = 0; i < 32; i++)
        fetch_check(rig, fetches[i], 0);
    assert_true(disk_memory_calls(rig->disk, DISK_CALL_READ) - calls <= 2);
    log_fetch_counts(rig->log, &read, &asked);
    assert_int_equal(asked, (1000 + 32 * 128) * 168);
    assert_true(read < asked + asked / 4 + 2 * (uint64_t)FETCH_GAP_BYTES);
    rig_free(rig);
}

/* Memory is used again when everybody has given it back, and not before. */
static void payloads_stay_until_released(void **state)
{
    struct rig *rig = rig_new(LOG_SEGMENT_MIN, 1);
    struct log_fetch *kept;
    (void)state;

    for (int i = 0; i < 500; i++)
        rig_append(rig, 0, 300);
    rig_step(rig);
    kept = fetch_range(rig, 100, 50);
    log_fetch_submit(rig->log, kept);
    rig_step(rig);
    for (uint32_t i = 0; i < 400; i += 10)
        assert_int_equal(rig_fetch(rig, i, 100), 0);
    fetch_check(rig, kept, 0);
    rig_free(rig);
}

/* ---- what is taken by the reader ---- */

/* A fetch whose records are looked at on the reader's thread. */
struct taking {
    struct log_fetch fetch; /* first */
    struct rig *rig;
    uint32_t first; /* of the rig's records */
    uint32_t taken;
    uint32_t checked; /* of those */
    uint32_t refused; /* index that gets an error; UINT32_MAX: none */
    struct log_fetched records[300];
};

static void take(struct log_fetch *fetch, uint32_t i)
{
    struct taking *taking = CONTAINER_OF(fetch, struct taking, fetch);
    struct log_fetched *record = &fetch->records[i];
    uint32_t index = taking->first + i;

    assert_int_equal(record->rc, 0);
    assert_int_equal(record->header.octets, taking->rig->octets[index]);
    assert_true(payload_is(record->payload, record->header.octets, index));
    taking->taken++;
    taking->checked += record->is_checked;
    if (i == taking->refused)
        record->rc = ERR_REFUSED;
}

static struct taking take_range(struct rig *rig, uint32_t first, uint32_t count, uint32_t refused)
{
    struct taking taking = {.rig = rig, .first = first, .refused = refused};

    assert_true(count <= ARRAY_LEN(taking.records));
    taking.fetch.stream = log_stream(rig->log, 0);
    taking.fetch.records = taking.records;
    taking.fetch.count = count;
    taking.fetch.take = take;
    for (uint32_t i = 0; i < count; i++)
        taking.records[i].id = rig->ids[first + i];
    log_fetch_submit(rig->log, &taking.fetch);
    rig_step(rig);
    assert_ptr_equal(log_fetch_take(taking.fetch.stream), &taking.fetch);
    assert_null(taking.fetch.buffers);
    for (uint32_t i = 0; i < count; i++)
        assert_null(taking.records[i].payload);
    return taking;
}

/* Each is shown once, whatever it takes to read it; what taking says is the answer. */
static void records_are_taken_once(void **state)
{
    struct rig *rig = rig_new(4U << 20, 1);
    struct taking taking;
    (void)state;

    for (uint32_t i = 0; i < 300; i++) {
        rig_append(rig, 0, i % 50 == 49 ? 100000 + 1000 * i : i);
        if (i % 70 == 0)
            rig_step(rig);
    }
    rig_step(rig);
    for (int i = 0; i < 2000; i++)
        assert_int_equal(rig_fetch(rig, 0, 1), 0); /* the guess is small now */
    taking = take_range(rig, 0, 300, 17);
    assert_int_equal(taking.taken, 300);
    for (uint32_t i = 0; i < 300; i++)
        assert_int_equal(taking.records[i].rc, i == 17 ? ERR_REFUSED : 0);
    rig_free(rig);
}

/* What cannot be read is not shown. */
static void errors_are_not_taken(void **state)
{
    struct rig *rig = rig_new(LOG_SEGMENT_MIN, 1);
    struct taking taking;
    (void)state;

    for (int i = 0; i < 300; i++) {
        rig_append(rig, 0, 1000);
        rig_step(rig);
    }
    rig_checkpoint(rig, 50, 250);
    rig->ids[60] = record_id(1U << 20, 0);
    rig->ids[61] = record_id(record_id_part(rig->ids[61]), 1U << 20);
    taking = take_range(rig, 50, 50, UINT32_MAX);
    assert_int_equal(taking.taken, 48);
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(taking.records[i].rc, i == 10 ? ERR_NOT_FOUND : i == 11 ? ERR_CORRUPT : 0);
    rig_free(rig);
}

/* Of a part that is wanted to at least one half all is read, and its checksum looked at. */
static void whole_parts_are_checked(void **state)
{
    struct rig *rig = rig_new(4U << 20, 1);
    uint64_t before;
    uint64_t read;
    uint64_t asked;
    (void)state;

    for (int turn = 0; turn < 3; turn++) {
        for (int i = 0; i < 60; i++)
            rig_append(rig, 0, 1000);
        rig_step(rig);
    }
    assert_int_equal(rig_fetch(rig, 0, 180), 0);
    assert_int_equal(take_range(rig, 0, 180, UINT32_MAX).checked, 180);
    assert_int_equal(take_range(rig, 25, 40, UINT32_MAX).checked, 35);
    assert_int_equal(take_range(rig, 115, 35, UINT32_MAX).checked, 30);
    log_fetch_counts(rig->log, &before, &asked);
    assert_int_equal(take_range(rig, 10, 5, UINT32_MAX).checked, 0);
    log_fetch_counts(rig->log, &read, &asked);
    assert_true(read - before <= 3ULL * FORMAT_BLOCK);
    rig_free(rig);
}

/* ---- what is not there ---- */

static void unwritten_records_are_waited_for(void **state)
{
    struct rig *rig = rig_new(LOG_SEGMENT_MIN, 2);
    struct log_fetch *fetch;
    (void)state;

    rig_append(rig, 0, 50);
    rig_step(rig);
    rig_append(rig, 0, 60);
    fetch = fetch_range(rig, 0, 2);
    log_fetch_submit(rig->log, fetch);
    assert_int_equal(log_step(rig->log), 0);
    assert_null(log_fetch_take(log_stream(rig->log, 0)));
    /* Another one is not held up. */
    assert_int_equal(rig_fetch(rig, 0, 1), 0);
    log_submit(log_stream(rig->log, 0));
    assert_int_equal(log_step(rig->log), 0);
    assert_ptr_equal(log_fetch_take(log_stream(rig->log, 0)), fetch);
    fetch_check(rig, fetch, 0);
    rig_free(rig);
}

/* Parts that nobody needs go with a checkpoint. That is told at once, also while a stream that does nothing
 * has begun a part. */
static void parts_that_are_gone(void **state)
{
    struct rig *rig = rig_new(LOG_SEGMENT_MIN, 2);
    uint64_t first;
    (void)state;

    first = record_id_part(log_next_id(log_stream(rig->log, 1)));
    for (int i = 0; i < 300; i++) {
        rig_append(rig, 0, 1000);
        rig_step(rig);
    }
    assert_true(record_id_part(rig->ids[0]) > first);
    rig_checkpoint(rig, 50, 10);
    assert_int_equal(rig_fetch(rig, 0, 1), ERR_NOT_FOUND);
    assert_int_equal(rig_fetch(rig, 50, 10), 0);
    assert_int_equal(rig_fetch(rig, 299, 1), 0);
    rig->ids[1] = record_id(first, 0); /* it may come */
    assert_int_equal(rig_fetch(rig, 1, 1), ERR_AGAIN);
    rig->ids[2] = record_id(1U << 20, 0); /* it was never begun */
    assert_int_equal(rig_fetch(rig, 2, 1), ERR_NOT_FOUND);
    rig->ids[3] = record_id(record_id_part(rig->ids[50]), 1U << 20);
    assert_int_equal(rig_fetch(rig, 3, 1), ERR_CORRUPT);
    rig_free(rig);
}

/* Files of segments that go are not kept open, and what is written into them again is read. */
static void recycled_segments_are_read_anew(void **state)
{
    struct rig *rig = rig_new(LOG_SEGMENT_MIN, 1);
    (void)state;

    for (int turn = 0; turn < 30; turn++) {
        uint32_t first = rig->count;
        for (int i = 0; i < 200; i++) {
            rig_append(rig, 0, 900);
            rig_step(rig);
        }
        assert_int_equal(rig_fetch(rig, first, 200), 0);
        rig_checkpoint(rig, first + 190, 10);
        assert_int_equal(rig_fetch(rig, first + 190, 10), 0);
        assert_true(rig_segments(rig) <= 4);
    }
    rig_free(rig);
}

/* A segment that a round reads is not recycled before the round has ended. */
static void segments_that_are_read_stay(void **state)
{
    struct rig *rig = rig_new(LOG_SEGMENT_MIN, 1);
    struct segment *oldest;
    struct log_range range;
    struct log_ranges live = {.all = &range, .count = 1};
    (void)state;

    for (int i = 0; i < 300; i++) {
        rig_append(rig, 0, 1000);
        rig_step(rig);
    }
    oldest = rig->log->segments;
    oldest->read_in = rig->log->fetcher.round_number;
    range.first = range.last = record_id_part(rig->ids[299]);
    segments_recycle(rig->log, rig->log->position.segment, &live, NULL);
    assert_int_equal(rig_segments(rig), 2);
    assert_ptr_equal(rig->log->segments, oldest);
    assert_int_equal(rig_fetch(rig, 0, 1), ERR_NOT_FOUND);
    assert_int_equal(rig_fetch(rig, 299, 1), 0);
    segments_recycle(rig->log, rig->log->position.segment, &live, NULL);
    assert_int_equal(rig_segments(rig), 1);
    rig_free(rig);
}

static uint32_t count_cached(const struct rig *rig)
{
    uint32_t count = 0;

    for (const struct segment *segment = rig->log->segments; segment; segment = segment->next)
        count += segment->is_cached;
    return count;
}

/* Segments that are begun while reads are expected go through the page cache, up to a bound. */
static void what_will_be_read_is_cached(void **state)
{
    struct rig *rig = rig_new(LOG_SEGMENT_MIN, 1);
    (void)state;

    rig->log->settings.cached_bytes = 3ULL * LOG_SEGMENT_MIN;
    for (int i = 0; i < 3000; i++) {
        rig_append(rig, 0, 1000);
        rig_step(rig);
        log_expect_reads(rig->log, i >= 500);
        assert_in_range(count_cached(rig), 0, i < 500 ? 0 : 3);
    }
    assert_int_equal(count_cached(rig), 3);
    assert_true(rig_segments(rig) > 10);
    assert_int_equal(rig_fetch(rig, 0, 3000), 0);
    rig_checkpoint(rig, 2990, 10);
    assert_int_equal(count_cached(rig), 0);
    log_expect_reads(rig->log, false);
    for (int i = 0; i < 500; i++) {
        rig_append(rig, 0, 1000);
        rig_step(rig);
    }
    assert_int_equal(count_cached(rig), 0);
    assert_int_equal(rig_fetch(rig, 3000, 500), 0);
    rig_free(rig);
}

/* What the process before wrote: found by the replay or by the list in the checkpoint. */
static void records_of_an_earlier_life(void **state)
{
    struct rig *rig = rig_new(LOG_SEGMENT_MIN, 2);
    (void)state;

    for (int i = 0; i < 300; i++) {
        rig_append(rig, (uint16_t)(i % 2), 1000);
        rig_step(rig);
    }
    rig_checkpoint(rig, 20, 40);
    for (int i = 0; i < 100; i++) {
        rig_append(rig, 1, 1000);
        rig_step(rig);
    }
    rig_restart(rig);
    assert_int_equal(rig_fetch(rig, 20, 40), 0);
    assert_int_equal(rig_fetch(rig, 300, 100), 0);
    assert_int_equal(rig_fetch(rig, 0, 1), ERR_NOT_FOUND);
    rig_free(rig);
}

/* ---- damage and errors ---- */

/* The octet at `offset` of record `index` (negative: before it) is another one; what does its fetch say? */
static int damage(struct rig *rig, uint32_t index, int offset, unsigned char mask, uint32_t count)
{
    struct part_place place;
    char name[DISK_NAME_MAX];
    uint64_t at;

    assert_true(places_find(&rig->log->places, record_id_part(rig->ids[index]), &place));
    at = place.offset + PART_HEADER_BYTES + record_id_offset(rig->ids[index]);
    segment_name(rig->log->slots[place.segment]->header.number, name);
    assert_int_equal(disk_memory_corrupt(rig->disk, name, (uint64_t)((int64_t)at + offset), mask),
                     0);
    return rig_fetch(rig, index, count);
}

static void damage_is_told(void **state)
{
    struct rig *rig = rig_new(1U << 20, 1);
    (void)state;

    /* Parts of 2 records, but one of many. */
    for (int i = 0; i < 20; i++) {
        rig_append(rig, 0, 500);
        rig_append(rig, 0, 500);
        rig_step(rig);
    }
    for (int i = 0; i < 1000; i++)
        rig_append(rig, 0, 500);
    rig_step(rig);
    assert_int_equal(damage(rig, 2, 7 - (int)PART_HEADER_BYTES, 1, 2),
                     ERR_CORRUPT);                            /* its number */
    assert_int_equal(damage(rig, 6, 0, 1, 1), ERR_CORRUPT);   /* length of the record */
    assert_int_equal(damage(rig, 8, 3, 4, 2), ERR_CORRUPT);   /* a little longer: by the checksum */
    assert_int_equal(damage(rig, 10, 4, 77, 2), ERR_CORRUPT); /* kind, which is 77 */
    assert_int_equal(damage(rig, 12, 100, 1, 2), ERR_CORRUPT); /* body, by the checksum */
    /* The others are fine, read at once with the damaged ones or not. */
    for (uint32_t i = 0; i < 40; i += 2)
        assert_int_equal(rig_fetch(rig, i, 2), i == 2 || (i >= 6 && i <= 12) ? ERR_CORRUPT : 0);
    assert_int_equal(rig_fetch(rig, 500, 300), 0);
    /* Of a part that is not read as a whole only the records are looked at. */
    assert_int_equal(damage(rig, 600, 4, 77, 1), ERR_CORRUPT);
    assert_int_equal(rig_fetch(rig, 601, 1), 0);
    rig_free(rig);
}

static void a_file_that_was_cut(void **state)
{
    struct rig *rig = rig_new(1U << 20, 1);
    char name[DISK_NAME_MAX];
    (void)state;

    for (int i = 0; i < 100; i++) {
        rig_append(rig, 0, 5000);
        rig_step(rig);
    }
    segment_name(1, name);
    assert_int_equal(disk_memory_truncate(rig->disk, name, 20 * 8192), 0);
    assert_int_equal(rig_fetch(rig, 0, 10), 0);
    assert_int_equal(rig_fetch(rig, 50, 20), ERR_CORRUPT);
    rig_free(rig);
}

static void a_read_error_is_told_once(void **state)
{
    static const unsigned calls[] = {DISK_CALL_READ, DISK_CALL_OPEN};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        struct rig *rig = rig_new(LOG_SEGMENT_MIN, 1);
        rig_append(rig, 0, 160);
        rig_append(rig, 0, 160);
        rig_step(rig);
        disk_memory_fail(rig->disk, calls[i], 0, -EIO, DISK_FAULT_ONCE);
        assert_int_equal(rig_fetch(rig, 0, 2), -EIO);
        assert_int_equal(rig_fetch(rig, 0, 2), 0);
        assert_int_equal(log_failure(rig->log), 0);
        rig_free(rig);
    }
}

/* ---- ends ---- */

static void a_failed_log_answers(void **state)
{
    struct rig *rig = rig_new(LOG_SEGMENT_MIN, 1);
    struct log_fetch *fetch;
    (void)state;

    rig_append(rig, 0, 160);
    rig_step(rig);
    rig_append(rig, 0, 160);
    fetch = fetch_range(rig, 0, 2);
    log_fetch_submit(rig->log, fetch);
    assert_int_equal(log_step(rig->log), 0);
    disk_memory_fail(rig->disk, DISK_CALL_SYNC, 0, -EIO, DISK_FAULT_ONCE);
    log_submit(log_stream(rig->log, 0));
    assert_int_equal(log_step(rig->log), -EIO);
    assert_ptr_equal(log_fetch_take(log_stream(rig->log, 0)), fetch);
    assert_int_equal(fetch->records[0].rc, 0);
    assert_int_equal(fetch->records[1].rc, -EIO);
    assert_null(fetch->records[1].payload);
    fetch_drop(fetch);
    /* What is durable can be read as before. */
    assert_int_equal(rig_fetch(rig, 0, 1), 0);
    assert_int_equal(rig_fetch(rig, 1, 1), -EIO);
    rig_free(rig);
}

static void a_stop_answers_everything(void **state)
{
    struct rig *rig = rig_new(LOG_SEGMENT_MIN, 1);
    struct log_fetch *fetches[3];
    (void)state;

    rig_append(rig, 0, 160);
    rig_step(rig);
    rig_append(rig, 0, 160);
    fetches[0] = fetch_range(rig, 0, 2);
    fetches[1] = fetch_range(rig, 0, 1);
    fetches[2] = fetch_range(rig, 0, 1);
    log_fetch_submit(rig->log, fetches[0]);
    assert_int_equal(log_step(rig->log), 0);
    log_fetch_submit(rig->log, fetches[1]);
    log_stop(rig->log);
    log_fetch_submit(rig->log, fetches[2]);
    assert_int_equal(fetches[0]->records[0].rc, 0);
    assert_int_equal(fetches[0]->records[1].rc, ERR_NOT_FOUND);
    assert_int_equal(fetches[1]->records[0].rc, 0);
    assert_int_equal(fetches[2]->records[0].rc, ERR_NOT_FOUND);
    for (int i = 0; i < 3; i++)
        fetch_drop(fetches[i]);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_record),
        cmocka_unit_test(records_in_any_order),
        cmocka_unit_test(streams_take_their_own),
        cmocka_unit_test(long_records),
        cmocka_unit_test(neighbours_are_read_at_once),
        cmocka_unit_test(payloads_stay_until_released),
        cmocka_unit_test(records_are_taken_once),
        cmocka_unit_test(errors_are_not_taken),
        cmocka_unit_test(whole_parts_are_checked),
        cmocka_unit_test(unwritten_records_are_waited_for),
        cmocka_unit_test(parts_that_are_gone),
        cmocka_unit_test(recycled_segments_are_read_anew),
        cmocka_unit_test(segments_that_are_read_stay),
        cmocka_unit_test(what_will_be_read_is_cached),
        cmocka_unit_test(records_of_an_earlier_life),
        cmocka_unit_test(damage_is_told),
        cmocka_unit_test(a_file_that_was_cut),
        cmocka_unit_test(a_read_error_is_told_once),
        cmocka_unit_test(a_failed_log_answers),
        cmocka_unit_test(a_stop_answers_everything),
    };
    return cmocka_run_group_tests_name("storage-fetch", tests, NULL, NULL);
}
