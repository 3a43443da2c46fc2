/* The twenty tests that every build of this client has begun with, under their names. */
#include "client.h"

#define RESP FFA_MSG_SEND_DIRECT_RESP_32
#define PAGE_NUMBER 0U

static uint64_t sp_handle;

static void version(void)
{
    uint64_t got = call(FFA_VERSION, FFA_V1_1, 0, 0, 0).x[0];

    expect(got >> 16, 1);
    expect((got & 0xffff) >= 1, true);
    /* What later tests speak; the version may change until another function is called. */
    expect(call(FFA_VERSION, FFA_V1_2, 0, 0, 0).x[0], FFA_V1_2);
}

static void id_get(void)
{
    struct smccc_regs regs = call(FFA_ID_GET, 0, 0, 0, 0);

    expect(regs.x[0], FFA_SUCCESS_32);
    own_id = (uint16_t)regs.x[2];
    expect(own_id, owns_el2 ? 0 : 1);
}

static void features_version(void)
{
    expect(call(FFA_FEATURES, FFA_VERSION, 0, 0, 0).x[0], FFA_SUCCESS_32);
}

static void features_unknown(void)
{
    struct smccc_regs regs = call(FFA_FEATURES, 0xdead, 0, 0, 0);

    expect(regs.x[0], FFA_ERROR);
    expect_code(regs, FFA_NOT_SUPPORTED);
}

/* Without buffers only the count can be asked for. */
static void partition_count(void)
{
    struct smccc_regs regs = ffa_call(FFA_PARTITION_INFO_GET, 0, 0, 0, 0, 1);

    expect(regs.x[0], FFA_SUCCESS_32);
    expect(regs.x[2] >= 1, true);
}

static void echo(void)
{
    struct smccc_regs regs = request(SP_HELLO, 0xaaaa, 0xbbbb, 0xcccc, 0xdddd, 0xeeee);

    expect(regs.x[0], RESP);
    expect(regs.x[3], 0xaaaa);
    expect(regs.x[4], 0xcbbb);
    expect(regs.x[5], 0xcccc);
}

static void real_partition(void)
{
    echo();
    expect(request(SP_HELLO, 1, 2, 3, 4, 5).x[1], ffa_ids(SP_HELLO, own_id));
}

/* Descriptors of v1.2 have 24 bytes: id, execution contexts, properties, UUID. A VM is told of itself first. */
static void buffers_and_partitions(void)
{
    struct smccc_regs regs = call(FFA_RXTX_MAP_64, (uintptr_t)tx, (uintptr_t)rx, 1, 0);
    unsigned first = owns_el2 ? 0 : 1;

    expect_code(regs, FFA_OK);
    regs = call(FFA_PARTITION_INFO_GET, 0, 0, 0, 0);
    expect_code(regs, FFA_OK);
    expect(regs.x[2], 3 + first);
    expect(regs.x[3], 24);
    expect(rx[first * 3] & 0xffff, SP_HELLO);
    expect(rx[first * 3] >> 16 & 0xffff, 1);
    expect_code(call(FFA_RX_RELEASE, 0, 0, 0, 0), FFA_OK);
    expect_code(call(FFA_RXTX_UNMAP, 0, 0, 0, 0), FFA_OK);
}

static void work(uint16_t partition, uint64_t period, unsigned most)
{
    struct smccc_regs regs;

    ticking_start(period);
    regs = run_on(request(partition, SP_WORK, 0xbbbb, 0, 0, 0), most);
    ticking_stop();
    expect(regs.x[0], RESP);
    expect(regs.x[4], 0xdbbb);
    if (partition == SP_IRQ)
        expect(regs.x[5], SP_TIMER_INTID);
}

static void preemption(void)
{
    ticks = 0;
    work(SP_HELLO, ticks_of(SP_WORK_ROUNDS) / 5, 10);
    expect(preemptions.count > 1, true);
    expect(preemptions.of[0], preemptions.count);
    expect(ticks >= preemptions.count, true);
}

static void two_partitions(void)
{
    expect(answered(SP_HELLO, 0, 0x1111, 0, 0, 0), 0x2111);
    expect(answered(SP_IRQ, 0, 0x2222, 0, 0, 0), 0x3222);
}

static void secure_interrupt(void)
{
    work(SP_IRQ, ticks_of(SP_WORK_ROUNDS) / 20, 20);
}

static void share_and_reclaim(void)
{
    uint64_t handle;

    expect_code(call(FFA_RXTX_MAP_64, (uintptr_t)tx, (uintptr_t)rx, 1, 0), FFA_OK);
    handle = share(SP_HELLO, PAGE_NUMBER);
    expect(handle != ~0UL, true);
    expect_code(reclaim(handle, 0), FFA_OK);
}

/* A partition writes into memory it was sent; the sender looks when it has it back. */
static void store(uint16_t partition, uint64_t (*send_page)(uint16_t receiver, unsigned number))
{
    struct smccc_regs regs;
    uint64_t handle;

    set_page_word(PAGE_NUMBER, 0);
    handle = send_page(partition, PAGE_NUMBER);
    expect(handle != ~0UL, true);
    regs = request(partition, SP_STORE, handle & 0xffffffff, handle >> 32, page(PAGE_NUMBER), 0);
    expect(regs.x[0], RESP);
    expect(regs.x[4], (uint32_t)handle + SP_STORE_ADDS);
    expect(regs.x[5], SP_STORED);
    expect_code(reclaim(handle, 0), FFA_OK);
    expect(page_word(PAGE_NUMBER), SP_STORED);
}

static void store_hello(void)
{
    store(SP_HELLO, share);
}

static void store_irq(void)
{
    store(SP_IRQ, share);
}

static void store_lent(void)
{
    store(SP_HELLO, lend);
}

static void alternating(void)
{
    for (unsigned i = 1; i <= 4; i++)
        expect(answered(i % 2 ? SP_HELLO : SP_IRQ, 0xa000 + i, i * 0x100, 0, 0, 0), i * 0x100 + 0x1000);
}

static void relay(void)
{
    struct smccc_regs regs = request(SP_RELAY, SP_RELAY_TO, SP_HELLO, 0xbeef, 0xcccc, 0xdddd);

    expect(regs.x[0], RESP);
    expect(regs.x[4], 0xceef);
    expect(regs.x[5], 0xcccc);
}

/* To itself, and to a partition that asks back. */
static void cycles(void)
{
    struct smccc_regs regs = request(SP_RELAY, SP_RELAY_TO, SP_RELAY, 0, 0, 0);

    expect(regs.x[0], RESP);
    expect(regs.x[4], code(FFA_INVALID_PARAMETERS));
    regs = request(SP_RELAY, SP_CALL, SP_HELLO, SP_CALL, SP_RELAY, 0);
    expect(regs.x[0], RESP);
    expect(regs.x[4], code(FFA_BUSY));
    expect(regs.x[7], 2);
}

static void partition_shares(void)
{
    struct smccc_regs regs = request(SP_HELLO, SP_SHARE_PAGE, 0, 0, 0, SP_IRQ);

    expect(regs.x[0], RESP);
    expect(regs.x[3], SP_SHARE_PAGE);
    expect(regs.x[6], SP_HELLO_PAGE);
    sp_handle = regs.x[4] | regs.x[5] << 32;
    expect(sp_handle != 0, true);
    regs = request(SP_IRQ, SP_SWAP, regs.x[4], regs.x[5], SP_HELLO_PAGE, 0);
    expect(regs.x[4], (uint32_t)sp_handle + SP_SWAP_ADDS);
    expect(regs.x[5], SP_HELLO_WORD);
    expect(read_by(SP_HELLO, SP_HELLO_PAGE), SP_IRQ_WORD);
}

static void partition_reclaims(void)
{
    struct smccc_regs regs = request(SP_HELLO, SP_RECLAIM_PAGE, 0, 0, 0, 0);

    expect(regs.x[0], RESP);
    expect(regs.x[3], SP_RECLAIM_PAGE);
    expect(regs.x[4], FFA_OK);
}

void numbered_tests(void)
{
    test("FFA_VERSION", version);
    test("FFA_ID_GET", id_get);
    test("FFA_FEATURES(VERSION)", features_version);
    test("FFA_FEATURES(0xDEAD)", features_unknown);
    test("PARTITION_INFO_GET", partition_count);
    test("DIRECT_REQ echo", echo);
    test("DIRECT_REQ real SP", real_partition);
    test("RXTX + PARTITION_INFO", buffers_and_partitions);
    test("Preemption + FFA_RUN", preemption);
    test("Multi-SP DIRECT_REQ", two_partitions);
    test("Secure vIRQ injection", secure_interrupt);
    test("MEM_SHARE + RECLAIM", share_and_reclaim);
    test("MEM_SHARE lifecycle E2E", store_hello);
    test("Alternating SP1/SP2", alternating);
    test("MEM_SHARE E2E (SP2)", store_irq);
    test("MEM_LEND lifecycle E2E", store_lent);
    test("SP->SP relay chain", relay);
    test("Cycle detection", cycles);
    test("SP-to-SP MEM_SHARE", partition_shares);
    test("SP-to-SP MEM_RECLAIM", partition_reclaims);
}
