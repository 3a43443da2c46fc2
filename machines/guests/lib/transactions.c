#include "transactions.h"

/* Where a memory transaction descriptor keeps these (DEN0140 v1.2). */
#define ENTRIES_AT 32U
#define ENTRY_COMPOSITE_AT 4U
#define COMPOSITE_RANGES_AT 4U
#define RANGES_AT 16U

static struct ffa_region region;

static uint64_t double_word(unsigned offset)
{
    return rx[offset / 8];
}

static uint32_t word(unsigned offset)
{
    return (uint32_t)(double_word(offset) >> offset % 8 * 8);
}

static void describe(uint16_t owner, uint16_t receiver, uint8_t permissions)
{
    region = (struct ffa_region){.version = FFA_V1_2, .sender = owner, .receivers = 1};
    region.receiver[0] = (struct ffa_receiver){receiver, permissions, 0};
}

/* The rest of a descriptor that is longer than the buffer; it is only about more ranges. */
static int32_t fetch_rest(uint64_t handle, uint64_t got, uint64_t total)
{
    while (got < total) {
        struct smccc_regs regs = ffa_call(FFA_MEM_FRAG_RX, handle & 0xffffffff, handle >> 32, got, 0, 0);

        if (regs.x[0] != FFA_MEM_FRAG_TX)
            return ffa_status(&regs);
        got += regs.x[3];
        ffa_call(FFA_RX_RELEASE, 0, 0, 0, 0, 0);
    }
    return FFA_OK;
}

struct retrieved retrieve(uint64_t handle, uint16_t owner, uint8_t permissions, uint32_t flags)
{
    struct retrieved found = {0};
    struct smccc_regs regs;
    uint32_t composite, size;

    describe(owner, own_id, permissions);
    region.handle = handle;
    region.flags = flags;
    size = ffa_pack_region(tx, &region);
    regs = ffa_call(FFA_MEM_RETRIEVE_REQ_32, size, size, 0, 0, 0);
    found.status = ffa_status(&regs);
    if (found.status)
        return found;
    composite = word(word(ENTRIES_AT) + ENTRY_COMPOSITE_AT);
    found.pages = word(composite);
    found.ranges = word(composite + COMPOSITE_RANGES_AT);
    found.address = double_word(composite + RANGES_AT);
    ffa_call(FFA_RX_RELEASE, 0, 0, 0, 0, 0);
    found.status = fetch_rest(handle, regs.x[2], regs.x[1]);
    return found;
}

struct retrieved retrieve_any(uint64_t handle, uint16_t owner)
{
    struct retrieved found = retrieve(handle, owner, FFA_RW, 0);

    /* Memory lent or donated to one wants instruction access named. */
    if (found.status == FFA_INVALID_PARAMETERS)
        found = retrieve(handle, owner, FFA_RW | FFA_NX, 0);
    return found;
}

int32_t relinquish(uint64_t handle, uint32_t flags)
{
    struct smccc_regs regs;

    ffa_pack_relinquish(tx, handle, flags, own_id);
    regs = ffa_call(FFA_MEM_RELINQUISH, 0, 0, 0, 0, 0);
    return ffa_status(&regs);
}

int32_t reclaim(uint64_t handle, uint32_t flags)
{
    struct smccc_regs regs = ffa_call(FFA_MEM_RECLAIM, handle & 0xffffffff, handle >> 32, flags, 0, 0);

    return ffa_status(&regs);
}

struct smccc_regs send(uint32_t function, uint16_t receiver, uint8_t permissions, uint64_t address, uint32_t pages)
{
    uint32_t size;

    describe(own_id, receiver, permissions);
    /* What is lent or donated to one gets its memory type from the receiver. */
    region.attributes = function == FFA_MEM_SHARE_32 ? FFA_NORMAL_WB_ISH : 0;
    region.ranges = 1;
    region.range[0] = (struct ffa_range){address, pages};
    size = ffa_pack_region(tx, &region);
    return ffa_call(function, size, size, 0, 0, 0);
}
