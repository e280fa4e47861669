/* SPDX-License-Identifier: Apache-2.0 */
/* What clean.c and clean_move.c share. */
#ifndef TOKKI_STORAGE_CLEAN_INTERNAL_H
#define TOKKI_STORAGE_CLEAN_INTERNAL_H

#include "storage/log_internal.h"

/* clean_move.c: the next records, or the end of the round when there are none. */
void clean_move(struct log *log);
/* Nothing more is to be moved: forget what nobody needs in the chosen segments. */
void clean_end_moves(struct log *log);

/* clean.c: the round is over ... */
void clean_over(struct log *log);
/* ... or cannot go on; what was moved stays moved. */
void clean_give_up(struct log *log);

#endif
