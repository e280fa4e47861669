/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the headers exchange: x-match in all its forms, values, and the 406 texts. */
#include "core/catalog/catalog_fixture.h"
#include "core/routing/headers.h"

#include "core/table.h"

#include <stdlib.h>

/* The text up to `end` (or the end of the string); `*text` moves behind it. */
static struct str take_until(const char **text, char end)
{
    const char *at = strchrnul(*text, end);
    struct str taken = str_of(*text, (size_t)(at - *text));
    *text = *at ? at + 1 : at;
    return taken;
}

static struct table_value value_of(char tag, struct str text)
{
    struct table_value v = {.tag = tag};
    if (tag == 'S' || tag == 'x')
        v.bytes = text;
    else if (tag == 't')
        v.boolean = text.data[0] == '1';
    else if (tag == 'd' || tag == 'f')
        v.real = strtod(text.data, NULL);
    else if (tag == 'T')
        v.timestamp = strtoull(text.data, NULL, 10);
    else if (tag != 'V')
        v.integer = strtoll(text.data, NULL, 10);
    return v;
}

/* A table from text such as "a=S:text b=I:5 c=V:- d=t:1"; in static memory, four at a time. */
static struct str table_of(const char *text)
{
    static char memory[4][512];
    static unsigned next;
    char *buf = memory[next++ % 4];
    struct writer w = writer_of(buf, sizeof memory[0]);
    while (*text) {
        struct str name = take_until(&text, '=');
        struct str tag = take_until(&text, ':');
        struct table_value value = value_of(tag.data[0], take_until(&text, ' '));
        table_put(&w, name, &value);
    }
    assert_false(w.failed);
    return str_of(buf, writer_len(&w));
}

static const struct {
    const char *arguments;
    const char *headers;
    bool match;
} cases[] = {
    /* all is the default */
    {"a=S:1 b=S:2", "a=S:1 b=S:2 c=S:3", true},
    {"a=S:1 b=S:2", "a=S:1", false},
    {"a=S:1 b=S:2", "b=S:2 a=S:1", true},
    {"a=S:1 b=S:2", "a=S:1 b=S:3", false},
    {"x-match=S:all a=S:1", "a=S:1", true},
    {"x-match=S:any a=S:1 b=S:2", "b=S:2", true},
    {"x-match=S:any a=S:1 b=S:2", "a=S:2 b=S:1", false},
    {"x-match=S:any a=S:1 b=S:2", "", false},
    /* nothing to compare */
    {"", "", true},
    {"", "a=S:1", true},
    {"x-match=S:all", "a=S:1", true},
    {"x-match=S:any", "a=S:1", false},
    /* x- headers count only with -with-x; x-match never does */
    {"x-match=S:all x-a=S:1", "", true},
    {"x-match=S:all-with-x x-a=S:1", "", false},
    {"x-match=S:all-with-x x-a=S:1", "x-a=S:1", true},
    {"x-match=S:all-with-x x-a=S:1", "x-a=S:2", false},
    {"x-match=S:any x-a=S:1", "x-a=S:1", false},
    {"x-match=S:any-with-x x-a=S:1 b=S:2", "x-a=S:1", true},
    {"x-match=S:any-with-x x-a=S:1 b=S:2", "x-match=S:any-with-x", false},
    /* void means presence */
    {"a=V:-", "a=S:anything", true},
    {"a=V:-", "a=I:5", true},
    {"a=V:-", "b=I:5", false},
    {"a=V:- b=S:1", "a=I:5 b=S:1", true},
    {"x-match=S:any a=V:- b=S:1", "a=I:5", true},
    {"a=S:1", "a=V:-", false},
    /* values decide: widths of integers do not matter, kinds do */
    {"a=I:5", "a=b:5", true},
    {"a=I:5", "a=l:5", true},
    {"a=I:5", "a=T:5", true},
    {"a=I:5", "a=S:5", false},
    {"a=S:5", "a=I:5", false},
    {"a=S:text", "a=x:text", true},
    {"a=d:2.5", "a=d:2.5", true},
    {"a=d:-0", "a=d:0", true},
    {"a=t:1", "a=t:1", true},
    {"a=t:1", "a=t:0", false},
    {"a=t:1", "a=I:1", false},
    /* of two headers with one name the first counts */
    {"a=S:1", "a=S:1 a=S:2", true},
    {"a=S:2", "a=S:1 a=S:2", false},
};

static bool routes(struct fixture *f, struct str headers)
{
    route(view_of(f), find_exchange(f, "amq.headers"), STR("key"), headers, &f->route);
    assert_true(f->route.depends_on_headers);
    return f->route.count == 1;
}

static void bindings_match_as_in_rabbitmq(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        struct str arguments = table_of(cases[i].arguments);
        fixture_start(&f, 1);
        declare_queue(&f, "q");
        assert_int_equal(
            change_binding(&f, CATALOG_BIND, DESTINATION_QUEUE, "amq.headers", "q", "", arguments),
            CATALOG_DONE);
        if (routes(&f, table_of(cases[i].headers)) != cases[i].match)
            fail_msg("arguments '%s', headers '%s'", cases[i].arguments, cases[i].headers);
        catalog_commit(f.catalog);
        assert_int_equal(change_binding(&f, CATALOG_UNBIND, DESTINATION_QUEUE, "amq.headers", "q",
                                        "", arguments),
                         CATALOG_DONE);
        assert_false(routes(&f, table_of(cases[i].headers)));
        assert_int_equal(find_exchange(&f, "amq.headers")->state.header_index.count, 0);
        fixture_stop(&f);
    }
}

static void many_bindings_are_told_apart(void **state)
{
    struct fixture f;
    char name[16];
    char text[64];
    fixture_start(&f, 1);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "q%d", i);
        declare_queue(&f, name);
        snprintf(text, sizeof text, "x-match=S:%s id=I:%d kind=S:k%d", i % 2 ? "any" : "all", i,
                 i % 10);
        change_binding(&f, CATALOG_BIND, DESTINATION_QUEUE, "amq.headers", name, "",
                       table_of(text));
        if (i % 100 == 0)
            catalog_commit(f.catalog);
    }
    const struct exchange *x = find_exchange(&f, "amq.headers");
    route(view_of(&f), x, STR(""), table_of("id=I:20 kind=S:k0"), &f.route);
    assert_int_equal(f.route.count, 1);
    assert_true(routed_to(&f, "q20"));
    route(view_of(&f), x, STR(""), table_of("id=I:21 kind=S:k3"), &f.route);
    assert_int_equal(f.route.count, 31); /* any of id 21, and the 30 of kind k3 */
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "q%d", i);
        delete_queue(&f, name);
    }
    assert_int_equal(find_exchange(&f, "amq.headers")->state.header_index.count, 0);
    fixture_stop(&f);
}

static void check_text(const char *arguments, const char *expected)
{
    char text[256] = "";
    int rc = exchange_check_binding(EXCHANGE_HEADERS, table_of(arguments), text, sizeof text);
    assert_int_equal(rc == 0, expected == NULL);
    assert_string_equal(text, expected ? expected : "");
}

static void wrong_x_match_is_refused(void **state)
{
    check_text("", NULL);
    check_text("a=S:1", NULL);
    check_text("x-match=S:all-with-x", NULL);
    check_text("x-match=S:any-with-x", NULL);
    check_text("x-match=S:foo", "Invalid x-match field value <<\"foo\">>; "
                                "expected all, any, all-with-x, or any-with-x");
    check_text("x-match=S:a\"b", "Invalid x-match field value <<\"a\\\"b\">>; "
                                 "expected all, any, all-with-x, or any-with-x");
    check_text("x-match=S:\001\002", "Invalid x-match field value <<1,2>>; "
                                     "expected all, any, all-with-x, or any-with-x");
    check_text("x-match=I:5", "Invalid x-match field type signedint (value 5); expected longstr");
    char text[256];
    assert_int_equal(
        exchange_check_binding(EXCHANGE_TOPIC, table_of("x-match=I:5"), text, sizeof text), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bindings_match_as_in_rabbitmq),
        cmocka_unit_test(many_bindings_are_told_apart),
        cmocka_unit_test(wrong_x_match_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
