/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of mailbox.c: order through ring and overflow, wrapping indexes, and two real threads. */
#include "io/mailbox.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct numbered {
    struct mail_header header;
    uint64_t number;
    uint8_t fill[MAIL_BYTES - 16]; /* all the entry, so that a torn copy shows */
};
static_assert(sizeof(struct numbered) == MAIL_BYTES, "one whole entry");

static void put(struct mailbox *box, uint64_t number)
{
    struct numbered *entry = mailbox_put(box);
    entry->header.kind = 16;
    entry->number = number;
    memset(entry->fill, (int)(number & 0xff), sizeof entry->fill);
}

/* Not assert_*: also called on the second thread, where a failing assert could not end the test. */
static bool is_entry(const void *data, uint64_t number)
{
    const struct numbered *entry = data;
    bool same = entry->header.kind == 16 && entry->number == number;
    for (size_t i = 0; i < sizeof entry->fill; i++)
        same &= entry->fill[i] == (number & 0xff);
    return same;
}

static uint64_t take_all(struct mailbox *box, uint64_t next)
{
    uint32_t ready = mailbox_ready(box);
    for (uint32_t i = 0; i < ready; i++)
        assert_true(is_entry(mailbox_peek(box, i), next++));
    mailbox_consume(box, ready);
    return next;
}

static void nothing_shows_before_publish(void **state)
{
    struct mailbox *box = mailbox_new();

    assert_false(mailbox_publish(box));
    put(box, 0);
    put(box, 1);
    assert_int_equal(mailbox_ready(box), 0);
    assert_true(mailbox_publish(box));
    assert_false(mailbox_publish(box));
    assert_int_equal(mailbox_ready(box), 2);
    assert_true(is_entry(mailbox_peek(box, 1), 1));
    assert_int_equal(take_all(box, 0), 2);
    assert_int_equal(mailbox_ready(box), 0);
    mailbox_free(box);
    mailbox_free(NULL);
}

static void what_does_not_fit_waits_in_order(void **state)
{
    struct mailbox *box = mailbox_new();
    uint64_t sent = 0;
    uint64_t seen = 0;

    for (; sent < MAILBOX_ENTRIES; sent++)
        put(box, sent);
    assert_false(mailbox_is_congested(box));
    for (; sent < 3 * MAILBOX_ENTRIES + 5; sent++)
        put(box, sent);
    assert_true(mailbox_is_congested(box));
    assert_true(mailbox_publish(box));
    assert_int_equal(mailbox_ready(box), MAILBOX_ENTRIES);
    /* A little room: only as much moves into the ring, and what is put now comes last. */
    for (; seen < 10; seen++) {
        assert_true(is_entry(mailbox_peek(box, 0), seen));
        mailbox_consume(box, 1);
    }
    put(box, sent++);
    assert_true(mailbox_publish(box));
    assert_int_equal(mailbox_ready(box), MAILBOX_ENTRIES);
    while (mailbox_is_congested(box)) {
        seen = take_all(box, seen);
        mailbox_publish(box);
    }
    assert_int_equal(take_all(box, seen), sent);
    mailbox_free(box);
}

/* Random puts, publishes and consumes from indexes that are about to wrap. */
static void indexes_wrap(void **state)
{
    struct mailbox *box = mailbox_new();
    uint32_t start = UINT32_MAX - 1000;
    uint64_t sent = 0;
    uint64_t seen = 0;
    uint32_t random = 7;

    box->tail_local = start;
    box->head_seen = start;
    atomic_store(&box->tail, start);
    atomic_store(&box->head, start);
    for (int turn = 0; turn < 400; turn++) {
        uint32_t ready;
        random = random * 1664525U + 1013904223U;
        for (uint32_t i = (random >> 8) % 700; i > 0; i--)
            put(box, sent++);
        if (random & 0x80)
            mailbox_publish(box);
        ready = mailbox_ready(box);
        for (uint32_t i = ready ? (random >> 20) % ready : 0; i > 0; i--) {
            assert_true(is_entry(mailbox_peek(box, 0), seen++));
            mailbox_consume(box, 1);
        }
    }
    assert_true(sent > 2 * MAILBOX_ENTRIES);
    do {
        mailbox_publish(box);
        seen = take_all(box, seen);
    } while (mailbox_is_congested(box) || mailbox_ready(box) > 0);
    assert_int_equal(seen, sent);
    mailbox_free(box);
}

#define THREAD_ENTRIES 300000U

static void *produce(void *arg)
{
    struct mailbox *box = arg;
    for (uint64_t sent = 0; sent < THREAD_ENTRIES;) {
        /* Bursts of all sizes, some larger than the ring. */
        uint64_t burst = 1 + sent * 2654435761U % (sent % 16 == 0 ? 9000 : 50);
        for (; burst > 0 && sent < THREAD_ENTRIES; burst--)
            put(box, sent++);
        mailbox_publish(box);
        if (mailbox_is_congested(box))
            sched_yield();
    }
    while (mailbox_is_congested(box)) {
        sched_yield();
        mailbox_publish(box);
    }
    return NULL;
}

static void two_threads_lose_nothing(void **state)
{
    struct mailbox *box = mailbox_new();
    pthread_t producer;
    uint64_t seen = 0;
    uint64_t wrong = 0;

    assert_int_equal(pthread_create(&producer, NULL, produce, box), 0);
    while (seen < THREAD_ENTRIES) {
        uint32_t ready = mailbox_ready(box);
        for (uint32_t i = 0; i < ready; i++)
            wrong += !is_entry(mailbox_peek(box, i), seen++);
        mailbox_consume(box, ready);
        if (ready == 0)
            sched_yield();
    }
    assert_int_equal(pthread_join(producer, NULL), 0);
    assert_int_equal(wrong, 0);
    assert_int_equal(mailbox_ready(box), 0);
    mailbox_free(box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_shows_before_publish),
        cmocka_unit_test(what_does_not_fit_waits_in_order),
        cmocka_unit_test(indexes_wrap),
        cmocka_unit_test(two_threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
