/* The 55 numbered checks of the relayer, in their order; every name begins with `test_ffa` and the number. */
#include "scenario.h"

#include "psci.h"

static struct smccc_regs feature(uint64_t id)
{
    return ffa_call(FFA_FEATURES, id, 0, 0, 0, 0);
}

static struct smccc_regs map_buffers(void)
{
    return ffa_call(FFA_RXTX_MAP_64, (uint64_t)(uintptr_t)tx, (uint64_t)(uintptr_t)rx, 1, 0, 0);
}

static struct smccc_regs unmap_buffers(void)
{
    return ffa_call(FFA_RXTX_UNMAP, 0, 0, 0, 0, 0);
}

static struct smccc_regs release(unsigned who)
{
    return call_as(who, FFA_RX_RELEASE, 0, 0, 0, 0);
}

static struct smccc_regs direct(uint16_t receiver)
{
    return ffa_call_regs((struct smccc_regs){
        {FFA_MSG_SEND_DIRECT_REQ_32, ffa_ids(CLIENT, receiver), 0, 3, 0xdeadbeef, 0xcafebabe}});
}

static struct smccc_regs share(unsigned who, uint16_t receiver, uint64_t page, uint32_t pages)
{
    describe(receiver, FFA_RW, page, pages);
    region.sender = (uint16_t)who;
    return send(who, FFA_MEM_SHARE_32);
}

/* 1-8: who we are, what is served, the buffers. */
static void check_1_to_8(void)
{
    struct smccc_regs donate = feature(FFA_MEM_DONATE_32);

    check("test_ffa 1 VERSION", ffa_call(FFA_VERSION, FFA_V1_2, 0, 0, 0, 0).x[0], FFA_V1_2);
    check("test_ffa 2 ID_GET", ffa_call(FFA_ID_GET, 0, 0, 0, 0, 0).x[2], CLIENT);
    accepted("test_ffa 3 FEATURES of VERSION", feature(FFA_VERSION));
    refused("test_ffa 4 FEATURES of an unknown function", feature(0x84000099), FFA_NOT_SUPPORTED);
    refused("test_ffa 5 MEM_DONATE of nothing, where it is served at all", ffa_call(FFA_MEM_DONATE_32, 0, 0, 0, 0, 0),
            ffa_status(&donate) == FFA_OK ? FFA_INVALID_PARAMETERS : FFA_NOT_SUPPORTED);
    unmap_buffers();
    accepted("test_ffa 6 RXTX_MAP", map_buffers());
    refused("test_ffa 7 RXTX_MAP again", map_buffers(), FFA_DENIED);
    accepted("test_ffa 8 RXTX_UNMAP", unmap_buffers());
    map_buffers();
}

/* 9-13: a secure partition, which the stub pretends. */
static void check_9_to_13(void)
{
    struct smccc_regs regs = direct(SP1);
    uint64_t handle;

    check("test_ffa 9 DIRECT_REQ to SP 0x8001 is echoed", regs.x[4] << 32 | regs.x[5], 0xdeadbeefcafebabe);
    refused("test_ffa 10 DIRECT_REQ to 0x9999", direct(NOBODY), FFA_INVALID_PARAMETERS);
    handle = handle_of(share(CLIENT, SP1, PAGE_OF(CLIENT, 50), 1));
    check("test_ffa 11 MEM_SHARE to SP 0x8001 has a handle", handle != 0, 1);
    accepted("test_ffa 12 MEM_RECLAIM", reclaim(CLIENT, handle, 0));
    refused("test_ffa 13 MEM_RECLAIM of 0xdead", reclaim(CLIENT, 0xdead, 0), FFA_INVALID_PARAMETERS);
}

/* 14-16: what the relayer understood of a descriptor is what the borrower is told. */
static void check_14_to_16(void)
{
    uint64_t page = PAGE_OF(CLIENT, 50), handle = handle_of(share(CLIENT, PEER, page, 2));

    describe_request(PEER, handle, FFA_RW);
    send(PEER, FFA_MEM_RETRIEVE_REQ_32);
    check("test_ffa 14 one range: sender", read_rx(PEER, 0) & 0xffff, CLIENT);
    check("test_ffa 14 one range: receiver", read_rx(PEER, 48) & 0xffff, PEER);
    check("test_ffa 14 one range: two pages in all", read_rx(PEER, 80), 1UL << 32 | 2);
    check("test_ffa 14 one range: address", read_rx(PEER, 96), page);
    check("test_ffa 14 one range: pages", read_rx(PEER, 104), 2);
    release(PEER);
    relinquish(PEER, handle, 0);
    reclaim(CLIENT, handle, 0);

    describe(PEER, FFA_RW, page, 1);
    region.range[region.ranges++] = (struct ffa_range){page + 0x8000, 3};
    handle = handle_of(send(CLIENT, FFA_MEM_SHARE_32));
    describe_request(PEER, handle, FFA_RW);
    send(PEER, FFA_MEM_RETRIEVE_REQ_32);
    check("test_ffa 15 two ranges: four pages in all", read_rx(PEER, 80), 2UL << 32 | 4);
    check("test_ffa 15 two ranges: first", read_rx(PEER, 96) | read_rx(PEER, 104), page | 1);
    check("test_ffa 15 two ranges: second", read_rx(PEER, 112) | read_rx(PEER, 120), (page + 0x8000) | 3);
    release(PEER);
    relinquish(PEER, handle, 0);
    reclaim(CLIENT, handle, 0);

    refused("test_ffa 16 a descriptor of 16 bytes", ffa_call(FFA_MEM_SHARE_32, 16, 16, 0, 0, 0),
            FFA_INVALID_PARAMETERS);
}

/* 17-19: calls that are not FF-A's, and who may receive. */
static void check_17_to_19(void)
{
    static const uint16_t ways[][2] = {{PEER, CLIENT}, {CLIENT, PEER}, {CLIENT, SP1}};
    struct smccc_regs regs = {{PSCI_VERSION}};
    unsigned valid = 0;

    smccc_smc(&regs);
    check("test_ffa 17 PSCI_VERSION by SMC is answered", (uint32_t)regs.x[0] != 0 && (uint32_t)regs.x[0] != ~0U, 1);
    refused("test_ffa 18 an unknown function", ffa_call(0x8400009f, 0, 0, 0, 0, 0), FFA_NOT_SUPPORTED);
    for (unsigned i = 0; i < 3; i++) {
        regs = share(ways[i][0], ways[i][1], PAGE_OF(ways[i][0], 50), 1);
        valid += ffa_status(&regs) == FFA_OK;
        reclaim(ways[i][0], handle_of(regs), 0);
    }
    check("test_ffa 19 VM 1, VM 2 and SP 0x8001 may receive", valid, 3);
    refused("test_ffa 19 0x9999 may not", share(CLIENT, NOBODY, PAGE_OF(CLIENT, 50), 1), FFA_INVALID_PARAMETERS);
}

/* 20-26: a share between VMs. */
static void check_20_to_26(void)
{
    uint64_t handle = handle_of(share(CLIENT, PEER, PAGE_OF(CLIENT, 50), 1));

    check("test_ffa 20 MEM_SHARE to another VM has a handle", handle != 0, 1);
    check("test_ffa 21 it retrieves", retrieve(PEER, handle, FFA_RW).x[0], FFA_MEM_RETRIEVE_RESP);
    refused("test_ffa 22 it retrieves again", retrieve(PEER, handle, FFA_RW), FFA_DENIED);
    accepted("test_ffa 23 it relinquishes", relinquish(PEER, handle, 0));
    accepted("test_ffa 24 MEM_RECLAIM after that", reclaim(CLIENT, handle, 0));
    handle = handle_of(share(CLIENT, PEER, PAGE_OF(CLIENT, 50), 1));
    retrieve(PEER, handle, FFA_RW);
    refused("test_ffa 25 MEM_RECLAIM while it is retrieved", reclaim(CLIENT, handle, 0), FFA_DENIED);
    refused("test_ffa 26 the owner retrieves", retrieve(CLIENT, handle, FFA_RW), FFA_INVALID_PARAMETERS);
    relinquish(PEER, handle, 0);
    reclaim(CLIENT, handle, 0);
}

static void check_27_to_30(void)
{
    accepted("test_ffa 27 FEATURES of MEM_RETRIEVE_REQ", feature(FFA_MEM_RETRIEVE_REQ_32));
    accepted("test_ffa 27 FEATURES of MEM_RELINQUISH", feature(FFA_MEM_RELINQUISH));
    check("test_ffa 28 SPM_ID_GET", ffa_call(FFA_SPM_ID_GET, 0, 0, 0, 0, 0).x[2], FFA_SPMC);
    refused("test_ffa 29 RUN of an SP that is only a stub", ffa_call(FFA_RUN, ffa_ids(SP1, 0), 0, 0, 0, 0),
            FFA_NOT_SUPPORTED);
    accepted("test_ffa 30 FEATURES of SPM_ID_GET", feature(FFA_SPM_ID_GET));
}

static struct smccc_regs bind(uint32_t function)
{
    return ffa_call(function, ffa_ids(SP1, CLIENT), 0, 1, 0, 0);
}

/* SP 0x8001 calls NOTIFICATION_SET; its status. */
static uint64_t set_by_sp(void)
{
    return ffa_call(FFA_MSG_SEND_DIRECT_REQ_32, ffa_ids(CLIENT, SP1), 0, STUB_NOTIFY, 1, 0).x[3];
}

static uint64_t get(void)
{
    return ffa_call(FFA_NOTIFICATION_GET, CLIENT, 1, 0, 0, 0).x[2];
}

/* 31-38: a notification from SP 0x8001. */
static void check_31_to_38(void)
{
    accepted("test_ffa 31 BITMAP_CREATE", ffa_call(FFA_NOTIFICATION_BITMAP_CREATE, CLIENT, 2, 0, 0, 0));
    accepted("test_ffa 32 BIND of bit 0 to SP 0x8001", bind(FFA_NOTIFICATION_BIND));
    check("test_ffa 33 SET", set_by_sp(), 0);
    check("test_ffa 34 GET", get(), 1);
    check("test_ffa 35 GET again", get(), 0);
    accepted("test_ffa 36 UNBIND", bind(FFA_NOTIFICATION_UNBIND));
    check("test_ffa 37 SET after UNBIND", set_by_sp(), (uint32_t)FFA_DENIED);
    accepted("test_ffa 38 FEATURES of BIND", feature(FFA_NOTIFICATION_BIND));
    ffa_call(FFA_NOTIFICATION_BITMAP_DESTROY, CLIENT, 0, 0, 0, 0);
}

/* 39-44: an indirect message. The receiver of the specification waits in MSG_WAIT and finds it in RX. */
static void check_39_to_44(void)
{
    unmap_buffers();
    refused("test_ffa 39 MSG_SEND2 without buffers", ffa_call(FFA_MSG_SEND2, 0, 0, 0, 0, 0), FFA_INVALID_PARAMETERS);
    map_buffers();
    accepted("test_ffa 40 MSG_SEND2 to another VM", send2(CLIENT, CLIENT, PEER, 0xcafebabe));
    check("test_ffa 41 it finds the sender", read_rx(PEER, 8) >> 48, CLIENT);
    check("test_ffa 41 it finds the payload", read_rx(PEER, 40), 0xcafebabe);
    refused("test_ffa 43 MSG_SEND2 while RX is full", send2(CLIENT, CLIENT, PEER, 1), FFA_BUSY);
    accepted("test_ffa 42 RX_RELEASE", release(PEER));
    refused("test_ffa 42 nothing is left to release", release(PEER), FFA_DENIED);
    refused("test_ffa 42 nor to wait for in a request", call_as(PEER, FFA_MSG_WAIT, 0, 0, 0, 0), FFA_DENIED);
    accepted("test_ffa 44 FEATURES of MSG_SEND2", feature(FFA_MSG_SEND2));
}

static struct smccc_regs fragment(unsigned who, uint32_t function, uint64_t handle, uint64_t third)
{
    return call_as(who, function, handle & 0xffffffff, handle >> 32, third, 0);
}

/* 45-49: a descriptor of more than one buffer, there and back. */
static void check_45_to_49(void)
{
    uint32_t first = 4096, size;
    struct smccc_regs regs;
    uint64_t handle;

    refused("test_ffa 45 MEM_FRAG_TX without a transfer", fragment(CLIENT, FFA_MEM_FRAG_TX, 1, 16),
            FFA_INVALID_PARAMETERS);
    describe(PEER, FFA_RW, PAGE_OF(CLIENT, 1024), 1);
    while (region.ranges < 260) {
        region.range[region.ranges] = (struct ffa_range){PAGE_OF(CLIENT, 1024 + 2 * region.ranges), 1};
        region.ranges++;
    }
    size = ffa_pack_region(packed, &region);
    write_tx(CLIENT, packed, first);
    regs = ffa_call(FFA_MEM_SHARE_32, size, first, 0, 0, 0);
    check("test_ffa 46 the first fragment asks for more", regs.x[0] << 32 | regs.x[3],
          (uint64_t)FFA_MEM_FRAG_RX << 32 | first);
    handle = regs.x[1] | regs.x[2] << 32;
    write_tx(CLIENT, (const uint8_t *)packed + first, size - first);
    check("test_ffa 46 the last one completes the share",
          handle_of(fragment(CLIENT, FFA_MEM_FRAG_TX, handle, size - first)), handle);
    describe_request(PEER, handle, FFA_RW);
    regs = send(PEER, FFA_MEM_RETRIEVE_REQ_32);
    check("test_ffa 47 the response comes in fragments", regs.x[1] << 32 | regs.x[2], (uint64_t)size << 32 | first);
    release(PEER);
    refused("test_ffa 48 MEM_FRAG_RX at another offset", fragment(PEER, FFA_MEM_FRAG_RX, handle, 16),
            FFA_INVALID_PARAMETERS);
    regs = fragment(PEER, FFA_MEM_FRAG_RX, handle, first);
    check("test_ffa 47 MEM_FRAG_RX brings the rest", regs.x[0] << 32 | regs.x[3],
          (uint64_t)FFA_MEM_FRAG_TX << 32 | (size - first));
    release(PEER);
    relinquish(PEER, handle, 0);
    reclaim(CLIENT, handle, 0);
    accepted("test_ffa 49 FEATURES of MEM_FRAG_TX", feature(FFA_MEM_FRAG_TX));
    accepted("test_ffa 49 FEATURES of MEM_FRAG_RX", feature(FFA_MEM_FRAG_RX));
}

/* 50-55: the log, the interrupts of notifications, a request between VMs. */
static void check_50_to_55(void)
{
    struct smccc_regs regs;

    accepted("test_ffa 50 CONSOLE_LOG in 32 bits", ffa_call(FFA_CONSOLE_LOG_32, 4, 0x0a217369, 0, 0, 0));
    accepted("test_ffa 50 CONSOLE_LOG in 64 bits", ffa_call(FFA_CONSOLE_LOG_64, 8, 0x0a6b6f2073697468, 0, 0, 0));
    refused("test_ffa 51 CONSOLE_LOG of nothing", ffa_call(FFA_CONSOLE_LOG_32, 0, 0, 0, 0, 0),
            FFA_INVALID_PARAMETERS);
    refused("test_ffa 51 CONSOLE_LOG of 25 characters in 32 bits", ffa_call(FFA_CONSOLE_LOG_32, 25, 0, 0, 0, 0),
            FFA_INVALID_PARAMETERS);
    accepted("test_ffa 52 FEATURES of CONSOLE_LOG", feature(FFA_CONSOLE_LOG_32));
    check("test_ffa 53 FEATURES of the NPI: INTID 8", feature(FFA_FEATURE_NPI).x[2], 8);
    check("test_ffa 54 FEATURES of the SRI: INTID 9", feature(FFA_FEATURE_SRI).x[2], 9);
    regs = direct(PEER);
    check("test_ffa 55 DIRECT_REQ to another VM is answered", regs.x[0] << 32 | regs.x[1],
          (uint64_t)FFA_MSG_SEND_DIRECT_RESP_32 << 32 | ffa_ids(PEER, CLIENT));
    check("test_ffa 55 by its own code", regs.x[4] << 32 | regs.x[5], 0xdeadbef0cafebabf);
}

void check_numbered(void)
{
    check_1_to_8();
    check_9_to_13();
    check_14_to_16();
    check_17_to_19();
    check_20_to_26();
    check_27_to_30();
    check_31_to_38();
    check_39_to_44();
    check_45_to_49();
    check_50_to_55();
}
