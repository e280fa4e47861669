/* SPDX-License-Identifier: Apache-2.0 */
/* Damage at every octet of a real log's last records, of its headers, its checkpoint and its format file: a
 * start gives all that is known to have been whole, or refuses by name; --recover keeps what can be read. */
#include "storage/disk_faulty.h"
#include "storage/log_fixture.h"

#define SEGMENT "segment-0000000000000001"
#define CHECKPOINT "checkpoint-0000000000000001"
#define BATCHES 12U

enum damage { DAMAGE_FLIP, DAMAGE_CUT };

/* A log to be damaged. */
struct original {
    struct log_fixture f;          /* closed */
    uint64_t begins[BATCHES + 2];  /* of each batch, of the seal, and the end */
    uint32_t records[BATCHES + 1]; /* written before each batch */
};

/* Batches of 1 to 4 records in one segment; sealed as at an orderly stop, or not as in a power cut. */
static void make_log(struct original *o, bool is_sealed)
{
    struct log_settings settings;
    uint32_t i;

    fixture_new(&o->f);
    for (i = 0; i < BATCHES; i++) {
        o->begins[i] = FORMAT_BLOCK * (i + 1);
        o->records[i] = o->f.written;
        write_batch(&o->f, 1 + i % 4);
    }
    o->records[i] = o->f.written;
    o->begins[i] = FORMAT_BLOCK * (i + 1);
    o->begins[i + 1] = o->begins[i] + FORMAT_BLOCK;
    fixture_end(&o->f);
    if (!is_sealed)
        return;
    settings = fixture_settings(&o->f);
    settings.is_threaded = true; /* the seal is the writer's thread's */
    fixture_open(&o->f, &settings);
    fixture_end(&o->f);
}

/* Damage a copy of the original's disk. */
static struct log_fixture damaged(const struct original *o, const char *file, uint64_t at,
                                  enum damage damage)
{
    struct log_fixture f = o->f;

    f.disk = disk_memory_clone(o->f.disk);
    assert_int_equal(damage == DAMAGE_FLIP
                         ? disk_memory_corrupt(f.disk, file, at, (unsigned char)(1U << at % 8))
                         : disk_memory_truncate(f.disk, file, at),
                     0);
    return f;
}

/* The batch that `at` lies in. */
static uint32_t batch_of(const struct original *o, uint64_t at)
{
    uint32_t i = 0;
    while (at >= o->begins[i + 1])
        i++;
    return i;
}

/* Each record at most once, as it was written. Those of one batch are there together. */
static uint32_t check_found(const struct log_fixture *f, uint32_t skipped_from, uint32_t skipped_to)
{
    bool seen[FIXTURE_MAX] = {false};
    uint32_t skipped = 0;

    for (size_t i = 0; i < f->found.count; i++) {
        const struct found_record *record = &f->found.all[i];
        assert_true(record->number < f->written && !seen[record->number]);
        assert_true(record->id == f->ids[record->number]);
        seen[record->number] = true;
    }
    for (uint32_t i = 0; i < f->written; i++) {
        assert_true(seen[i] || (i >= skipped_from && i < skipped_to));
        skipped += !seen[i];
    }
    return skipped;
}

/* ---- without --recover ---- */

/* It opens with everything that is known to have been whole, or names the place. */
static void check_refuses_or_is_whole(const struct original *o, uint64_t at, enum damage damage,
                                      bool is_sealed)
{
    struct log_fixture f = damaged(o, SEGMENT, at, damage);
    struct log_settings settings = fixture_settings(&f);
    uint32_t batch = batch_of(o, at);
    int rc = fixture_try(&f, &settings);

    if (rc == 0) {
        /* The very last batch may be taken for one that was under way: nobody can tell (R4). */
        bool may_lose = !is_sealed && batch + 1 >= BATCHES;
        uint32_t from = may_lose ? o->records[BATCHES - 1] : f.written;
        uint32_t lost = check_found(&f, from, f.written);
        assert_true(lost == 0 || lost == f.written - from);
        fixture_free(&f);
        return;
    }
    assert_int_equal(rc, ERR_CORRUPT);
    assert_string_equal(f.error.file, SEGMENT);
    assert_true(f.error.reason[0] != '\0');
    assert_true(damage == DAMAGE_CUT || f.error.offset == o->begins[batch]);
    assert_true(f.error.offset <= at);
}

static void every_place(bool is_sealed, enum damage damage)
{
    struct original o;

    make_log(&o, is_sealed);
    for (uint64_t at = o.begins[BATCHES - 4]; at < o.begins[BATCHES + 1]; at++) {
        /* Behind the records of a block are zeros, which tell nothing: some of them do. */
        bool is_padding = at % FORMAT_BLOCK > 600 && at % 509 != 0;
        if (!is_padding)
            check_refuses_or_is_whole(&o, at, damage, is_sealed);
    }
    fixture_free(&o.f);
}

static void test_a_flipped_bit_before_a_seal(void **state)
{
    (void)state;
    every_place(true, DAMAGE_FLIP);
}

static void test_a_flipped_bit_without_a_seal(void **state)
{
    (void)state;
    every_place(false, DAMAGE_FLIP);
}

static void test_a_cut_file_before_a_seal(void **state)
{
    (void)state;
    every_place(true, DAMAGE_CUT);
}

static void test_a_cut_file_without_a_seal(void **state)
{
    (void)state;
    every_place(false, DAMAGE_CUT);
}

/* R4: one flipped bit in each octet that counts is found when the log is sealed. */
static void test_no_octet_of_a_record_is_unchecked(void **state)
{
    struct original o;
    uint64_t end;
    (void)state;

    make_log(&o, true);
    end = o.begins[BATCHES - 1] + BATCH_HEADER_BYTES + PART_HEADER_BYTES + RECORD_HEADER_BYTES +
          fixture_octets(o.records[BATCHES - 1]);
    for (uint64_t at = o.begins[BATCHES - 1]; at < end; at++) {
        struct log_fixture f = damaged(&o, SEGMENT, at, DAMAGE_FLIP);
        struct log_settings settings = fixture_settings(&f);
        /* 20 to 24 of a part header are not used. */
        uint64_t in_part = at - o.begins[BATCHES - 1] - BATCH_HEADER_BYTES;
        if (in_part >= 20 && in_part < 24) {
            disk_free(f.disk);
            continue;
        }
        assert_int_equal(fixture_try(&f, &settings), ERR_CORRUPT);
    }
    fixture_free(&o.f);
}

/* A write that went to another place: each batch in the place of each other. */
static void test_a_batch_in_the_place_of_another(void **state)
{
    struct original o;
    (void)state;

    make_log(&o, true);
    for (uint32_t from = BATCHES - 5; from < BATCHES; from++)
        for (uint32_t to = BATCHES - 5; to < BATCHES; to++) {
            struct log_fixture f = o.f;
            struct log_settings settings = fixture_settings(&f);
            uint8_t block[FORMAT_BLOCK];
            struct disk_file *file;
            size_t got;
            if (from == to)
                continue;
            f.disk = disk_memory_clone(o.f.disk);
            assert_int_equal(disk_open(f.disk, SEGMENT, 0, &file), 0);
            assert_int_equal(disk_read(file, block, sizeof block, o.begins[from], &got), 0);
            assert_int_equal(disk_write(file, block, sizeof block, o.begins[to]), 0);
            disk_close(file);
            assert_int_equal(fixture_try(&f, &settings), ERR_CORRUPT);
            assert_int_equal(f.error.offset, o.begins[to]);
        }
    fixture_free(&o.f);
}

/* ---- with --recover ---- */

static void assert_reported(struct log_fixture *f, const char *file)
{
    char text[1024] = {0};
    struct disk_file *report;
    size_t got;

    assert_non_null(log_report_name(f->log));
    assert_int_equal(disk_open(f->disk, log_report_name(f->log), 0, &report), 0);
    assert_int_equal(disk_read(report, text, sizeof text - 1, 0, &got), 0);
    disk_close(report);
    assert_non_null(strstr(text, file));
    assert_non_null(strstr(text, "offset"));
}

/* All batches but the damaged one are there; what is dropped is in the report; and the log goes on. */
static void check_recovers(const struct original *o, uint64_t at, enum damage damage)
{
    struct log_fixture f = damaged(o, SEGMENT, at, damage);
    struct log_settings settings = fixture_settings(&f);
    uint32_t batch = batch_of(o, at);
    uint32_t first = batch < BATCHES ? o->records[batch] : f.written;
    uint32_t last = batch < BATCHES && damage == DAMAGE_FLIP ? o->records[batch + 1] : f.written;

    settings.recovers = true;
    fixture_open(&f, &settings);
    if (check_found(&f, first, last) > 0 && batch + 1 < BATCHES)
        assert_reported(&f, SEGMENT);
    write_batch(&f, 1);
    fixture_free(&f);
}

static void test_recover_keeps_what_can_be_read(void **state)
{
    struct original o;
    (void)state;

    make_log(&o, true);
    for (uint64_t at = o.begins[BATCHES - 4]; at < o.begins[BATCHES + 1]; at += 1 + at % 3)
        if (at % FORMAT_BLOCK < 500) {
            check_recovers(&o, at, DAMAGE_FLIP);
            check_recovers(&o, at, DAMAGE_CUT);
        }
    fixture_free(&o.f);
}

/* ---- other places ---- */

/* Refused with its name, or without consequence. `first` and `end` of the octets that are tried. */
static void every_octet_of(struct original *o, const char *file, uint64_t first, uint64_t end,
                           size_t whole)
{
    for (uint64_t at = first; at < end; at++)
        for (enum damage damage = DAMAGE_FLIP; damage <= DAMAGE_CUT; damage++) {
            struct log_fixture f = damaged(o, file, at, damage);
            struct log_settings settings = fixture_settings(&f);
            int rc = fixture_try(&f, &settings);
            if (rc == 0) {
                assert_int_equal(f.found.count, whole);
                fixture_free(&f);
                continue;
            }
            assert_true(rc == ERR_CORRUPT || rc == ERR_REFUSED);
            assert_true(f.error.file[0] != '\0' && f.error.reason[0] != '\0');
        }
}

static void test_damage_of_a_segment_header(void **state)
{
    struct original o;
    (void)state;

    make_log(&o, true);
    every_octet_of(&o, SEGMENT, 0, 80, o.f.written);
    every_octet_of(&o, SEGMENT, SEGMENT_HEADER_COPY, SEGMENT_HEADER_COPY + 80, o.f.written);
    fixture_free(&o.f);
}

/* One header is enough, and no more than one: both are needed to lose a segment. */
static void test_a_segment_header_stands_twice(void **state)
{
    struct original o;
    (void)state;

    make_log(&o, true);
    for (uint64_t at = 0; at < 64; at++) {
        struct log_fixture f = damaged(&o, SEGMENT, at, DAMAGE_FLIP);
        struct log_settings settings = fixture_settings(&f);
        fixture_open(&f, &settings);
        assert_found(&f, f.written);
        assert_null(log_report_name(f.log));
        fixture_end(&f);
        assert_int_equal(disk_memory_corrupt(f.disk, SEGMENT, SEGMENT_HEADER_COPY + at, 1), 0);
        assert_int_equal(fixture_try(&f, &settings), ERR_CORRUPT);
        assert_string_equal(f.error.file, SEGMENT);
    }
    fixture_free(&o.f);
}

static void test_damage_of_the_format_file(void **state)
{
    struct original o;
    (void)state;

    make_log(&o, true);
    every_octet_of(&o, "tokkimq.format", 0, file_size(o.f.disk, "tokkimq.format"), o.f.written);
    fixture_free(&o.f);
}

/* The segments say which directory this is. */
static void test_recover_with_a_damaged_format_file(void **state)
{
    struct original o;
    uint64_t size;
    (void)state;

    make_log(&o, true);
    size = file_size(o.f.disk, "tokkimq.format");
    for (uint64_t at = 0; at < size; at++)
        for (enum damage damage = DAMAGE_FLIP; damage <= DAMAGE_CUT; damage++) {
            struct log_fixture f = damaged(&o, "tokkimq.format", at, damage);
            struct log_settings settings = fixture_settings(&f);
            settings.recovers = true;
            fixture_open(&f, &settings);
            assert_found(&f, f.written);
            assert_reported(&f, "tokkimq.format");
            settings.recovers = false;
            fixture_end(&f);
            fixture_open(&f, &settings);
            assert_found(&f, f.written);
            fixture_free(&f);
        }
    fixture_free(&o.f);
}

/* It is whole and of another directory: still the segments are many, and it is one. */
static void test_recover_with_the_format_file_of_another_directory(void **state)
{
    struct original o;
    struct log_settings settings;
    struct disk_file *file;
    char text[256] = {0};
    char *id;
    size_t got;
    (void)state;

    make_log(&o, true);
    assert_int_equal(disk_open(o.f.disk, "tokkimq.format", 0, &file), 0);
    assert_int_equal(disk_read(file, text, sizeof text - 1, 0, &got), 0);
    id = strstr(text, "id ");
    id[5] = id[5] == '7' ? '8' : '7';
    snprintf(strstr(text, "crc "), 32, "crc %08x\n",
             format_crc(UINT32_MAX, text, (size_t)(strstr(text, "crc ") - text)));
    assert_int_equal(disk_write(file, text, got, 0), 0);
    disk_close(file);
    settings = fixture_settings(&o.f);
    settings.recovers = true;
    fixture_open(&o.f, &settings);
    assert_found(&o.f, o.f.written);
    assert_reported(&o.f, "tokkimq.format");
    fixture_free(&o.f);
}

/* A newer program's: not even --recover touches it. */
static void test_a_newer_format_is_not_damage(void **state)
{
    struct original o;
    struct log_settings settings;
    struct disk_file *file;
    char text[256] = {0};
    size_t got;
    (void)state;

    make_log(&o, true);
    assert_int_equal(disk_open(o.f.disk, "tokkimq.format", 0, &file), 0);
    assert_int_equal(disk_read(file, text, sizeof text - 1, 0, &got), 0);
    strstr(text, "format ")[7] = '2';
    snprintf(strstr(text, "crc "), 32, "crc %08x\n",
             format_crc(UINT32_MAX, text, (size_t)(strstr(text, "crc ") - text)));
    assert_int_equal(disk_write(file, text, got, 0), 0);
    disk_close(file);
    settings = fixture_settings(&o.f);
    settings.recovers = true;
    assert_int_equal(fixture_try(&o.f, &settings), ERR_REFUSED);
}

static void test_damage_of_a_checkpoint(void **state)
{
    struct original o = {0};
    struct log_settings settings;
    (void)state;

    make_log(&o, false);
    settings = fixture_settings(&o.f);
    fixture_open(&o.f, &settings);
    take_checkpoint(&o.f, 6, o.f.ids, 5, false);
    write_batch(&o.f, 2);
    fixture_end(&o.f);
    /* HEAD, PARTS, RECORDS, copies of HEAD and PARTS, END: one block each. */
    assert_int_equal(file_size(o.f.disk, CHECKPOINT), 6 * FORMAT_BLOCK);
    for (uint64_t block = 0; block < 6; block++)
        every_octet_of(&o, CHECKPOINT, block * FORMAT_BLOCK, block * FORMAT_BLOCK + 300, 8);
    fixture_free(&o.f);
}

/* ---- whole files (R1) ---- */

static void write_segments(struct log_fixture *f)
{
    fixture_new(f);
    while (!file_exists(f->disk, "segment-0000000000000004"))
        write_batch(f, 1);
    fixture_end(f);
}

static void test_a_missing_segment(void **state)
{
    (void)state;
    for (uint64_t number = 1; number <= 3; number++) {
        struct log_fixture f;
        struct log_settings settings;
        struct disk *original;
        char name[DISK_NAME_MAX];

        write_segments(&f);
        name_segment(number, name);
        assert_int_equal(disk_unlink(f.disk, name), 0);
        original = disk_memory_clone(f.disk);
        settings = fixture_settings(&f);
        assert_int_equal(fixture_try(&f, &settings), ERR_CORRUPT);
        assert_true(f.error.file[0] != '\0' && f.error.reason[0] != '\0');
        f.disk = original;
        settings.recovers = true;
        fixture_open(&f, &settings);
        assert_in_range(f.found.count, f.written / 2, f.written - 1);
        assert_reported(&f, "segment-");
        fixture_free(&f);
    }
}

static void test_a_missing_format_file(void **state)
{
    struct log_fixture f;
    struct log_settings settings;
    (void)state;

    write_segments(&f);
    assert_int_equal(disk_unlink(f.disk, "tokkimq.format"), 0);
    settings = fixture_settings(&f);
    assert_int_equal(fixture_try(&f, &settings), ERR_CORRUPT);
    assert_string_equal(f.error.file, "tokkimq.format");
}

static void test_a_segment_of_another_directory(void **state)
{
    struct log_fixture f;
    struct log_fixture other;
    struct log_settings settings;
    struct disk_file *from;
    struct disk_file *to;
    uint8_t block[FORMAT_BLOCK];
    size_t got;
    (void)state;

    write_segments(&f);
    log_set_level((enum log_level)(LOG_ERROR + 1));
    other = (struct log_fixture){.disk = disk_memory_new()};
    settings = fixture_settings(&other);
    settings.seed = 4711;
    fixture_open(&other, &settings);
    fixture_end(&other);
    assert_int_equal(disk_open(other.disk, SEGMENT, 0, &from), 0);
    assert_int_equal(disk_open(f.disk, SEGMENT, 0, &to), 0);
    assert_int_equal(disk_read(from, block, sizeof block, 0, &got), 0);
    assert_int_equal(disk_write(to, block, sizeof block, 0), 0);
    disk_close(from);
    disk_close(to);
    fixture_free(&other);
    settings = fixture_settings(&f);
    assert_int_equal(fixture_try(&f, &settings), ERR_CORRUPT);
    assert_string_equal(f.error.file, SEGMENT);
}

/* A disk that does not answer is no end of the log: it is not opened short. */
static void test_a_read_error_is_not_the_end(void **state)
{
    (void)state;
    for (uint64_t after = 0; after < 12; after++) {
        struct log_fixture f;
        struct log_settings settings;
        int rc;

        write_segments(&f);
        disk_memory_fail(f.disk, DISK_CALL_READ | DISK_CALL_OPEN, after, -EIO, DISK_FAULT_ONCE);
        settings = fixture_settings(&f);
        rc = fixture_try(&f, &settings);
        if (rc == 0) {
            assert_found(&f, f.written);
            fixture_free(&f);
            continue;
        }
        assert_int_equal(rc, -EIO);
        assert_true(f.error.reason[0] != '\0');
    }
}

/* Blocks of the segment that the disk does not give cost the batches in them. */
static void test_recover_reads_around_read_errors(void **state)
{
    /* The calls: the header twice, the first megabyte, then its blocks one by one. */
    static const struct {
        const char *rule;
        uint32_t lost_batches;
    } cases[] = {
        {"read:EIO:3:segment-", 0},
        {"read:EIO:3-4:segment-", 0},
        {"read:EIO:3-6:segment-", 2},
        {"read:EIO:1:tokkimq.format", 0},
    };
    struct original o;
    (void)state;

    make_log(&o, true);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct log_fixture f = o.f;
        struct log_settings settings = fixture_settings(&f);
        uint32_t lost = o.records[cases[i].lost_batches];
        settings.recovers = true;
        assert_int_equal(disk_faulty_new(disk_memory_clone(o.f.disk), cases[i].rule, NULL, &f.disk),
                         0);
        assert_int_equal(fixture_try(&f, &settings), 0);
        assert_int_equal(check_found(&f, 0, lost), lost);
        if (lost > 0)
            assert_reported(&f, SEGMENT);
        log_free(f.log);
    }
    fixture_free(&o.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_flipped_bit_before_a_seal),
        cmocka_unit_test(test_a_flipped_bit_without_a_seal),
        cmocka_unit_test(test_a_cut_file_before_a_seal),
        cmocka_unit_test(test_a_cut_file_without_a_seal),
        cmocka_unit_test(test_no_octet_of_a_record_is_unchecked),
        cmocka_unit_test(test_a_batch_in_the_place_of_another),
        cmocka_unit_test(test_recover_keeps_what_can_be_read),
        cmocka_unit_test(test_damage_of_a_segment_header),
        cmocka_unit_test(test_damage_of_the_format_file),
        cmocka_unit_test(test_a_segment_header_stands_twice),
        cmocka_unit_test(test_recover_with_a_damaged_format_file),
        cmocka_unit_test(test_recover_with_the_format_file_of_another_directory),
        cmocka_unit_test(test_a_newer_format_is_not_damage),
        cmocka_unit_test(test_damage_of_a_checkpoint),
        cmocka_unit_test(test_a_missing_segment),
        cmocka_unit_test(test_a_missing_format_file),
        cmocka_unit_test(test_a_segment_of_another_directory),
        cmocka_unit_test(test_a_read_error_is_not_the_end),
        cmocka_unit_test(test_recover_reads_around_read_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
