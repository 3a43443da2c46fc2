#include "store.h"

#include "mmio.h"

/* The answer of a command that failed. */
bool nothing(struct smccc_regs *message)
{
    message->x[3] = 0;
    return answer(message, 0, 0, 0, 0);
}

bool store(struct smccc_regs *message)
{
    uint64_t handle = handle_in(message, 4);
    struct retrieved found = retrieve_any(handle, client_of(message));

    if (found.status)
        return nothing(message);
    mmio_write32(found.address, SP_STORED);
    if (relinquish(handle, 0))
        return nothing(message);
    return answer(message, (uint32_t)handle + SP_STORE_ADDS, SP_STORED, 0, 0);
}
