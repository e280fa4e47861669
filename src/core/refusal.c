/* SPDX-License-Identifier: Apache-2.0 */
/* Filling a refusal. */
#include "core/refusal.h"

#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

int refuse(struct refusal *refusal, enum refusal_code code, const char *fmt, ...)
{
    va_list args;
    refusal->code = (int)code;
    va_start(args, fmt);
    vsnprintf(refusal->text, sizeof refusal->text, fmt, args);
    va_end(args);
    return ERR_REFUSED;
}
