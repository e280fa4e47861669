/* SPDX-License-Identifier: Apache-2.0 */
/* The logger: the one process-wide object besides the per-thread shard pointer (style 4.12). */
#include "base/log.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* PIPE_BUF-sized lines stay whole on pipes too. */
#define LINE_MAX_BYTES 4096

static atomic_int threshold = LOG_INFO;
static atomic_int sink_fd = STDERR_FILENO;

static const char *const level_names[] = {"debug", "info", "warning", "error"};

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

int log_level_parse(struct str name, enum log_level *level)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        if (str_equals(name, str_from_c(level_names[i]))) {
            *level = (enum log_level)i;
            return 0;
        }
    }
    return ERR_USAGE;
}

int log_open_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd == -1)
        return -errno;
    atomic_store(&sink_fd, fd);
    return 0;
}

bool log_is_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&threshold, memory_order_relaxed);
}

static size_t put_time(char *line, size_t room)
{
    struct timespec now;
    struct tm tm;
    size_t n;
    int fraction;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    n = strftime(line, room, "%Y-%m-%d %H:%M:%S", &tm);
    fraction = snprintf(line + n, room - n, ".%06ldZ ", now.tv_nsec / 1000);
    return n + (fraction > 0 ? (size_t)fraction : 0);
}

/* What peers send can end up in details: keep one entry on one line. */
static void escape_controls(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F)
            text[i] = '?';
}

void log_line(enum log_level level, const char *message, const char *details, ...)
{
    char line[LINE_MAX_BYTES];
    size_t room = sizeof line - 1;
    size_t n;
    size_t text;
    int part;
    va_list args;

    if (!log_is_on(level))
        return;
    n = put_time(line, room);
    text = n;
    part = snprintf(line + n, room - n, "[%s] %s ", level_names[level], message);
    n = MIN(n + (size_t)(part > 0 ? part : 0), room - 1);
    va_start(args, details);
    part = vsnprintf(line + n, room - n, details, args);
    va_end(args);
    n = MIN(n + (size_t)(part > 0 ? part : 0), room - 1);
    while (n > text && line[n - 1] == ' ')
        n--;
    escape_controls(line + text, n - text);
    line[n++] = '\n';
    /* A log that cannot be written must not stop the broker. */
    if (write(atomic_load(&sink_fd), line, n) == -1)
        return;
}
