#include "client.h"

#define MOST_RUNS 100U

struct preemptions preemptions;

struct smccc_regs call(uint32_t function, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4)
{
    return ffa_call(function, x1, x2, x3, x4, 0);
}

static struct smccc_regs direct(uint32_t function, uint16_t receiver, uint64_t x3, uint64_t x4, uint64_t x5, uint64_t x6,
                                uint64_t x7)
{
    return ffa_call_regs((struct smccc_regs){{function, ffa_ids(own_id, receiver), 0, x3, x4, x5, x6, x7}});
}

struct smccc_regs request(uint16_t receiver, uint64_t x3, uint64_t x4, uint64_t x5, uint64_t x6, uint64_t x7)
{
    return direct(FFA_MSG_SEND_DIRECT_REQ_32, receiver, x3, x4, x5, x6, x7);
}

struct smccc_regs request_64(uint16_t receiver, uint64_t x3, uint64_t x4, uint64_t x5, uint64_t x6, uint64_t x7)
{
    return direct(FFA_MSG_SEND_DIRECT_REQ_64, receiver, x3, x4, x5, x6, x7);
}

struct smccc_regs run(uint16_t partition)
{
    return call(FFA_RUN, ffa_ids(partition, 0), 0, 0, 0);
}

struct smccc_regs run_on(struct smccc_regs regs, unsigned most)
{
    preemptions = (struct preemptions){0};
    while (regs.x[0] == FFA_INTERRUPT && preemptions.count < most) {
        unsigned which = (unsigned)(regs.x[1] >> 16) - SP_HELLO;

        preemptions.count++;
        if (which < ARRAY_SIZE(preemptions.of))
            preemptions.of[which]++;
        take_interrupts();
        regs = call(FFA_RUN, regs.x[1], 0, 0, 0);
    }
    return regs;
}

uint64_t answered(uint16_t receiver, uint64_t x3, uint64_t x4, uint64_t x5, uint64_t x6, uint64_t x7)
{
    struct smccc_regs regs = run_on(request(receiver, x3, x4, x5, x6, x7), MOST_RUNS);

    return regs.x[0] == FFA_MSG_SEND_DIRECT_RESP_32 ? regs.x[4] : ~0UL;
}
