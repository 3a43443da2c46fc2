/* Memory transactions with the partitions and between them, and what each side can touch in every step. */
#include "client.h"

#define FIRST_PAGE 10U
/* Every second page from here, so that no two ranges join; their descriptor is longer than one buffer. */
#define SPREAD_PAGE 100U
#define SPREAD_RANGES FFA_MAX_RANGES
#define TRANSACTIONS 16U
#define WORD 0x12345678U
#define OTHER_WORD 0x9abcdef0U
/* Pages of sp_hello's and sp_relay's own that their programs do not use. */
#define HELLO_SPARE 0x0e3e0000U

static uint64_t packed[640];

static void unreachable(uint16_t partition, uint64_t address)
{
    expect_blocked(read_fault(partition, address));
    expect_blocked(write_fault(partition, address, 1));
}

/* A partition has its own memory, its device, and nothing else. */
static void partitions_are_confined(void)
{
    set_page_word(FIRST_PAGE, WORD);
    unreachable(SP_HELLO, page(FIRST_PAGE));
    unreachable(SP_HELLO, 0x0e400000);
    unreachable(SP_HELLO, SPMC_MEMORY);
    unreachable(SP_IRQ, SP_HELLO_PAGE);
    unreachable(SP_RELAY, 0x08000000);
    unreachable(SP_RELAY, 0);
    expect(page_word(FIRST_PAGE), WORD);
}

static void shared(void)
{
    uint64_t address = page(FIRST_PAGE), handle;

    set_page_word(FIRST_PAGE, WORD);
    handle = share(SP_HELLO, FIRST_PAGE);
    expect(handle != ~0UL, true);
    expect_blocked(read_fault(SP_HELLO, address));
    expect(retrieve(SP_HELLO, handle, FFA_RW, 0), FFA_OK);
    expect(read_by(SP_HELLO, address), WORD);
    expect(write_fault(SP_HELLO, address, OTHER_WORD), 0);
    expect(page_word(FIRST_PAGE), OTHER_WORD);
    /* What the owner may do meanwhile is the hypervisor's policy; without one nobody translates for it. */
    expect(probe_write(address, WORD).esr != 0, !owns_el2);
    expect_code(reclaim(handle, 0), FFA_DENIED);
    expect(relinquish(SP_HELLO, handle, 0), FFA_OK);
    expect_blocked(read_fault(SP_HELLO, address));
    expect_code(reclaim(handle, 0), FFA_OK);
    expect(probe_write(address, WORD).esr, 0);
    expect_code(reclaim(handle, 0), FFA_INVALID_PARAMETERS);
    expect(retrieve(SP_HELLO, handle, FFA_RW, 0), code(FFA_INVALID_PARAMETERS));
}

static void shared_read_only(void)
{
    uint64_t address = page(FIRST_PAGE), handle;

    set_page_word(FIRST_PAGE, WORD);
    describe(SP_IRQ, FFA_RO, address, 1);
    handle = handle_of(send(FFA_MEM_SHARE_32));
    expect(retrieve(SP_IRQ, handle, FFA_RW, 0), code(FFA_DENIED));
    expect(retrieve(SP_IRQ, handle, FFA_RO, 0), FFA_OK);
    expect(read_by(SP_IRQ, address), WORD);
    expect_blocked(write_fault(SP_IRQ, address, OTHER_WORD));
    expect(page_word(FIRST_PAGE), WORD);
    expect(relinquish(SP_IRQ, handle, 0), FFA_OK);
    expect_code(reclaim(handle, 0), FFA_OK);
}

static void lent(void)
{
    uint64_t address = page(FIRST_PAGE), handle;

    set_page_word(FIRST_PAGE, WORD);
    handle = lend(SP_IRQ, FIRST_PAGE);
    if (!owns_el2) {
        expect_blocked(probe_read(address).esr);
        expect_blocked(probe_write(address, 1).esr);
    }
    expect(retrieve(SP_IRQ, handle, FFA_RW, 0), code(FFA_INVALID_PARAMETERS));
    expect(retrieve(SP_IRQ, handle, FFA_RW | FFA_X, 0), code(FFA_INVALID_PARAMETERS));
    expect(retrieve(SP_IRQ, handle, FFA_RW | FFA_NX, 0), FFA_OK);
    expect(read_by(SP_IRQ, address), WORD);
    expect(write_fault(SP_IRQ, address, OTHER_WORD), 0);
    expect_code(reclaim(handle, 0), FFA_DENIED);
    expect(relinquish(SP_IRQ, handle, 0), FFA_OK);
    expect_code(reclaim(handle, 0), FFA_OK);
    expect(page_word(FIRST_PAGE), OTHER_WORD);
}

static void cleared(void)
{
    uint64_t address = page(FIRST_PAGE), handle;

    set_page_word(FIRST_PAGE, WORD);
    describe(SP_HELLO, FFA_RW, address, 1);
    region.flags = FFA_ZERO;
    handle = handle_of(send(FFA_MEM_LEND_32));
    expect(retrieve(SP_HELLO, handle, FFA_RW | FFA_NX, FFA_ZERO), FFA_OK);
    expect(read_by(SP_HELLO, address), 0);
    expect(write_fault(SP_HELLO, address, WORD), 0);
    expect(relinquish(SP_HELLO, handle, FFA_ZERO), FFA_OK);
    expect_code(reclaim(handle, 0), FFA_OK);
    expect(page_word(FIRST_PAGE), 0);
    handle = lend(SP_HELLO, FIRST_PAGE);
    expect(retrieve(SP_HELLO, handle, FFA_RW | FFA_NX, FFA_ZERO), code(FFA_DENIED));
    expect(retrieve(SP_HELLO, handle, FFA_RW | FFA_NX, 0), FFA_OK);
    expect(write_fault(SP_HELLO, address, WORD), 0);
    expect(relinquish(SP_HELLO, handle, 0), FFA_OK);
    expect_code(reclaim(handle, FFA_ZERO), FFA_OK);
    expect(page_word(FIRST_PAGE), 0);
}

/* A page that is given away stays away: partitions do not send to the normal world. */
static void donated(void)
{
    uint64_t address = page(FIRST_PAGE + 1), handle;

    set_page_word(FIRST_PAGE + 1, WORD);
    describe(SP_RELAY, 0, address, 1);
    handle = handle_of(send(FFA_MEM_DONATE_32));
    expect(handle != ~0UL, true);
    if (!owns_el2)
        expect_blocked(probe_read(address).esr);
    expect(retrieve(SP_RELAY, handle, FFA_RW | FFA_NX, 0), FFA_OK);
    expect(read_by(SP_RELAY, address), WORD);
    expect(write_fault(SP_RELAY, address, OTHER_WORD), 0);
    expect_code(reclaim(handle, 0), FFA_INVALID_PARAMETERS);
    expect(relinquish(SP_RELAY, handle, 0), code(FFA_INVALID_PARAMETERS));
    describe(SP_HELLO, FFA_RW, address, 1);
    expect_code(send(FFA_MEM_SHARE_32), FFA_DENIED);
    expect(answered(SP_RELAY, SP_SEND, (uint64_t)(uint8_t)FFA_MEM_DONATE_32 << 24 | own_id, address, 1, 0), code(FFA_DENIED));
    expect(read_by(SP_RELAY, address), OTHER_WORD);
}

static void two_borrowers(void)
{
    uint64_t address = page(FIRST_PAGE), handle;

    set_page_word(FIRST_PAGE, WORD);
    describe(SP_HELLO, FFA_RW, address, 1);
    also(SP_IRQ, FFA_RO);
    handle = handle_of(send(FFA_MEM_SHARE_32));
    expect(retrieve(SP_HELLO, handle, FFA_RW, 0), code(FFA_INVALID_PARAMETERS));
    expect(retrieve(SP_HELLO, handle, FFA_RW, FFA_BYPASS), FFA_OK);
    expect(retrieve(SP_IRQ, handle, FFA_RW, FFA_BYPASS), code(FFA_DENIED));
    expect(retrieve(SP_IRQ, handle, FFA_RO, FFA_BYPASS), FFA_OK);
    expect(retrieve(SP_RELAY, handle, FFA_RO, FFA_BYPASS), code(FFA_INVALID_PARAMETERS));
    expect(write_fault(SP_HELLO, address, OTHER_WORD), 0);
    expect(read_by(SP_IRQ, address), OTHER_WORD);
    expect_blocked(write_fault(SP_IRQ, address, 1));
    expect(relinquish(SP_HELLO, handle, 0), FFA_OK);
    expect_code(reclaim(handle, 0), FFA_DENIED);
    expect(read_by(SP_IRQ, address), OTHER_WORD);
    expect(relinquish(SP_IRQ, handle, 0), FFA_OK);
    expect_code(reclaim(handle, 0), FFA_OK);
}

static void retrieve_errors(void)
{
    uint64_t handle = share(SP_HELLO, FIRST_PAGE);

    expect(retrieve(SP_IRQ, handle, FFA_RW, 0), code(FFA_INVALID_PARAMETERS));
    expect(retrieve(SP_HELLO, handle + 1, FFA_RW, 0), code(FFA_INVALID_PARAMETERS));
    expect(retrieve(SP_HELLO, handle, FFA_RW | FFA_NX, 0), code(FFA_INVALID_PARAMETERS));
    expect(retrieve(SP_HELLO, handle, FFA_RW, FFA_ZERO), code(FFA_INVALID_PARAMETERS));
    expect(retrieve(SP_HELLO, handle, FFA_RW, FFA_BYPASS), code(FFA_INVALID_PARAMETERS));
    expect(relinquish(SP_HELLO, handle, 0), code(FFA_INVALID_PARAMETERS));
    /* In x6 is the owner: another partition is not. */
    expect(answered(SP_HELLO, SP_RETRIEVE, handle & 0xffffffff, handle >> 32, FFA_RW << 16 | SP_IRQ, 0), code(FFA_DENIED));
    expect(retrieve(SP_HELLO, handle, FFA_RW, 0), FFA_OK);
    expect(retrieve(SP_HELLO, handle, FFA_RW, 0), code(FFA_DENIED));
    expect(relinquish(SP_IRQ, handle, 0), code(FFA_INVALID_PARAMETERS));
    expect(relinquish(SP_HELLO, handle, FFA_ZERO), code(FFA_INVALID_PARAMETERS));
    expect(relinquish(SP_HELLO, handle, 0), FFA_OK);
    expect(relinquish(SP_HELLO, handle, 0), code(FFA_INVALID_PARAMETERS));
    expect(answered(SP_IRQ, SP_RECLAIM, handle & 0xffffffff, handle >> 32, 0, 0), code(FFA_INVALID_PARAMETERS));
    expect_code(reclaim(handle, 8), FFA_INVALID_PARAMETERS);
    expect_code(reclaim(handle, 0), FFA_OK);
}

static uint32_t describe_spread(void)
{
    describe(SP_IRQ, FFA_RW, page(SPREAD_PAGE), 1);
    for (unsigned i = 1; i < SPREAD_RANGES; i++)
        region.range[region.ranges++] = (struct ffa_range){page(SPREAD_PAGE + 2 * i), 1};
    return ffa_pack_region(packed, &region);
}

static void put_tx(uint32_t offset, uint32_t size)
{
    for (unsigned i = 0; i < size / 8; i++)
        tx[i] = packed[offset / 8 + i];
}

static void in_fragments(void)
{
    uint32_t size = describe_spread(), last = SPREAD_PAGE + 2 * (SPREAD_RANGES - 1);
    struct smccc_regs regs;
    uint64_t low, high;

    set_page_word(last, WORD);
    put_tx(0, PAGE_SIZE);
    regs = call(FFA_MEM_SHARE_32, size, PAGE_SIZE, 0, 0);
    expect(regs.x[0], FFA_MEM_FRAG_RX);
    expect(regs.x[3], PAGE_SIZE);
    low = regs.x[1];
    high = regs.x[2];
    expect_code(call(FFA_MEM_SHARE_32, size, PAGE_SIZE, 0, 0), FFA_BUSY);
    expect_code(call(FFA_MEM_FRAG_TX, low + 1, high, 8, 0), FFA_INVALID_PARAMETERS);
    put_tx(PAGE_SIZE, size - PAGE_SIZE);
    regs = call(FFA_MEM_FRAG_TX, low, high, size - PAGE_SIZE, 0);
    expect(handle_of(regs), low | high << 32);
    /* The partition gets its descriptor in fragments as well. */
    regs = request(SP_IRQ, SP_RETRIEVE, low, high, FFA_RW << 16 | own_id, 0);
    expect(regs.x[4], FFA_OK);
    expect(regs.x[5], page(SPREAD_PAGE));
    expect(regs.x[6], SPREAD_RANGES);
    expect(regs.x[7], SPREAD_RANGES);
    expect(read_by(SP_IRQ, page(last)), WORD);
    expect(write_fault(SP_IRQ, page(last), OTHER_WORD), 0);
    expect(page_word(last), OTHER_WORD);
    expect_blocked(read_fault(SP_IRQ, page(last - 1)));
    expect(relinquish(SP_IRQ, low | high << 32, 0), FFA_OK);
    expect_blocked(read_fault(SP_IRQ, page(last)));
    expect_code(reclaim(low | high << 32, 0), FFA_OK);
}

static void many(void)
{
    uint64_t handles[TRANSACTIONS];

    for (unsigned i = 0; i < TRANSACTIONS; i++) {
        handles[i] = share(i % 2 ? SP_HELLO : SP_IRQ, SPREAD_PAGE + i);
        expect(handles[i] != ~0UL, true);
    }
    describe(SP_HELLO, FFA_RW, page(FIRST_PAGE), 1);
    expect_code(send(FFA_MEM_SHARE_32), FFA_NO_MEMORY);
    expect(probe_write(page(FIRST_PAGE), WORD).esr, 0);
    for (unsigned i = 0; i < TRANSACTIONS; i++)
        expect_code(reclaim(handles[i], 0), FFA_OK);
}

static struct smccc_regs sent_by(uint16_t partition, uint32_t function, uint16_t receiver, uint8_t permissions, uint64_t address)
{
    uint64_t what = (uint64_t)(uint8_t)function << 24 | (uint64_t)permissions << 16 | receiver;

    return request(partition, SP_SEND, what, address, 1, 0);
}

static uint64_t retrieve_from(uint16_t partition, uint16_t owner, struct smccc_regs sent, uint8_t permissions)
{
    return answered(partition, SP_RETRIEVE, sent.x[5], sent.x[6], (uint64_t)permissions << 16 | owner, 0);
}

static void lent_between_partitions(void)
{
    struct smccc_regs sent;

    expect(write_fault(SP_HELLO, HELLO_SPARE, WORD), 0);
    sent = sent_by(SP_HELLO, FFA_MEM_LEND_32, SP_IRQ, FFA_RW, HELLO_SPARE);
    expect(sent.x[4], FFA_OK);
    unreachable(SP_HELLO, HELLO_SPARE);
    expect(retrieve_from(SP_RELAY, SP_HELLO, sent, FFA_RW | FFA_NX), code(FFA_INVALID_PARAMETERS));
    expect(retrieve_from(SP_IRQ, SP_HELLO, sent, FFA_RW | FFA_NX), FFA_OK);
    expect(read_by(SP_IRQ, HELLO_SPARE), WORD);
    expect(write_fault(SP_IRQ, HELLO_SPARE, OTHER_WORD), 0);
    expect_code(reclaim(sent.x[5] | sent.x[6] << 32, 0), FFA_INVALID_PARAMETERS);
    expect(answered(SP_HELLO, SP_RECLAIM, sent.x[5], sent.x[6], 0, 0), code(FFA_DENIED));
    expect(answered(SP_IRQ, SP_RELINQUISH, sent.x[5], sent.x[6], 0, 0), FFA_OK);
    expect(answered(SP_HELLO, SP_RECLAIM, sent.x[5], sent.x[6], 0, 0), FFA_OK);
    unreachable(SP_IRQ, HELLO_SPARE);
    expect(read_by(SP_HELLO, HELLO_SPARE), OTHER_WORD);
    expect(sent_by(SP_HELLO, FFA_MEM_SHARE_32, SP_HELLO, FFA_RW, HELLO_SPARE).x[4], code(FFA_INVALID_PARAMETERS));
    expect(sent_by(SP_HELLO, FFA_MEM_SHARE_32, SP_IRQ, FFA_RW, 0x0e400000).x[4], code(FFA_INVALID_PARAMETERS));
    expect(sent_by(SP_HELLO, FFA_MEM_SHARE_32, SP_IRQ, FFA_RW, SPMC_MEMORY).x[4], code(FFA_INVALID_PARAMETERS));
}

static void donated_between_partitions(void)
{
    struct smccc_regs sent;

    expect(write_fault(SP_HELLO, HELLO_SPARE, WORD), 0);
    sent = sent_by(SP_HELLO, FFA_MEM_DONATE_32, SP_RELAY, 0, HELLO_SPARE);
    expect(sent.x[4], FFA_OK);
    unreachable(SP_HELLO, HELLO_SPARE);
    expect(retrieve_from(SP_RELAY, SP_HELLO, sent, FFA_RW | FFA_NX), FFA_OK);
    expect(read_by(SP_RELAY, HELLO_SPARE), WORD);
    expect(answered(SP_HELLO, SP_RECLAIM, sent.x[5], sent.x[6], 0, 0), code(FFA_INVALID_PARAMETERS));
    expect(sent_by(SP_HELLO, FFA_MEM_SHARE_32, SP_IRQ, FFA_RW, HELLO_SPARE).x[4], code(FFA_DENIED));
    sent = sent_by(SP_RELAY, FFA_MEM_DONATE_32, SP_HELLO, 0, HELLO_SPARE);
    expect(sent.x[4], FFA_OK);
    expect(retrieve_from(SP_HELLO, SP_RELAY, sent, FFA_RW | FFA_NX), FFA_OK);
    expect(read_by(SP_HELLO, HELLO_SPARE), WORD);
    unreachable(SP_RELAY, HELLO_SPARE);
}

void memory_tests(void)
{
    test("SPs reach their own memory only", partitions_are_confined);
    test("MEM_SHARE, step by step", shared);
    test("MEM_SHARE read-only", shared_read_only);
    test("MEM_LEND, step by step", lent);
    test("MEM_LEND with clearing", cleared);
    test("MEM_DONATE", donated);
    test("MEM_SHARE with two SPs", two_borrowers);
    test("MEM_RETRIEVE_REQ and MEM_RELINQUISH errors", retrieve_errors);
    test("MEM_SHARE in fragments", in_fragments);
    test("16 transactions, and one too many", many);
    test("SP-to-SP MEM_LEND", lent_between_partitions);
    test("SP-to-SP MEM_DONATE and back", donated_between_partitions);
}
