/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of mend.c: with --recover, catalog records whose companions are lost behind damage. */
#include "core/recovery/recovery_fixture.h"

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
        cmocka_unit_test(test_with_recover_a_lost_vhost_is_added),
        cmocka_unit_test(test_with_recover_a_later_queue_replaces_one_of_its_name),
        cmocka_unit_test(test_with_recover_a_lost_binding_is_told),
        cmocka_unit_test(test_with_recover_a_queue_without_a_declaration_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
