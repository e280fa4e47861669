/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes basic properties: what parses is written back to the same bytes. */
#include "base/bug.h"
#include "core/content.h"
#include "core/table.h"

#include <stdlib.h>

/* A property whose flag is clear must be empty, whatever the bytes were. */
static void check_absent(const struct content_props *p)
{
    const struct {
        unsigned flag;
        size_t value;
    } all[] = {
        {CONTENT_HAS_CONTENT_TYPE, p->content_type.len},
        {CONTENT_HAS_CONTENT_ENCODING, p->content_encoding.len},
        {CONTENT_HAS_HEADERS, p->headers.len},
        {CONTENT_HAS_DELIVERY_MODE, p->delivery_mode},
        {CONTENT_HAS_PRIORITY, p->priority},
        {CONTENT_HAS_CORRELATION_ID, p->correlation_id.len},
        {CONTENT_HAS_REPLY_TO, p->reply_to.len},
        {CONTENT_HAS_EXPIRATION, p->expiration.len},
        {CONTENT_HAS_MESSAGE_ID, p->message_id.len},
        {CONTENT_HAS_TIMESTAMP, p->timestamp},
        {CONTENT_HAS_TYPE, p->type.len},
        {CONTENT_HAS_USER_ID, p->user_id.len},
        {CONTENT_HAS_APP_ID, p->app_id.len},
        {CONTENT_HAS_CLUSTER_ID, p->cluster_id.len},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        BUG_ON(!(p->flags & all[i].flag) && all[i].value, "absent property %zu has a value", i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct content_props props;
    if (content_props_parse(str_of(data, size), &props) != 0)
        return 0;
    check_absent(&props);
    BUG_ON(table_validate(props.headers) != 0, "bad headers accepted");

    uint8_t *copy = malloc(size);
    BUG_ON(!copy, "no memory");
    struct writer w = writer_of(copy, size);
    content_props_write(&w, &props);
    BUG_ON(w.failed || writer_len(&w) != size, "length changed: %zu", writer_len(&w));
    BUG_ON(load_u16(copy) != (load_u16(data) & CONTENT_HAS_ALL), "flags changed");
    BUG_ON(memcmp(copy + 2, data + 2, size - 2) != 0, "values changed");
    free(copy);
    return 0;
}
