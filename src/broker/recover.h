/* SPDX-License-Identifier: Apache-2.0 */
/* From the log back to a running node: catalog, queues, messages. */
#ifndef TOKKI_BROKER_RECOVER_H
#define TOKKI_BROKER_RECOVER_H

#include "broker/node.h"

/* Read everything that the log holds and make the node's state of it. Before node_start, by the main
 * thread. Errors as log_replay; `*error` says where and why. */
MUST_CHECK int node_recover(struct node *node, struct log_error *error);

#endif
