#include "ffa.h"

#define COMPOSITE_SIZE 16U
#define RANGE_SIZE 16U

static bool use_smc;

void ffa_use_smc(bool smc)
{
    use_smc = smc;
}

struct smccc_regs ffa_call_regs(struct smccc_regs regs)
{
    if (use_smc)
        smccc_smc(&regs);
    else
        smccc_hvc(&regs);
    return regs;
}

struct smccc_regs ffa_call(uint32_t function, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4, uint64_t x5)
{
    return ffa_call_regs((struct smccc_regs){{function, x1, x2, x3, x4, x5}});
}

int32_t ffa_status(const struct smccc_regs *regs)
{
    return regs->x[0] == FFA_ERROR ? (int32_t)regs->x[2] : FFA_OK;
}

static void put(uint8_t *at, uint64_t value, unsigned size)
{
    for (; size--; value >>= 8)
        *at++ = (uint8_t)value;
}

static uint32_t entry_size(uint32_t version)
{
    return version < FFA_V1_2 ? 16 : 32;
}

static void put_entry(uint8_t *at, uint32_t version, const struct ffa_receiver *receiver, uint32_t composite)
{
    put(at, receiver->id, 2);
    put(at + 2, receiver->permissions, 1);
    put(at + 3, receiver->flags, 1);
    put(at + 4, composite, 4);
    for (uint32_t offset = 8; offset < entry_size(version); offset += 8)
        put(at + offset, 0, 8);
}

static uint32_t put_composite(uint8_t *at, const struct ffa_region *region)
{
    uint32_t pages = region->miscount;

    for (unsigned i = 0; i < region->ranges; i++) {
        uint8_t *range = at + COMPOSITE_SIZE + i * RANGE_SIZE;

        pages += region->range[i].pages;
        put(range, region->range[i].address, 8);
        put(range + 8, region->range[i].pages, 4);
        put(range + 12, 0, 4);
    }
    put(at, pages, 4);
    put(at + 4, region->ranges, 4);
    put(at + 8, 0, 8);
    return COMPOSITE_SIZE + region->ranges * RANGE_SIZE;
}

/* Bytes written. v1.0 has 8 bits of attributes and 8 reserved ones where later versions have 16. */
static uint32_t put_header(uint8_t *at, const struct ffa_region *region)
{
    put(at, region->sender, 2);
    put(at + 2, region->attributes, 2);
    put(at + 4, region->flags, 4);
    put(at + 8, region->handle, 8);
    put(at + 16, region->tag, 8);
    put(at + 24, region->version < FFA_V1_1 ? 0 : entry_size(region->version), 4);
    put(at + 28, region->receivers, 4);
    if (region->version < FFA_V1_1)
        return 32;
    put(at + 32, 48, 4);
    put(at + 36, 0, 8);
    put(at + 44, 0, 4);
    return 48;
}

uint32_t ffa_pack_region(void *buffer, const struct ffa_region *region)
{
    uint8_t *at = buffer;
    uint32_t start = put_header(at, region), end = start + region->receivers * entry_size(region->version);

    for (unsigned i = 0; i < region->receivers; i++) {
        const struct ffa_receiver *receiver = &region->receiver[i];
        bool placed = region->ranges && (!region->placed || region->placed == receiver->id);

        put_entry(at + start + i * entry_size(region->version), region->version, receiver, placed ? end : 0);
    }
    return region->ranges ? end + put_composite(at + end, region) : end;
}

uint32_t ffa_pack_relinquish(void *buffer, uint64_t handle, uint32_t flags, uint16_t endpoint)
{
    uint8_t *at = buffer;

    put(at, handle, 8);
    put(at + 8, flags, 4);
    put(at + 12, 1, 4);
    put(at + 16, endpoint, 8);
    return 24;
}

uint32_t ffa_pack_message(void *buffer, uint32_t version, uint16_t sender, uint16_t receiver, uint64_t payload)
{
    uint8_t *at = buffer;
    uint32_t header = version < FFA_V1_2 ? 20 : 40;

    put(at, 0, 8);
    put(at + 8, header, 4);
    put(at + 12, ffa_ids(sender, receiver), 4);
    put(at + 16, 8, 4);
    for (uint32_t offset = 20; offset < header; offset += 4)
        put(at + offset, 0, 4);
    put(at + header, payload, 8);
    return header + 8;
}
