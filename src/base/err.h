/* SPDX-License-Identifier: Apache-2.0 */
/* Error codes of the project: 0 is success, -errno comes from the system, ERR_* below from us. */
#ifndef TOKKI_BASE_ERR_H
#define TOKKI_BASE_ERR_H

/* Ours start far below any -errno, so both share one int. */
enum err {
    ERR_AGAIN = -1001,     /* not now; the callee says what will wake the caller */
    ERR_CORRUPT = -1002,   /* bytes that break a documented format */
    ERR_TOO_BIG = -1003,   /* a length above a documented limit */
    ERR_NOT_FOUND = -1004, /* no such object */
    ERR_EXISTS = -1005,    /* such an object is there already */
    ERR_IN_USE = -1006,    /* the object cannot go: others depend on it */
    ERR_NOT_EMPTY = -1007, /* the object cannot go: it holds something */
    ERR_REFUSED = -1008,   /* not allowed for this caller */
    ERR_EOF = -1009,       /* the peer ended the stream in good order */
    ERR_USAGE = -1010,     /* wrong command line or configuration */
    ERR_NOT_YET = -1011,   /* it is on its way: to be looked for again a little later */
};

/* Text for `code` (-errno or ERR_*); never NULL, static or thread-local storage. */
const char *err_text(int code);

#endif
