#include "client.h"

struct ffa_region region;

static __attribute__((aligned(4096))) volatile uint32_t memory[PAGES][1024];

uint64_t page(unsigned number)
{
    return (uint64_t)(uintptr_t)memory[number];
}

uint32_t page_word(unsigned number)
{
    return memory[number][0];
}

void set_page_word(unsigned number, uint32_t word)
{
    memory[number][0] = word;
}

void describe(uint16_t receiver, uint8_t permissions, uint64_t address, uint32_t pages)
{
    region = (struct ffa_region){.version = FFA_V1_2, .sender = own_id, .attributes = FFA_NORMAL_WB_ISH, .receivers = 1};
    region.receiver[0] = (struct ffa_receiver){receiver, permissions, 0};
    region.ranges = 1;
    region.range[0] = (struct ffa_range){address, pages};
}

void also(uint16_t receiver, uint8_t permissions)
{
    region.receiver[region.receivers++] = (struct ffa_receiver){receiver, permissions, 0};
}

struct smccc_regs send(uint32_t function)
{
    uint32_t size;

    if (function != FFA_MEM_SHARE_32 && region.receivers == 1)
        region.attributes = 0;
    size = ffa_pack_region(tx, &region);
    return call(function, size, size, 0, 0);
}

uint64_t handle_of(struct smccc_regs regs)
{
    return ffa_status(&regs) == FFA_OK ? (regs.x[2] & 0xffffffff) | regs.x[3] << 32 : ~0UL;
}

uint64_t share(uint16_t receiver, unsigned number)
{
    describe(receiver, FFA_RW, page(number), 1);
    return handle_of(send(FFA_MEM_SHARE_32));
}

uint64_t lend(uint16_t receiver, unsigned number)
{
    describe(receiver, FFA_RW, page(number), 1);
    return handle_of(send(FFA_MEM_LEND_32));
}

struct smccc_regs reclaim(uint64_t handle, uint32_t flags)
{
    return call(FFA_MEM_RECLAIM, handle & 0xffffffff, handle >> 32, flags, 0);
}

uint64_t retrieve(uint16_t partition, uint64_t handle, uint8_t permissions, uint32_t flags)
{
    return answered(partition, SP_RETRIEVE, handle & 0xffffffff, handle >> 32, (uint32_t)permissions << 16 | own_id, flags);
}

uint64_t relinquish(uint16_t partition, uint64_t handle, uint32_t flags)
{
    return answered(partition, SP_RELINQUISH, handle & 0xffffffff, handle >> 32, flags, 0);
}

void expect_blocked(uint64_t esr)
{
    expect(ESR_EC(esr) << 8 | ESR_FSC(esr), EC_DABT_SAME << 8 | FSC_EXTERNAL_ABORT);
}

uint64_t read_fault(uint16_t partition, uint64_t address)
{
    return answered(partition, SP_READ, address, 0, 0, 0);
}

uint64_t write_fault(uint16_t partition, uint64_t address, uint32_t word)
{
    return answered(partition, SP_WRITE, address, word, 0, 0);
}

uint64_t read_by(uint16_t partition, uint64_t address)
{
    struct smccc_regs regs = request(partition, SP_READ, address, 0, 0, 0);

    return regs.x[0] == FFA_MSG_SEND_DIRECT_RESP_32 && !regs.x[4] ? regs.x[5] : ~0UL;
}
