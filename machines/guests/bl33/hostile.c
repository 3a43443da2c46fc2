/* Descriptors that are wrong in one place each: every one is refused, with its code, and changes nothing. */
#include "client.h"

#define VICTIM 20U
#define WORD 0x600d600dU

static void good(void)
{
    describe(SP_HELLO, FFA_RW, page(VICTIM), 1);
}

static void share_refused(int32_t status)
{
    expect_code(send(FFA_MEM_SHARE_32), status);
    good();
}

static void receivers(void)
{
    good();
    region.receiver[0].id = NOBODY;
    share_refused(FFA_INVALID_PARAMETERS);
    region.receiver[0].id = FFA_SPMC;
    share_refused(FFA_INVALID_PARAMETERS);
    region.receiver[0].id = own_id;
    share_refused(FFA_INVALID_PARAMETERS);
    also(SP_HELLO, FFA_RO);
    share_refused(FFA_INVALID_PARAMETERS);
    region.receivers = 0;
    share_refused(FFA_INVALID_PARAMETERS);
    region.sender = SP_IRQ;
    share_refused(FFA_DENIED);
    also(SP_IRQ, FFA_RW);
    region.receiver[0].permissions = region.receiver[1].permissions = 0;
    expect_code(send(FFA_MEM_DONATE_32), FFA_INVALID_PARAMETERS);
}

static void permissions_and_flags(void)
{
    good();
    region.receiver[0].permissions = 0;
    share_refused(FFA_INVALID_PARAMETERS);
    region.receiver[0].permissions = FFA_RO | FFA_RW;
    share_refused(FFA_INVALID_PARAMETERS);
    region.receiver[0].permissions = FFA_RW | FFA_X;
    share_refused(FFA_INVALID_PARAMETERS);
    region.receiver[0].permissions = FFA_RW | FFA_NX;
    share_refused(FFA_INVALID_PARAMETERS);
    region.receiver[0].flags = 1;
    share_refused(FFA_INVALID_PARAMETERS);
    region.flags = FFA_ZERO;
    share_refused(FFA_INVALID_PARAMETERS);
    region.flags = 1U << 31;
    share_refused(FFA_INVALID_PARAMETERS);
    region.handle = 1;
    share_refused(FFA_INVALID_PARAMETERS);
    region.attributes = 0x6f;
    share_refused(FFA_INVALID_PARAMETERS);
    region.attributes = 0x10;
    share_refused(FFA_DENIED);
    expect_code(send(FFA_MEM_DONATE_32), FFA_INVALID_PARAMETERS);
}

static void addresses(void)
{
    good();
    region.range[0].address += 8;
    share_refused(FFA_INVALID_PARAMETERS);
    region.range[0].pages = 0;
    share_refused(FFA_INVALID_PARAMETERS);
    region.range[0].pages = 0xffffffff;
    share_refused(FFA_INVALID_PARAMETERS);
    region.range[0] = (struct ffa_range){0xfffffffffffff000, 2};
    share_refused(FFA_INVALID_PARAMETERS);
    region.range[0].address = ELSEWHERE;
    share_refused(FFA_INVALID_PARAMETERS);
    region.range[region.ranges++] = (struct ffa_range){ELSEWHERE, 1};
    share_refused(FFA_INVALID_PARAMETERS);
    region.range[region.ranges++] = (struct ffa_range){page(VICTIM), 1};
    share_refused(FFA_INVALID_PARAMETERS);
    region.miscount = 1;
    share_refused(FFA_INVALID_PARAMETERS);
    region.ranges = 0;
    share_refused(FFA_INVALID_PARAMETERS);
    region.range[0].address = (uintptr_t)rx;
    share_refused(FFA_DENIED);
}

static void secure_addresses(void)
{
    static const uint64_t secure[] = {0x0e000000, SPMC_MEMORY, PARTITION_MEMORY, SP_HELLO_PAGE, 0x0efff000};
    static const uint32_t functions[] = {FFA_MEM_SHARE_32, FFA_MEM_LEND_32, FFA_MEM_DONATE_32};

    for (unsigned i = 0; i < ARRAY_SIZE(secure); i++)
        for (unsigned f = 0; f < ARRAY_SIZE(functions); f++) {
            describe(SP_HELLO, functions[f] == FFA_MEM_DONATE_32 ? 0 : FFA_RW, secure[i], 1);
            expect_code(send(functions[f]), FFA_INVALID_PARAMETERS);
        }
    good();
    region.range[region.ranges++] = (struct ffa_range){PARTITION_MEMORY, 1};
    share_refused(FFA_INVALID_PARAMETERS);
    region.range[0].address = 0x09000000;
    share_refused(FFA_INVALID_PARAMETERS);
}

static struct smccc_regs share_of(uint64_t total, uint64_t fragment, uint64_t address, uint64_t pages)
{
    return call(FFA_MEM_SHARE_32, total, fragment, address, pages);
}

/* Words of the descriptor: 3 entry size and count, 4 offset of the entries, 6 the first entry. */
static void spoil(unsigned word, uint64_t value)
{
    uint32_t size;

    good();
    size = ffa_pack_region(tx, &region);
    tx[word] = value;
    expect_code(share_of(size, size, 0, 0), FFA_INVALID_PARAMETERS);
}

static void lengths(void)
{
    uint32_t size;

    good();
    size = ffa_pack_region(tx, &region);
    expect_code(share_of(0, 0, 0, 0), FFA_INVALID_PARAMETERS);
    expect_code(share_of(16, 16, 0, 0), FFA_INVALID_PARAMETERS);
    expect_code(share_of(size - 16, size - 16, 0, 0), FFA_INVALID_PARAMETERS);
    expect_code(share_of(size, size + 16, 0, 0), FFA_INVALID_PARAMETERS);
    expect_code(share_of(8192, 8192, 0, 0), FFA_INVALID_PARAMETERS);
    expect_code(share_of(size, size, page(VICTIM), 1), FFA_INVALID_PARAMETERS);
    spoil(3, 0x1000000000 | 8);
    spoil(3, 0xffffffffUL << 32 | 32);
    spoil(4, 0xfffffff0);
    spoil(4, 0);
    spoil(6, (uint64_t)0xfffffff0 << 32 | FFA_RW << 16 | SP_HELLO);
    spoil(6, (uint64_t)8 << 32 | FFA_RW << 16 | SP_HELLO);
    /* The composite: 10 page and range counts. */
    spoil(10, 0xffffffffUL << 32 | 1);
}

static void nothing_changed(void)
{
    uint64_t handle;

    set_page_word(VICTIM, WORD);
    expect(probe_write(page(VICTIM), WORD).esr, 0);
    expect_blocked(read_fault(SP_HELLO, page(VICTIM)));
    handle = share(SP_HELLO, VICTIM);
    expect(handle != ~0UL, true);
    good();
    expect_code(send(FFA_MEM_SHARE_32), FFA_DENIED);
    expect_code(send(FFA_MEM_LEND_32), FFA_DENIED);
    expect(retrieve(SP_HELLO, handle, FFA_RW, 0), FFA_OK);
    expect(read_by(SP_HELLO, page(VICTIM)), WORD);
    expect(relinquish(SP_HELLO, handle, 0), FFA_OK);
    expect_code(reclaim(handle, 0), FFA_OK);
}

void hostile_tests(void)
{
    test("Descriptors with wrong receivers", receivers);
    test("Descriptors with wrong permissions and flags", permissions_and_flags);
    test("Descriptors with wrong addresses", addresses);
    test("Descriptors of secure memory and devices", secure_addresses);
    test("Descriptors of wrong lengths and offsets", lengths);
    test("Refused descriptors change nothing", nothing_changed);
}
