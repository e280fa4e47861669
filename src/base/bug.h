/* SPDX-License-Identifier: Apache-2.0 */
/* BUG_ON: abort with the state that was wrong; for errors in our own code only. */
#ifndef TOKKI_BASE_BUG_H
#define TOKKI_BASE_BUG_H

#include "base/attr.h"

/* Print file, line and the formatted state, then abort. Checks stay on in release builds: an
 * aborted broker loses nothing confirmed, one that goes on with a broken invariant may. */
NORETURN COLD PRINTF_LIKE(3, 4) void bug_abort(const char *file, int line, const char *fmt, ...);

#define BUG_ON(cond, ...)                                                                          \
    do {                                                                                           \
        if (UNLIKELY(cond))                                                                        \
            bug_abort(__FILE__, __LINE__, __VA_ARGS__);                                            \
    } while (0)

/* A check too dear for the hot path of a release build; on in debug and sanitizer builds. */
#ifdef NDEBUG
#define DEBUG_BUG_ON(cond, ...) ((void)sizeof(cond))
#else
#define DEBUG_BUG_ON(cond, ...) BUG_ON(cond, __VA_ARGS__)
#endif

#endif
