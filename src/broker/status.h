/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator asks first, in one line of the log: alarms, memory, the disk. */
#ifndef TOKKI_BROKER_STATUS_H
#define TOKKI_BROKER_STATUS_H

#include "broker/node.h"

/* Log it, at level info. Thread: any. */
void status_log(struct node *node);

#endif
