/* SPDX-License-Identifier: Apache-2.0 */
/* The one sentence that tells the user why a run failed, and how it becomes the exit code. */
#ifndef TOKKI_PERF_FAILURE_H
#define TOKKI_PERF_FAILURE_H

#include "base/attr.h"
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

/* Errors with a text of their own, beside those of base/err.h. */
enum perf_exit {
    PERF_EXIT_OK = 0,
    PERF_EXIT_FAILED = 1, /* the broker or the network refused */
    PERF_EXIT_USAGE = 2,  /* the command line */
};

/* Owner: the caller. Written by the first function that fails; empty text = nothing failed. */
struct failure {
    char text[512];
};

/* Fill `why` and return `code`, so that a failing function ends with `return failure_set(...)`. */
PRINTF_LIKE(3, 4)
static inline int failure_set(struct failure *why, int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(why->text, sizeof why->text, fmt, args);
    va_end(args);
    return code;
}

#endif
