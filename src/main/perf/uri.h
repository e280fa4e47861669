/* SPDX-License-Identifier: Apache-2.0 */
/* amqp:// addresses: user, password, host, port and virtual host of a broker. */
#ifndef TOKKI_PERF_URI_H
#define TOKKI_PERF_URI_H

#include "main/perf/failure.h"

#include <stdint.h>

#define URI_PORT_DEFAULT 5672

/* Owner: whoever embeds it; plain text, nothing to free. Fields end in NUL. */
struct uri {
    char user[256];
    char password[256];
    char host[256];
    char vhost[256];
    uint16_t port;
};

/* Parse amqp://[user[:password]@]host[:port][/vhost]; parts may be percent-encoded, an IPv6 host is in
 * brackets. Missing parts are guest, guest, localhost, 5672 and "/". As in the RabbitMQ URI
 * specification "amqp://host/" names the virtual host "", "amqp://host/%2f" the usual "/".
 * ERR_USAGE fills `why`. */
MUST_CHECK int uri_parse(const char *text, struct uri *out, struct failure *why);

#endif
