/* SPDX-License-Identifier: Apache-2.0 */
/* Parser of amqp:// addresses (RabbitMQ URI specification). */
#include "main/perf/uri.h"

#include "base/str.h"

#include <stdlib.h>

#define URI_PART_MAX 255

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The byte at part[*i], percent-decoded; advances *i. -1 for a bad escape, and for NUL. */
static int byte_decode(struct str part, size_t *i)
{
    const char c = part.data[(*i)++];
    if (c != '%')
        return (unsigned char)c;
    if (*i + 2 > part.len)
        return -1;
    const int high = hex_value(part.data[*i]), low = hex_value(part.data[*i + 1]);
    *i += 2;
    return high < 0 || low < 0 || high + low == 0 ? -1 : high * 16 + low;
}

/* Decode `part` into `out` (URI_PART_MAX + 1 bytes). */
static int part_decode(struct str part, char *out, const char *what, struct failure *why)
{
    size_t n = 0;
    for (size_t i = 0; i < part.len; n++) {
        const int byte = byte_decode(part, &i);
        if (byte < 0)
            return failure_set(why, ERR_USAGE, "bad %%-escape in the URI's %s", what);
        if (n == URI_PART_MAX)
            return failure_set(why, ERR_USAGE, "the URI's %s is above %d bytes", what,
                               URI_PART_MAX);
        out[n] = (char)byte;
    }
    out[n] = '\0';
    return 0;
}

/* What stands before the first `separator`, which is skipped too; the whole rest when there is none. */
static struct str take_until(struct str *rest, char separator, bool *found)
{
    const char *at = rest->len ? memchr(rest->data, separator, rest->len) : NULL;
    *found = at != NULL;
    const struct str part = str_of(rest->data, at ? (size_t)(at - rest->data) : rest->len);
    const size_t used = part.len + (at ? 1 : 0);
    *rest = str_of(rest->data + used, rest->len - used);
    return part;
}

static int port_parse(struct str text, uint16_t *port, struct failure *why)
{
    uint32_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || n > UINT16_MAX)
            break;
        n = n * 10 + (uint32_t)(text.data[i] - '0');
        if (i + 1 == text.len && n > 0 && n <= UINT16_MAX) {
            *port = (uint16_t)n;
            return 0;
        }
    }
    return failure_set(why, ERR_USAGE, "bad port '%.*s' in the URI", STR_ARG(text));
}

static int user_parse(struct str info, struct uri *out, struct failure *why)
{
    bool has_password;
    const struct str user = take_until(&info, ':', &has_password);
    int rc = part_decode(user, out->user, "user", why);
    if (rc == 0 && has_password)
        rc = part_decode(info, out->password, "password", why);
    return rc;
}

static int host_parse(struct str text, struct uri *out, struct failure *why)
{
    bool has_port, is_closed = true;
    struct str host;
    if (text.len && text.data[0] == '[') {
        text = str_of(text.data + 1, text.len - 1);
        host = take_until(&text, ']', &is_closed);
        if (!is_closed || (text.len && text.data[0] != ':'))
            return failure_set(why, ERR_USAGE, "bad IPv6 address in the URI");
        has_port = text.len > 0;
        if (has_port)
            text = str_of(text.data + 1, text.len - 1);
    } else {
        host = take_until(&text, ':', &has_port);
    }
    if (has_port && port_parse(text, &out->port, why) != 0)
        return ERR_USAGE;
    return host.len ? part_decode(host, out->host, "host", why) : 0;
}

int uri_parse(const char *text, struct uri *out, struct failure *why)
{
    *out = (struct uri){"guest", "guest", "localhost", "/", URI_PORT_DEFAULT};
    struct str rest = str_from_c(text);
    if (str_starts_with(rest, STR("amqps://")))
        return failure_set(why, ERR_USAGE, "amqps:// needs TLS, which tokki-perf does not speak");
    if (!str_starts_with(rest, STR("amqp://")))
        return failure_set(why, ERR_USAGE, "the URI '%s' does not start with amqp://", text);
    rest = str_of(rest.data + 7, rest.len - 7);

    bool has_vhost, has_user;
    struct str authority = take_until(&rest, '/', &has_vhost);
    if (has_vhost && rest.len && memchr(rest.data, '/', rest.len))
        return failure_set(why, ERR_USAGE, "a '/' inside the URI's virtual host is written %%2f");
    const struct str info = take_until(&authority, '@', &has_user);
    int rc = 0;
    if (has_user)
        rc = user_parse(info, out, why);
    if (rc == 0)
        rc = host_parse(has_user ? authority : info, out, why);
    if (rc == 0 && has_vhost)
        rc = part_decode(rest, out->vhost, "virtual host", why);
    return rc;
}
