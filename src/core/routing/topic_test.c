/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the topic trie: known cases, and 100,000 random pairs against a plain matcher. */
#include "core/catalog/catalog_fixture.h"

#include "base/clock.h"

/* --- A matcher that is plainly right: patterns and keys as lists of words. --- */

#define TEXT_MAX 64

struct words {
    int count;
    char word[12][16];
};

static struct words split(const char *text)
{
    struct words w = {0};
    if (*text == '\0')
        return w;
    for (int len = 0;; text++) {
        if (*text != '.' && *text != '\0') {
            w.word[w.count][len++] = *text;
            continue;
        }
        w.count++;
        len = 0;
        if (*text == '\0')
            return w;
    }
}

static bool matches(const struct words *p, int i, const struct words *k, int j)
{
    if (i == p->count)
        return j == k->count;
    if (strcmp(p->word[i], "#") == 0)
        return matches(p, i + 1, k, j) || (j < k->count && matches(p, i, k, j + 1));
    if (j == k->count)
        return false;
    bool same = strcmp(p->word[i], "*") == 0 || strcmp(p->word[i], k->word[j]) == 0;
    return same && matches(p, i + 1, k, j + 1);
}

static const struct {
    const char *pattern;
    const char *key;
    bool match;
} cases[] = {
    {"a.b", "a.b", true},
    {"a.b", "a.b.c", false},
    {"a.*", "a.b", true},
    {"a.*", "a", false},
    {"a.*", "a.", true},
    {"a.*", "a.b.c", false},
    {"a.#", "a", true},
    {"a.#", "a.b.c", true},
    {"#", "", true},
    {"#", "a.b", true},
    {"*", "", false},
    {"*", "a", true},
    {"", "", true},
    {"", "a", false},
    {"", ".", false},
    {".", ".", true},
    {"*.*", ".", true},
    {"#.a", "a", true},
    {"#.a", "b.a", true},
    {"#.a", "a.b", false},
    {"#.#", "", true},
    {"#.#.a", "a", true},
    {"a.#.b", "a.b", true},
    {"*.#", "", false},
    {"*.#", "a.b", true},
    {"#.*", "a.b.c", true},
    {"#.*", "", false},
    {"a*", "ab", false},
    {"a.#.#", "a", true},
    {"a..b", "a..b", true},
    {"a.*.b", "a..b", true},
    {"#.a.#", "b.a.c", true},
    {"**", "a", false},
    {"*a", "ba", false},
    {"#a", "a", false},
    {"a.#.*", "a", false},
    /* Seven bytes are a number, eight a text (topic_word.h). */
    {"sevenby", "sevenby", true},
    {"sevenby", "sevenbx", false},
    {"sevenby", "sevenb", false},
    {"sevenby", "eightbyt", false},
    {"eightbyt", "eightbyt", true},
    {"eightbyt", "eightbyx", false},
    {"eightbyt", "eightby", false},
    {"eightbyt.*", "eightbyt.sevenby", true},
    {"*.ninebytes.a", "sevenby.ninebytes.a", true},
    {"*.ninebytes.a", "sevenby.ninebytes", false},
    {"ninebytes.eightbyt.sevenby.*", "ninebytes.eightbyt.sevenby.", true},
    {"eightbyt.#.a", "eightbyt.eightbyt.a", true},
    {"abc.ab.a.", "abc.ab.a.", true},
};

static void known_cases(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        struct words pattern = split(cases[i].pattern);
        struct words key = split(cases[i].key);
        assert_int_equal(matches(&pattern, 0, &key, 0), cases[i].match);
        fixture_start(&f, 1);
        declare_queue(&f, "q");
        bind_queue(&f, "amq.topic", "q", cases[i].pattern);
        if (route_count(&f, "amq.topic", cases[i].key) != cases[i].match)
            fail_msg("pattern '%s', key '%s'", cases[i].pattern, cases[i].key);
        unbind_queue(&f, "amq.topic", "q", cases[i].pattern);
        assert_null(find_exchange(&f, "amq.topic")->state.topic);
        fixture_stop(&f);
    }
}

static uint32_t count_of(struct fixture *f, const char *key, size_t len)
{
    route(view_of(f), find_exchange(f, "amq.topic"), str_of(key, len), str_of(NULL, 0), &f->route);
    return f->route.count;
}

/* Words of all lengths around eight bytes: another length, another last byte, a zero byte more. */
static void words_differ_by_every_byte(void **state)
{
    enum { LONGEST = 12 };
    struct fixture f;
    fixture_start(&f, 1);
    declare_queue(&f, "q");
    for (size_t len = 1; len <= LONGEST; len++) {
        char pattern[LONGEST + 1] = "";
        char key[LONGEST + 1] = "";
        memset(pattern, 'a', len);
        bind_queue(&f, "amq.topic", "q", pattern);
        for (size_t other = 1; other <= LONGEST; other++) {
            memset(key, 'a', other);
            assert_int_equal(count_of(&f, key, other), other == len);
            key[other - 1] = 'b';
            assert_int_equal(count_of(&f, key, other), 0);
            key[other - 1] = '\0';
            assert_int_equal(count_of(&f, key, other), 0);
        }
        unbind_queue(&f, "amq.topic", "q", pattern);
    }
    fixture_stop(&f);
}

#define QUEUES 400
#define PER_SET 25
#define KEYS 250

static uint64_t random_state = 9;

static unsigned next_random(unsigned below)
{
    random_state = random_state * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)((random_state >> 33) % below);
}

/* Up to six words of a vocabulary small enough that much matches. */
static void random_text(char out[static TEXT_MAX], bool pattern)
{
    static const char *const words[] = {"", "a", "sevenby", "eightbyt", "*", "#"};
    unsigned count = next_random(7);
    size_t len = 0;
    *out = '\0';
    for (unsigned i = 0; i < count; i++) {
        const char *word = words[next_random(pattern ? 6 : 4)];
        len += (size_t)snprintf(out + len, TEXT_MAX - len, "%s%s", i > 0 ? "." : "", word);
    }
}

static void check_keys(struct fixture *f, struct words patterns[][PER_SET], bool bound[][PER_SET])
{
    char text[TEXT_MAX];
    char name[16];
    for (unsigned k = 0; k < KEYS / 10; k++) {
        random_text(text, false);
        struct words key = split(text);
        uint32_t expected = 0;
        route_count(f, "amq.topic", text);
        for (unsigned q = 0; q < QUEUES; q++) {
            bool hit = false;
            for (unsigned p = 0; p < PER_SET && !hit; p++)
                hit = bound[q][p] && matches(&patterns[q][p], 0, &key, 0);
            expected += hit;
            snprintf(name, sizeof name, "q%u", q);
            if (hit && q % 16 == k % 16)
                assert_true(routed_to(f, name));
        }
        assert_int_equal(f->route.count, expected);
    }
}

/* 10,000 patterns bound, changed and unbound again; all together some million comparisons. */
static void random_patterns_match_as_a_plain_matcher_says(void **state)
{
    static struct words patterns[QUEUES][PER_SET];
    static char texts[QUEUES][PER_SET][TEXT_MAX];
    static bool bound[QUEUES][PER_SET];
    char name[16];
    struct fixture f;
    fixture_start(&f, 1);
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned q = 0; q < QUEUES; q++) {
            snprintf(name, sizeof name, "q%u", q);
            if (round == 0)
                declare_queue(&f, name);
            for (unsigned i = 0; i < (round == 0 ? 3 : 2); i++) {
                unsigned p = next_random(PER_SET);
                if (bound[q][p]) {
                    /* Equal patterns of one queue are one binding: the second unbind finds none. */
                    for (unsigned o = 0; o < PER_SET; o++)
                        if (o != p && strcmp(texts[q][o], texts[q][p]) == 0)
                            bound[q][o] = false;
                    unbind_queue(&f, "amq.topic", name, texts[q][p]);
                    bound[q][p] = false;
                    continue;
                }
                random_text(texts[q][p], true);
                patterns[q][p] = split(texts[q][p]);
                bound[q][p] = true;
                bind_queue(&f, "amq.topic", name, texts[q][p]);
            }
            if (q % 50 == 0)
                catalog_commit(f.catalog);
        }
        check_keys(&f, patterns, bound);
    }
    for (unsigned q = 0; q < QUEUES; q++) {
        snprintf(name, sizeof name, "q%u", q);
        delete_queue(&f, name);
    }
    assert_null(find_exchange(&f, "amq.topic")->state.topic);
    fixture_stop(&f);
}

/* One pattern and one key at a time: 100,000 pairs. */
static void random_pairs(void **state)
{
    struct fixture f;
    char pattern[TEXT_MAX];
    char key[TEXT_MAX];
    fixture_start(&f, 1);
    declare_queue(&f, "q");
    for (unsigned i = 0; i < 10000; i++) {
        random_text(pattern, true);
        struct words p = split(pattern);
        bind_queue(&f, "amq.topic", "q", pattern);
        for (unsigned j = 0; j < 10; j++) {
            random_text(key, false);
            struct words k = split(key);
            if (route_count(&f, "amq.topic", key) != matches(&p, 0, &k, 0))
                fail_msg("pattern '%s', key '%s'", pattern, key);
        }
        unbind_queue(&f, "amq.topic", "q", pattern);
        if (i % 7 == 0)
            catalog_commit(f.catalog);
    }
    fixture_stop(&f);
}

/* Backtracking takes exponential time on these. */
static void many_hashes_do_not_explode(void **state)
{
    struct fixture f;
    char pattern[256];
    char key[256];
    fixture_start(&f, 1);
    declare_queue(&f, "q");
    for (unsigned i = 0; i < 60; i++)
        memcpy(pattern + 4 * i, "#.a.", 4);
    memcpy(pattern + 240, "b", 2);
    for (unsigned i = 0; i < 127; i++)
        memcpy(key + 2 * i, "a.", 2);
    key[253] = '\0';
    bind_queue(&f, "amq.topic", "q", pattern);
    uint64_t start = clock_mono_ms();
    assert_int_equal(route_count(&f, "amq.topic", key), 0);
    key[252] = 'b';
    assert_int_equal(route_count(&f, "amq.topic", key), 1);
    assert_true(clock_mono_ms() - start < 1000);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_cases),
        cmocka_unit_test(words_differ_by_every_byte),
        cmocka_unit_test(random_patterns_match_as_a_plain_matcher_says),
        cmocka_unit_test(random_pairs),
        cmocka_unit_test(many_hashes_do_not_explode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
