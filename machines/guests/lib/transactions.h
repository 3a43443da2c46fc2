/* Memory transactions as an ordinary partition makes them: one receiver, one range, mailboxes of one page, v1.2. */
#ifndef TRANSACTIONS_H
#define TRANSACTIONS_H

#include <stdint.h>

#include "ffa.h"

/* Provided by the program: its partition id, and its TX and RX buffers. */
extern uint16_t own_id;
extern uint64_t tx[512], rx[512];

struct retrieved {
    /* 0, or an FF-A error code. */
    int32_t status;
    uint32_t pages;
    uint32_t ranges;
    /* Of the first range. */
    uint64_t address;
};

struct retrieved retrieve(uint64_t handle, uint16_t owner, uint8_t permissions, uint32_t flags);
/* Retrieve for reading and writing, whether it was shared with several or lent to this partition. */
struct retrieved retrieve_any(uint64_t handle, uint16_t owner);
int32_t relinquish(uint64_t handle, uint32_t flags);
int32_t reclaim(uint64_t handle, uint32_t flags);
/* Share, lend or donate; the answer has the handle in x2 and x3. */
struct smccc_regs send(uint32_t function, uint16_t receiver, uint8_t permissions, uint64_t address, uint32_t pages);

#endif
