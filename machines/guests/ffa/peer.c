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

/* Do the command in the payload from `first` on, and put the answer there. */
static void obey(struct smccc_regs *message, unsigned first, unsigned count)
{
    uint64_t words[WORDS] = {0};

    for (unsigned i = 0; i < count; i++)
        words[i] = message->x[first + i];
    words[0] &= 0xffffffff;
    local_do(words);
    for (unsigned i = 0; i < count; i++)
        message->x[first + i] = words[i];
}

/* Answer one message and wait for the next. */
static struct smccc_regs answer(struct smccc_regs message)
{
    struct smccc_regs response = message;

    response.x[1] = ffa_ids((uint16_t)message.x[1], (uint16_t)(message.x[1] >> 16));
    if (message.x[0] == FFA_MSG_SEND_DIRECT_REQ2) {
        response.x[0] = FFA_MSG_SEND_DIRECT_RESP2;
        obey(&response, 4, WORDS);
        return ffa_call_regs(response);
    }
    response.x[0] = message.x[0] == FFA_MSG_SEND_DIRECT_REQ_64 ? FFA_MSG_SEND_DIRECT_RESP_64 : FFA_MSG_SEND_DIRECT_RESP_32;
    if (message.x[3] >> 32 == COMMAND) {
        obey(&response, 3, NARROW_WORDS);
        return ffa_call_regs(response);
    }
    grant(&response);
    for (unsigned i = 3; i < 8; i++)
        response.x[i]++;
    return ffa_call_regs(response);
}

static struct smccc_regs wait(uint32_t version)
{
    return ffa_call(FFA_MSG_WAIT, 0, version < FFA_V1_2 ? 0 : RETAIN_RX, 0, 0, 0);
}

_Noreturn void serve(uint32_t version)
{
    struct smccc_regs message = wait(version);

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
            message = wait(version);
            break;
        default:
            statistics.interrupts++;
            local_window();
            message = wait(version);
        }
    }
}

_Noreturn void serve_alone(uint32_t version)
{
    ffa_call(FFA_RXTX_MAP_64, (uint64_t)(uintptr_t)tx, (uint64_t)(uintptr_t)rx, 1, 0, 0);
    serve(version);
}
