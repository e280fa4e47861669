/* SPDX-License-Identifier: Apache-2.0 */
/* Leveled logging: one fixed message and key=value details per line, to stderr or a file. */
#ifndef TOKKI_BASE_LOG_H
#define TOKKI_BASE_LOG_H

#include "base/attr.h"
#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Lines below `level` are dropped. Thread: before the shards start. */
void log_set_level(enum log_level level);

/* "debug", "info", "warning" or "error"; 0 or ERR_USAGE. */
MUST_CHECK int log_level_parse(struct str name, enum log_level *level);

/* Append to the file at `path` instead of writing to stderr. Errors: -errno; stderr stays. */
MUST_CHECK int log_open_file(const char *path);

bool log_is_on(enum log_level level);

/* One line `TIME [level] message details`, written by one write(2) so that lines of different
 * threads never mix. `message` is fixed text; details are "key=value ..." and never hold payloads
 * or secrets; control characters in them are escaped. error = an operator must act; warn =
 * degraded; info = life events; debug = per frame. */
PRINTF_LIKE(3, 4)
COLD void log_line(enum log_level level, const char *message, const char *details, ...);

#define log_debug(...) (log_is_on(LOG_DEBUG) ? log_line(LOG_DEBUG, __VA_ARGS__) : (void)0)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)

#endif
