/* SPDX-License-Identifier: Apache-2.0 */
/* The stage of a broker without storage. */
#include "core/stage.h"

static lsn_t append(struct stage *stage, struct shard *shard, const struct queue_command *command)
{
    (void)stage;
    (void)shard;
    (void)command;
    return 0;
}

static lsn_t durable(struct stage *stage)
{
    (void)stage;
    return UINT64_MAX;
}

struct stage *stage_memory(void)
{
    static struct stage memory = {.append = append, .durable = durable};
    return &memory;
}
