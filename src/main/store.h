/* SPDX-License-Identifier: Apache-2.0 */
/* The data directory of the broker: opened, and its errors told to the operator. */
#ifndef TOKKI_MAIN_STORE_H
#define TOKKI_MAIN_STORE_H

#include "main/options.h"
#include "storage/log.h"

/* Make the directory when it is missing, open the log in it, and the (empty) spill in a directory in it; what
 * is wrong is printed. */
MUST_CHECK int store_open(const struct options *options, uint16_t streams, struct log **out,
                          struct log **spill);

/* One line on stderr about an error of the log. */
void store_complain(const struct options *options, const struct log_error *error, int code);

#endif
