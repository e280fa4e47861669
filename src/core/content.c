/* SPDX-License-Identifier: Apache-2.0 */
/* Basic properties: flags and values to a borrowed view, and back. */
#include "core/content.h"

#include "base/err.h"
#include "core/table.h"

/* Wire order is the order of the flag bits, from the highest down. */
HOT static void read_values(struct cursor *in, struct content_props *out)
{
    unsigned flags = out->flags;

    if (flags & CONTENT_HAS_CONTENT_TYPE)
        out->content_type = cursor_shortstr(in);
    if (flags & CONTENT_HAS_CONTENT_ENCODING)
        out->content_encoding = cursor_shortstr(in);
    if (flags & CONTENT_HAS_HEADERS)
        out->headers = cursor_longstr(in);
    if (flags & CONTENT_HAS_DELIVERY_MODE)
        out->delivery_mode = cursor_u8(in);
    if (flags & CONTENT_HAS_PRIORITY)
        out->priority = cursor_u8(in);
    if (flags & CONTENT_HAS_CORRELATION_ID)
        out->correlation_id = cursor_shortstr(in);
    if (flags & CONTENT_HAS_REPLY_TO)
        out->reply_to = cursor_shortstr(in);
    if (flags & CONTENT_HAS_EXPIRATION)
        out->expiration = cursor_shortstr(in);
    if (flags & CONTENT_HAS_MESSAGE_ID)
        out->message_id = cursor_shortstr(in);
    if (flags & CONTENT_HAS_TIMESTAMP)
        out->timestamp = cursor_u64(in);
    if (flags & CONTENT_HAS_TYPE)
        out->type = cursor_shortstr(in);
    if (flags & CONTENT_HAS_USER_ID)
        out->user_id = cursor_shortstr(in);
    if (flags & CONTENT_HAS_APP_ID)
        out->app_id = cursor_shortstr(in);
    if (flags & CONTENT_HAS_CLUSTER_ID)
        out->cluster_id = cursor_shortstr(in);
}

HOT int content_props_parse(struct str flags_and_values, struct content_props *out)
{
    struct cursor in = cursor_of_str(flags_and_values);

    *out = (struct content_props){.flags = cursor_u16(&in) & CONTENT_HAS_ALL};
    if (out->flags != 0)
        read_values(&in, out);
    if (!cursor_is_done(&in))
        return ERR_CORRUPT;
    return out->headers.len ? table_validate(out->headers) : 0;
}

void content_props_write(struct writer *w, const struct content_props *props)
{
    unsigned flags = props->flags & CONTENT_HAS_ALL;

    writer_u16(w, (uint16_t)flags);
    if (flags & CONTENT_HAS_CONTENT_TYPE)
        writer_shortstr(w, props->content_type);
    if (flags & CONTENT_HAS_CONTENT_ENCODING)
        writer_shortstr(w, props->content_encoding);
    if (flags & CONTENT_HAS_HEADERS)
        writer_longstr(w, props->headers);
    if (flags & CONTENT_HAS_DELIVERY_MODE)
        writer_u8(w, props->delivery_mode);
    if (flags & CONTENT_HAS_PRIORITY)
        writer_u8(w, props->priority);
    if (flags & CONTENT_HAS_CORRELATION_ID)
        writer_shortstr(w, props->correlation_id);
    if (flags & CONTENT_HAS_REPLY_TO)
        writer_shortstr(w, props->reply_to);
    if (flags & CONTENT_HAS_EXPIRATION)
        writer_shortstr(w, props->expiration);
    if (flags & CONTENT_HAS_MESSAGE_ID)
        writer_shortstr(w, props->message_id);
    if (flags & CONTENT_HAS_TIMESTAMP)
        writer_u64(w, props->timestamp);
    if (flags & CONTENT_HAS_TYPE)
        writer_shortstr(w, props->type);
    if (flags & CONTENT_HAS_USER_ID)
        writer_shortstr(w, props->user_id);
    if (flags & CONTENT_HAS_APP_ID)
        writer_shortstr(w, props->app_id);
    if (flags & CONTENT_HAS_CLUSTER_ID)
        writer_shortstr(w, props->cluster_id);
}
