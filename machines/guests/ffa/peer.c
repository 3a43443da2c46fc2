#include "actor.h"

#include "arch.h"

#define RETAIN_RX 1U

static void spin(uint64_t rounds)
{
    __asm__ volatile("1: subs %0, %0, #1\n   b.ne 1b\n" : "+r"(rounds) : : "cc");
}

/* Do what a narrow request wishes; the answer is made of what is in `message` then. */
static void grant(struct smccc_regs *message)
{
    struct smccc_regs regs;

    statistics.served++;
    if (message->x[3] == SPIN) {
        spin(message->x[4]);
    } else if (message->x[3] == GIVE_WAY) {
        regs = ffa_call(FFA_YIELD, 0, message->x[4], message->x[5], 0, 0);
        if (regs.x[0] != FFA_SUCCESS_32)
            message->x[3] = 0;
    } else if (message->x[3] == PASS_ON) {
        regs = ffa_call(FFA_MSG_SEND_DIRECT_REQ_64, message->x[4], 0, SPIN, message->x[5], 0);
        message->x[5] = regs.x[4];
    }
}

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
    grant(&message);
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
