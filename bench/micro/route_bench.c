/* SPDX-License-Identifier: Apache-2.0 */
/* Micro bench of catalog and routing: ns per route, us per bind and unbind, declares of queues. */
#include "core/catalog/catalog.h"
#include "core/routing/route.h"

#include "base/bug.h"
#include "base/clock.h"
#include "base/mem.h"
#include "main/perf/keys.h"

#include <stdio.h>

/* Keys look like "stock.<market>.<symbol>.<event>"; vocabularies as below. Patterns take a random
 * key and, for the given share of them, put `*` or `#` in place of one word. */
#define MARKETS 50
#define SYMBOLS 20000
#define EVENTS 20
#define QUEUES 1000
#define KEYS 65536
#define BENCH_ROUTES 300000U
#define ROUNDS 10

struct bench {
    struct reclaim *reclaim;
    struct catalog *catalog;
    struct vhost *vhost;
    uint64_t random;
};

struct key {
    char text[64];
    uint32_t len;
};

static uint64_t next_random(struct bench *b)
{
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return b->random * 0x2545F4914F6CDD1DU >> 11;
}

static void bench_start(struct bench *b)
{
    b->random = 88172645463325252U;
    b->reclaim = reclaim_new(1);
    b->catalog = catalog_new(b->reclaim, 42);
    struct catalog_result result;
    catalog_apply(b->catalog,
                  &(struct catalog_command){.version = CATALOG_COMMAND_VERSION,
                                            .kind = CATALOG_VHOST_ADD,
                                            .vhost = STR("/")},
                  &result);
    catalog_commit(b->catalog);
    b->vhost = catalog_find_vhost(b->catalog, STR("/"));
}

static void bench_stop(struct bench *b)
{
    catalog_free(b->catalog);
    reclaim_free(b->reclaim);
}

static struct str name_of(char buf[static 32], const char *prefix, unsigned n)
{
    return str_of(buf, (size_t)snprintf(buf, 32, "%s%u", prefix, n));
}

static void apply(struct bench *b, struct catalog_command *command)
{
    struct catalog_result result;
    command->version = CATALOG_COMMAND_VERSION;
    command->vhost = STR("/");
    catalog_apply(b->catalog, command, &result);
    BUG_ON(result.status != CATALOG_DONE && result.status != CATALOG_EXISTED, "status %d",
           result.status);
}

static void declare_queues(struct bench *b, unsigned count)
{
    char buf[32];
    for (unsigned i = 0; i < count; i++)
        apply(b, &(struct catalog_command){
                     .kind = CATALOG_QUEUE_DECLARE,
                     .queue_declare = {.name = name_of(buf, "q", i), .slot = i}});
    catalog_commit(b->catalog);
}

static void bind_one(struct bench *b, uint8_t kind, const char *source, unsigned queue,
                     const struct key *key)
{
    char buf[32];
    apply(b, &(struct catalog_command){.kind = kind,
                                       .binding = {.source = str_from_c(source),
                                                   .destination = name_of(buf, "q", queue),
                                                   .routing_key = str_of(key->text, key->len)}});
}

/* A key, or with `wildcard` a pattern. */
static struct key make_key(struct bench *b, bool wildcard)
{
    struct key key;
    unsigned words[3] = {(unsigned)(next_random(b) % MARKETS), (unsigned)(next_random(b) % SYMBOLS),
                         (unsigned)(next_random(b) % EVENTS)};
    char text[4][16] = {"stock"};
    for (int i = 0; i < 3; i++)
        snprintf(text[i + 1], sizeof text[0], "%c%u", "mse"[i], words[i]);
    if (wildcard)
        snprintf(text[1 + next_random(b) % 3], sizeof text[0], next_random(b) % 2 ? "*" : "#");
    key.len = (uint32_t)snprintf(key.text, sizeof key.text, "%s.%s.%s.%s", text[0], text[1],
                                 text[2], text[3]);
    return key;
}

/* ns per route over `count` keys in turn, the best of some rounds: others disturb, nobody helps. */
static void time_routes(struct bench *b, const char *what, const char *exchange_name,
                        const struct key *keys, unsigned count, unsigned routes)
{
    const struct vhost_view *view = catalog_view(b->vhost);
    struct route_result result;
    uint64_t best_ns = UINT64_MAX;
    uint64_t allocations = 0;
    uint64_t queues = 0;
    route_result_init(&result);
    for (unsigned round = 0; round < ROUNDS; round++) {
        allocations = mem_calls_of_thread();
        uint64_t start = clock_mono_ns();
        queues = 0;
        for (unsigned i = 0; i < routes; i++) {
            const struct key *key = &keys[i % count];
            const struct exchange *exchange = view_find_exchange(view, str_from_c(exchange_name));
            route(view, exchange, str_of(key->text, key->len), str_of(NULL, 0), &result);
            queues += result.count;
        }
        best_ns = MIN(best_ns, clock_mono_ns() - start);
        allocations = mem_calls_of_thread() - allocations;
    }
    printf("%-52s %8.1f ns/route, %7.1f queues, %llu allocations\n", what, (double)best_ns / routes,
           (double)queues / routes, (unsigned long long)allocations);
    route_result_fini(&result);
}

static void print_each(const char *what, uint64_t start, unsigned count)
{
    uint64_t ns = clock_mono_ns() - start;
    printf("%-52s %8.2f us each, %.0f ms in all\n", what, (double)ns / 1e3 / count,
           (double)ns / 1e6);
}

/* Bind and unbind `count` topic patterns, committing every `batch`; routes in between. */
static void bench_topic(unsigned count, unsigned wildcard_percent, unsigned batch)
{
    struct bench b;
    char what[80];
    bench_start(&b);
    declare_queues(&b, QUEUES);
    struct key *patterns = mem_alloc(count * sizeof *patterns);
    struct key *keys = mem_alloc(KEYS * sizeof *keys);
    for (unsigned i = 0; i < count; i++)
        patterns[i] = make_key(&b, next_random(&b) % 100 < wildcard_percent);
    for (unsigned i = 0; i < KEYS; i++) {
        keys[i] = patterns[next_random(&b) % count]; /* mostly keys that somebody bound */
        for (uint32_t c = 0; c < keys[i].len; c++)
            if (keys[i].text[c] == '*' || keys[i].text[c] == '#')
                keys[i].text[c] = 'x';
    }
    for (int add = 1; add >= 0; add--) {
        uint64_t start = clock_mono_ns();
        for (unsigned i = 0; i < count; i++) {
            struct catalog_result result;
            char buf[32];
            struct catalog_command command = {
                .version = CATALOG_COMMAND_VERSION,
                .kind = add ? CATALOG_BIND : CATALOG_UNBIND,
                .vhost = STR("/"),
                .binding = {.source = STR("amq.topic"),
                            .destination = name_of(buf, "q", i % QUEUES),
                            .routing_key = str_of(patterns[i].text, patterns[i].len)}};
            catalog_apply(b.catalog, &command, &result);
            if ((i + 1) % batch == 0)
                catalog_commit(b.catalog);
        }
        catalog_commit(b.catalog);
        snprintf(what, sizeof what, "%s %u patterns, commit every %u", add ? "bind" : "unbind",
                 count, batch);
        print_each(what, start, count);
        if (!add)
            continue;
        snprintf(what, sizeof what, "topic, %u bindings, %u %% wildcards", count, wildcard_percent);
        time_routes(&b, what, "amq.topic", keys, KEYS, BENCH_ROUTES);
        snprintf(what, sizeof what, "topic, %u bindings, %u %% wildcards, 1024 keys", count,
                 wildcard_percent);
        time_routes(&b, what, "amq.topic", keys, 1024, BENCH_ROUTES);
    }
    mem_free(patterns);
    mem_free(keys);
    bench_stop(&b);
}

/* The patterns and keys of tokki-perf's --topic-bindings: every key is another one, half of them match. */
static void bench_topic_load(unsigned count)
{
    struct bench b;
    char what[80];
    bench_start(&b);
    declare_queues(&b, QUEUES);
    for (unsigned i = 0; i < count; i++) {
        struct key pattern;
        pattern.len = (uint32_t)keys_topic_pattern(&b.random, pattern.text);
        bind_one(&b, CATALOG_BIND, "amq.topic", i % QUEUES, &pattern);
        if (i % 256 == 0)
            catalog_commit(b.catalog);
    }
    catalog_commit(b.catalog);
    struct key *keys = mem_alloc(BENCH_ROUTES * sizeof *keys);
    for (unsigned i = 0; i < BENCH_ROUTES; i++) {
        keys[i].len = (uint32_t)keys_topic_len(i);
        memset(keys[i].text, '.', keys[i].len);
        keys_fill_topic(&b.random, (uint8_t *)keys[i].text, keys[i].len);
    }
    snprintf(what, sizeof what, "topic, %u bindings of tokki-perf", count);
    time_routes(&b, what, "amq.topic", keys, BENCH_ROUTES, BENCH_ROUTES);
    snprintf(what, sizeof what, "topic, %u bindings of tokki-perf, 1024 keys", count);
    time_routes(&b, what, "amq.topic", keys, 1024, BENCH_ROUTES);
    mem_free(keys);
    bench_stop(&b);
}

static void bench_direct(unsigned count)
{
    struct bench b;
    char what[80];
    bench_start(&b);
    declare_queues(&b, count);
    struct key *keys = mem_alloc(count * sizeof *keys);
    uint64_t start = clock_mono_ns();
    for (unsigned i = 0; i < count; i++) {
        keys[i].len = (uint32_t)snprintf(keys[i].text, sizeof keys[i].text, "q%u", i);
        bind_one(&b, CATALOG_BIND, "amq.direct", i, &keys[i]);
    }
    catalog_commit(b.catalog);
    snprintf(what, sizeof what, "bind %u direct keys, one commit", count);
    print_each(what, start, count);
    snprintf(what, sizeof what, "direct, %u keys", count);
    time_routes(&b, what, "amq.direct", keys, count, BENCH_ROUTES);
    snprintf(what, sizeof what, "direct, %u keys, one key again and again", count);
    time_routes(&b, what, "amq.direct", keys, 1, BENCH_ROUTES);
    snprintf(what, sizeof what, "default exchange, %u queues", count);
    time_routes(&b, what, "", keys, count, BENCH_ROUTES);
    mem_free(keys);
    bench_stop(&b);
}

static void bench_fanout(unsigned count)
{
    struct bench b;
    char what[80];
    const struct key key = {"", 0};
    bench_start(&b);
    declare_queues(&b, count);
    uint64_t start = clock_mono_ns();
    for (unsigned i = 0; i < count; i++)
        bind_one(&b, CATALOG_BIND, "amq.fanout", i, &key);
    catalog_commit(b.catalog);
    snprintf(what, sizeof what, "bind %u queues to a fanout", count);
    print_each(what, start, count);
    snprintf(what, sizeof what, "fanout to %u queues", count);
    time_routes(&b, what, "amq.fanout", &key, 1, 20000);
    start = clock_mono_ns();
    for (unsigned i = 0; i < count; i++) {
        char buf[32];
        struct str name = name_of(buf, "q", i);
        struct catalog_queue_id id = {
            name, view_find_queue(catalog_view(b.vhost), name)->ref.incarnation};
        apply(&b,
              &(struct catalog_command){.kind = CATALOG_QUEUES_DELETE, .queues_delete = {&id, 1}});
        catalog_commit(b.catalog);
    }
    snprintf(what, sizeof what, "delete %u of them one by one, a commit each", count);
    print_each(what, start, count);
    bench_stop(&b);
}

static void bench_declares(unsigned count, bool commit_each)
{
    struct bench b;
    char buf[32];
    bench_start(&b);
    uint64_t start = clock_mono_ns();
    for (unsigned i = 0; i < count; i++) {
        apply(&b, &(struct catalog_command){
                      .kind = CATALOG_QUEUE_DECLARE,
                      .queue_declare = {.name = name_of(buf, "q", i), .slot = i}});
        if (commit_each)
            catalog_commit(b.catalog);
    }
    catalog_commit(b.catalog);
    print_each(commit_each ? "declare queues, a commit each" : "declare queues, one commit", start,
               count);
    bench_stop(&b);
}

static bool wanted(int argc, char **argv, const char *part)
{
    return argc < 2 || strcmp(argv[1], part) == 0;
}

/* bench-route [declare | direct | fanout | topic | topic-load] */
int main(int argc, char **argv)
{
    static const unsigned sizes[] = {1000, 100000};
    static const unsigned percents[] = {1, 10, 50};
    for (int each = 0; wanted(argc, argv, "declare") && each < 2; each++)
        bench_declares(10000, each);
    for (size_t s = 0; wanted(argc, argv, "direct") && s < ARRAY_LEN(sizes); s++)
        bench_direct(sizes[s]);
    for (unsigned count = 1000; wanted(argc, argv, "fanout") && count <= 10000; count *= 10)
        bench_fanout(count);
    for (size_t s = 0; wanted(argc, argv, "topic") && s < ARRAY_LEN(sizes); s++)
        for (size_t p = 0; p < ARRAY_LEN(percents); p++)
            bench_topic(sizes[s], percents[p], 256);
    if (wanted(argc, argv, "topic"))
        bench_topic(100000, 10, 1);
    if (wanted(argc, argv, "topic-load"))
        bench_topic_load(100000);
    return 0;
}
