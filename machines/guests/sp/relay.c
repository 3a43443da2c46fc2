/* sp_relay: passes requests on to other partitions. */
#include "partition.h"

static bool serve(struct smccc_regs *message)
{
    uint64_t *x = message->x;
    struct smccc_regs regs;

    if (x[3] != SP_RELAY_TO)
        return false;
    regs = ask((struct smccc_regs){
        {FFA_MSG_SEND_DIRECT_REQ_32, ffa_ids(own_id, (uint16_t)x[4]), 0, 0, x[5], x[6], x[7]}});
    if (ffa_status(&regs) != FFA_OK)
        return answer(message, code(ffa_status(&regs)), x[5], x[6], x[7]);
    x[3] = regs.x[3];
    return answer(message, regs.x[4], regs.x[5], regs.x[6], regs.x[7]);
}

const struct partition partition = {.banner = "[SP3] Hello from S-EL1 (sp_relay)", .name = "SP3", .echo_adds = SP_RELAY_ADDS, .serve = serve};
