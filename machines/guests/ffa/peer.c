#include "actor.h"

#include "arch.h"

#define RETAIN_RX 1U

/* Answer one message and wait for the next. */
static struct smccc_regs answer(struct smccc_regs message)
{
    uint64_t ids = ffa_ids((uint16_t)message.x[1], (uint16_t)(message.x[1] >> 16));
    struct smccc_regs response = {{0, ids}};
    uint64_t words[WORDS];

    if (message.x[0] == FFA_MSG_SEND_DIRECT_REQ2) {
        for (unsigned i = 0; i < WORDS; i++)
            words[i] = message.x[4 + i];
        local_do(words);
        response.x[0] = FFA_MSG_SEND_DIRECT_RESP2;
        for (unsigned i = 0; i < WORDS; i++)
            response.x[4 + i] = words[i];
        return ffa_call_regs(response);
    }
    response.x[0] = message.x[0] == FFA_MSG_SEND_DIRECT_REQ_64 ? FFA_MSG_SEND_DIRECT_RESP_64 : FFA_MSG_SEND_DIRECT_RESP_32;
    for (unsigned i = 3; i < 8; i++)
        response.x[i] = message.x[i] + 1;
    return ffa_call_regs(response);
}

static struct smccc_regs wait(void)
{
    return ffa_call(FFA_MSG_WAIT, 0, RETAIN_RX, 0, 0, 0);
}

_Noreturn void serve(void)
{
    struct smccc_regs message = wait();

    for (;;) {
        switch (message.x[0]) {
        case FFA_MSG_SEND_DIRECT_REQ_32:
        case FFA_MSG_SEND_DIRECT_REQ_64:
        case FFA_MSG_SEND_DIRECT_REQ2:
            message = answer(message);
            break;
        case FFA_RUN:
            /* Half of the runs end with a yield, to be run again. */
            if (statistics.runs++ % 2)
                ffa_call(FFA_YIELD, 0, 0, 0, 0, 0);
            message = wait();
            break;
        default:
            statistics.interrupts++;
            local_window();
            message = wait();
        }
    }
}

_Noreturn void serve_alone(void)
{
    ffa_call(FFA_RXTX_MAP_64, (uint64_t)(uintptr_t)tx, (uint64_t)(uintptr_t)rx, 1, 0, 0);
    serve();
}
