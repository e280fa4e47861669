/* SPDX-License-Identifier: Apache-2.0 */
/* Printing results. Every format goes through one list of named numbers. */
#include "main/perf/report.h"

#include <math.h>

#define FIELDS_MAX 48

struct field_list {
    struct report_field fields[FIELDS_MAX];
    size_t count;
};

static void field_add(struct field_list *list, const char *name, double value, bool is_known)
{
    list->fields[list->count++] = (struct report_field){name, value, is_known};
}

/* Whole numbers without a fraction, others with what matters of it. */
static void number_print(double value)
{
    if (value == floor(value) && fabs(value) < 1e15)
        printf("%.0f", value);
    else
        printf("%.*f", fabs(value) < 1000 ? 3 : 1, value);
}

static void fields_print_json(const struct report_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        printf("%s\"%s\":", i ? "," : "", fields[i].name);
        if (fields[i].is_known)
            number_print(fields[i].value);
        else
            printf("null");
    }
}

static void fields_print_csv(const struct report_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        printf("%s%s", i ? "," : "", fields[i].name);
    printf("\n");
    for (size_t i = 0; i < count; i++) {
        if (i)
            printf(",");
        if (fields[i].is_known)
            number_print(fields[i].value);
    }
    printf("\n");
}

static void fields_print_text(const struct report_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!fields[i].is_known)
            continue;
        printf("%-26s ", fields[i].name);
        number_print(fields[i].value);
        printf("\n");
    }
}

void report_fields(const struct options *o, const struct report_field *fields, size_t count)
{
    switch (o->output) {
    case PERF_OUTPUT_TEXT:
        fields_print_text(fields, count);
        return;
    case PERF_OUTPUT_CSV:
        fields_print_csv(fields, count);
        return;
    case PERF_OUTPUT_JSON:
        printf("{");
        fields_print_json(fields, count);
        printf("}\n");
        return;
    }
}

/* --- Load runs --- */

static const struct {
    const char *name, *text_name, *csv_name, *confirm_csv_name;
    double share; /* < 0: the minimum */
} quantiles[] = {
    {"min", "min", "latency_min_us", "confirm_latency_min_us", -1},
    {"p50", "median", "latency_p50_us", "confirm_latency_p50_us", 0.5},
    {"p95", "95th", "latency_p95_us", "confirm_latency_p95_us", 0.95},
    {"p99", "99th", "latency_p99_us", "confirm_latency_p99_us", 0.99},
    {"p999", "99.9th", "latency_p999_us", "confirm_latency_p999_us", 0.999},
    {"max", "max", "latency_max_us", "confirm_latency_max_us", 1},
};

static double quantile_us(const struct histogram *h, double share)
{
    return (double)(share < 0 ? h->min_ns : histogram_quantile(h, share)) / 1000;
}

static double per(uint64_t total, double parts)
{
    return parts > 0 ? (double)total / parts : 0;
}

/* Deliveries, or publishes when nobody consumes: what CPU times are divided by. */
static uint64_t messages_of(const struct options *o, const struct load_result *r)
{
    return r->counters[o->consumers ? COUNTER_CONSUMED : COUNTER_PUBLISHED];
}

static void load_fields(const struct options *o, const struct load_result *r,
                        struct field_list *list)
{
    const uint64_t *n = r->counters;
    const double messages = (double)messages_of(o, r);
    const bool has_server = o->server_pid != 0, has_cpu = has_server && messages > 0;
    field_add(list, "seconds", r->seconds, true);
    field_add(list, "setup_seconds", r->setup_seconds, true);
    field_add(list, "published_per_s", per(n[COUNTER_PUBLISHED], r->seconds), true);
    field_add(list, "consumed_per_s", per(n[COUNTER_CONSUMED], r->seconds), true);
    field_add(list, "confirmed_per_s", per(n[COUNTER_CONFIRMED], r->seconds),
              o->confirm_window != 0);
    field_add(list, "body_mib_per_s", per(n[COUNTER_BODY_BYTES] >> 10, r->seconds * 1024), true);
    field_add(list, "published", (double)n[COUNTER_PUBLISHED], true);
    field_add(list, "consumed", (double)n[COUNTER_CONSUMED], true);
    field_add(list, "confirmed", (double)n[COUNTER_CONFIRMED], o->confirm_window != 0);
    field_add(list, "nacked", (double)n[COUNTER_NACKED], o->confirm_window != 0);
    field_add(list, "returned", (double)n[COUNTER_RETURNED], o->is_mandatory);
    field_add(list, "published_total", (double)r->published_total, true);
    field_add(list, "consumed_total", (double)r->consumed_total, true);
    field_add(list, "client_cpu_ns_per_msg", per(r->client_cpu_ns, messages), messages > 0);
    field_add(list, "server_cpu_ns_per_msg", per(r->server_cpu_ns, messages), has_cpu);
    field_add(list, "server_cpu_cores", per(r->server_cpu_ns, r->seconds * 1e9),
              has_server && !r->has_late_work);
    field_add(list, "server_rss_kib", (double)r->server_rss_kib, has_server);
}

static void print_json_latency(const char *name, const struct histogram *h)
{
    struct field_list list = {.count = 0};
    for (size_t i = 0; i < ARRAY_LEN(quantiles); i++)
        field_add(&list, quantiles[i].name, quantile_us(h, quantiles[i].share), h->count > 0);
    field_add(&list, "count", (double)h->count, true);
    printf(",\"%s\":{", name);
    fields_print_json(list.fields, list.count);
    printf("}");
}

static void print_text_latency(const char *name, const struct histogram *h)
{
    if (h->count == 0)
        return;
    printf("%-26s", name);
    for (size_t i = 0; i < ARRAY_LEN(quantiles); i++)
        printf(" %s %.1f us%s", quantiles[i].text_name, quantile_us(h, quantiles[i].share),
               i + 1 < ARRAY_LEN(quantiles) ? "," : "\n");
}

void report_load(const struct options *o, const struct load_result *r)
{
    struct field_list list = {.count = 0};
    load_fields(o, r, &list);
    switch (o->output) {
    case PERF_OUTPUT_TEXT:
        fields_print_text(list.fields, list.count);
        print_text_latency("latency", &r->latency);
        print_text_latency("confirm_latency", &r->confirm_latency);
        return;
    case PERF_OUTPUT_JSON:
        printf("{");
        fields_print_json(list.fields, list.count);
        print_json_latency("latency_us", &r->latency);
        print_json_latency("confirm_latency_us", &r->confirm_latency);
        printf("}\n");
        return;
    case PERF_OUTPUT_CSV:
        for (size_t i = 0; i < ARRAY_LEN(quantiles); i++)
            field_add(&list, quantiles[i].csv_name, quantile_us(&r->latency, quantiles[i].share),
                      r->latency.count > 0);
        for (size_t i = 0; i < ARRAY_LEN(quantiles); i++)
            field_add(&list, quantiles[i].confirm_csv_name,
                      quantile_us(&r->confirm_latency, quantiles[i].share),
                      r->confirm_latency.count > 0);
        fields_print_csv(list.fields, list.count);
        return;
    }
}
