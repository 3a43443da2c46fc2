#include "hypercall.h"
#include "partition.h"
#include "print.h"

/* Flags of NOTIFICATION_GET, and the SPMC's notification of a full RX buffer. */
#define FROM_PARTITIONS 1U
#define FROM_VMS 2U
#define FROM_SPMC 4U
#define RX_FULL 1U

struct news news;
struct inbox inbox;

void news_init(void)
{
    struct smccc_regs regs = ffa_call(FFA_FEATURES, FFA_FEATURE_NPI, 0, 0, 0, 0);

    if (ffa_status(&regs) == FFA_OK)
        interrupt_enable((unsigned)regs.x[2], false);
}

/* The header of v1.2: payload offset at 8, sender and receiver at 12. */
static void take_message(void)
{
    inbox.count++;
    inbox.sender = (uint16_t)(rx[1] >> 48);
    inbox.payload = rx[(uint32_t)rx[1] / 8];
    ffa_call(FFA_RX_RELEASE, 0, 0, 0, 0, 0);
    print("[%s] 0x%04x writes 0x%lx\n", partition.name, inbox.sender, inbox.payload);
}

int32_t collect(void)
{
    struct smccc_regs regs =
        ffa_call(FFA_NOTIFICATION_GET, own_id, FROM_PARTITIONS | FROM_VMS | FROM_SPMC, 0, 0, 0);

    if (ffa_status(&regs) != FFA_OK)
        return ffa_status(&regs);
    news.from_partitions |= regs.x[2];
    news.from_vms |= regs.x[4];
    news.framework |= regs.x[6];
    if (regs.x[2] | regs.x[4])
        print("[%s] notified: 0x%lx\n", partition.name, regs.x[2] | regs.x[4]);
    if (regs.x[6] & RX_FULL)
        take_message();
    return FFA_OK;
}
