#include "scenario.h"

#define EXTERNAL_ABORT 0x10U

struct ffa_region region;
uint64_t packed[640];

void describe(uint16_t receiver, uint8_t permissions, uint64_t page, uint32_t pages)
{
    region.sender = CLIENT;
    region.attributes = FFA_NORMAL_WB_ISH;
    region.flags = 0;
    region.handle = 0;
    region.tag = 0x7a6;
    region.receivers = 1;
    region.receiver[0] = (struct ffa_receiver){receiver, permissions, 0};
    region.ranges = 1;
    region.range[0] = (struct ffa_range){page, pages};
    region.placed = 0;
    region.miscount = 0;
}

void also(uint16_t receiver, uint8_t permissions)
{
    region.receiver[region.receivers++] = (struct ffa_receiver){receiver, permissions, 0};
}

struct smccc_regs send(unsigned who, uint32_t function)
{
    uint32_t size;

    region.version = spoken[who];
    size = ffa_pack_region(packed, &region);
    write_tx(who, packed, size);
    return call_as(who, function, size, size, 0, 0);
}

uint64_t handle_of(struct smccc_regs regs)
{
    return regs.x[2] | regs.x[3] << 32;
}

void describe_request(uint16_t who, uint64_t handle, uint8_t permissions)
{
    describe(who, permissions, 0, 0);
    region.attributes = 0;
    region.ranges = 0;
    region.handle = handle;
}

struct smccc_regs retrieve(unsigned who, uint64_t handle, uint8_t permissions)
{
    struct smccc_regs regs;

    describe_request((uint16_t)who, handle, permissions);
    regs = send(who, FFA_MEM_RETRIEVE_REQ_32);
    if (ffa_status(&regs) == FFA_OK)
        call_as(who, FFA_RX_RELEASE, 0, 0, 0, 0);
    return regs;
}

struct smccc_regs relinquish(unsigned who, uint64_t handle, uint32_t flags)
{
    write_tx(who, packed, ffa_pack_relinquish(packed, handle, flags, (uint16_t)who));
    return call_as(who, FFA_MEM_RELINQUISH, 0, 0, 0, 0);
}

struct smccc_regs reclaim(unsigned who, uint64_t handle, uint32_t flags)
{
    return call_as(who, FFA_MEM_RECLAIM, handle & 0xffffffff, handle >> 32, flags, 0);
}

void blocked(const char *name, struct access access)
{
    check(name, access.faulted ? access.esr & 0x3f : 0, EXTERNAL_ABORT);
}

void works(const char *name, struct access access, uint64_t value)
{
    check(name, access.faulted ? ~0UL : access.value, value);
}
