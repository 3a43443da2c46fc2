/* SP_STORE, which sp_hello and sp_irq serve. */
#ifndef STORE_H
#define STORE_H

#include "partition.h"

/* Owner of a region that the client of a request sent. */
static inline uint16_t client_of(const struct smccc_regs *message)
{
    return (uint16_t)(message->x[1] >> 16);
}

bool nothing(struct smccc_regs *message);
bool store(struct smccc_regs *message);

#endif
