/* SPDX-License-Identifier: Apache-2.0 */
/* The one place where the process aborts on a bug of ours. */
#include "base/bug.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void bug_abort(const char *file, int line, const char *fmt, ...)
{
    va_list args;
    fprintf(stderr, "BUG at %s:%d: ", file, line);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    fflush(NULL);
    abort();
}
