/* SPDX-License-Identifier: Apache-2.0 */
/* Basic properties: flags and values to a borrowed view, and back. */
#include "core/content.h"

#include "base/err.h"
#include "core/table.h"

/* Absent values are written too, instead of clearing `*out` first: for 200 octets gcc makes a
 * `rep stos` of that, which alone takes 10 ns. */
static inline struct str shortstr_if(struct cursor *in, unsigned present)
{
    return present ? cursor_shortstr(in) : (struct str){NULL, 0};
}

/* Wire order is the order of the flag bits, from the highest down. */
HOT static inline void read_values(struct cursor *in, unsigned flags, struct content_props *out)
{
    out->content_type = shortstr_if(in, flags & CONTENT_HAS_CONTENT_TYPE);
    out->content_encoding = shortstr_if(in, flags & CONTENT_HAS_CONTENT_ENCODING);
    out->headers = flags & CONTENT_HAS_HEADERS ? cursor_longstr(in) : (struct str){NULL, 0};
    out->delivery_mode = flags & CONTENT_HAS_DELIVERY_MODE ? cursor_u8(in) : 0;
    out->priority = flags & CONTENT_HAS_PRIORITY ? cursor_u8(in) : 0;
    out->correlation_id = shortstr_if(in, flags & CONTENT_HAS_CORRELATION_ID);
    out->reply_to = shortstr_if(in, flags & CONTENT_HAS_REPLY_TO);
    out->expiration = shortstr_if(in, flags & CONTENT_HAS_EXPIRATION);
    out->message_id = shortstr_if(in, flags & CONTENT_HAS_MESSAGE_ID);
    out->timestamp = flags & CONTENT_HAS_TIMESTAMP ? cursor_u64(in) : 0;
    out->type = shortstr_if(in, flags & CONTENT_HAS_TYPE);
    out->user_id = shortstr_if(in, flags & CONTENT_HAS_USER_ID);
    out->app_id = shortstr_if(in, flags & CONTENT_HAS_APP_ID);
    out->cluster_id = shortstr_if(in, flags & CONTENT_HAS_CLUSTER_ID);
}

HOT int content_props_parse(struct str flags_and_values, struct content_props *out)
{
    struct cursor in = cursor_of_str(flags_and_values);

    out->flags = cursor_u16(&in) & CONTENT_HAS_ALL;
    read_values(&in, out->flags, out);
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
