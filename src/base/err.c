/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of our error codes. */
#include "base/err.h"

#include <string.h>

const char *err_text(int code)
{
    switch (code) {
    case 0:
        return "success";
    case ERR_AGAIN:
        return "try again later";
    case ERR_CORRUPT:
        return "malformed data";
    case ERR_TOO_BIG:
        return "over the size limit";
    case ERR_NOT_FOUND:
        return "not found";
    case ERR_EXISTS:
        return "exists already";
    case ERR_IN_USE:
        return "in use";
    case ERR_NOT_EMPTY:
        return "not empty";
    case ERR_REFUSED:
        return "refused";
    case ERR_EOF:
        return "end of stream";
    case ERR_USAGE:
        return "wrong usage";
    case ERR_NOT_YET:
        return "not there yet";
    default:
        return strerrordesc_np(-code) ? strerrordesc_np(-code) : "unknown error";
    }
}
