/* sp_hello: answers, works without end in sight, and shares a page of its own. */
#include "mmio.h"
#include "spin.h"
#include "store.h"

static uint64_t shared;

static bool share_page(struct smccc_regs *message)
{
    struct smccc_regs regs;

    mmio_write32(SP_HELLO_PAGE, SP_HELLO_WORD);
    regs = send(FFA_MEM_SHARE_32, (uint16_t)message->x[7], FFA_RW, SP_HELLO_PAGE, 1);
    if (ffa_status(&regs) != FFA_OK)
        return nothing(message);
    shared = regs.x[2] | regs.x[3] << 32;
    return answer(message, regs.x[2], regs.x[3], SP_HELLO_PAGE, message->x[7]);
}

static bool serve(struct smccc_regs *message)
{
    switch (message->x[3]) {
    case SP_WORK:
        spin(SP_WORK_ROUNDS);
        message->x[4] += SP_WORK_ADDS;
        return true;
    case SP_STORE:
        return store(message);
    case SP_SHARE_PAGE:
        return share_page(message);
    case SP_RECLAIM_PAGE:
        return answer(message, code(reclaim(shared, 0)), 0, 0, 0);
    default:
        return false;
    }
}

const struct partition partition = {.banner = "[SP] Hello from S-EL1!", .name = "SP1", .echo_adds = SP_ECHO_ADDS, .serve = serve};
