#include "scenario.h"

static struct smccc_regs feature(uint64_t id)
{
    return ffa_call(FFA_FEATURES, id, 0, 0, 0, 0);
}

static uint64_t address(const void *buffer)
{
    return (uint64_t)(uintptr_t)buffer;
}

void check_version(void)
{
    check("VERSION 1.3 is answered with 1.2", ffa_call(FFA_VERSION, 0x10003, 0, 0, 0, 0).x[0], FFA_V1_2);
    check("VERSION 2.0 is refused", ffa_call(FFA_VERSION, 0x20000, 0, 0, 0, 0).x[0], 0xffffffff);
    check("VERSION with bit 31 is refused", ffa_call(FFA_VERSION, 0x80010000, 0, 0, 0, 0).x[0], 0xffffffff);
    check("VERSION 1.2", ffa_call(FFA_VERSION, FFA_V1_2, 0, 0, 0, 0).x[0], FFA_V1_2);
    refused("RX_RELEASE without buffers", ffa_call(FFA_RX_RELEASE, 0, 0, 0, 0, 0), FFA_DENIED);
    refused("MSG_SEND2 without buffers", ffa_call(FFA_MSG_SEND2, 0, 0, 0, 0, 0), FFA_INVALID_PARAMETERS);
    check("VERSION stays after other calls", ffa_call(FFA_VERSION, 0x10001, 0, 0, 0, 0).x[0], 0xffffffff);
}

static void check_features(void)
{
    static const uint32_t served[] = {
        FFA_VERSION, FFA_RXTX_MAP_64, FFA_MEM_SHARE_32, FFA_MEM_LEND_32, FFA_MEM_RETRIEVE_REQ_32, FFA_MEM_RELINQUISH,
        FFA_MEM_RECLAIM, FFA_SPM_ID_GET, FFA_NOTIFICATION_BIND, FFA_MSG_SEND2, FFA_MEM_FRAG_TX, FFA_CONSOLE_LOG_64,
        FFA_MSG_SEND_DIRECT_REQ2, FFA_RUN,
    };
    unsigned known = 0;

    for (unsigned i = 0; i < sizeof(served) / sizeof(served[0]); i++) {
        struct smccc_regs regs = feature(served[i]);
        known += ffa_status(&regs) == FFA_OK;
    }
    check("FEATURES of what is served", known, sizeof(served) / sizeof(served[0]));
    refused("FEATURES of an unknown function", feature(0x84000099), FFA_NOT_SUPPORTED);
    refused("FEATURES of RX_ACQUIRE", feature(FFA_RX_ACQUIRE), FFA_NOT_SUPPORTED);
    check("FEATURES NPI is INTID 8", feature(FFA_FEATURE_NPI).x[2], 8);
    check("FEATURES SRI is INTID 9", feature(FFA_FEATURE_SRI).x[2], 9);
    refused("FEATURES of managed exit", feature(FFA_FEATURE_MEI), FFA_NOT_SUPPORTED);
    check("FEATURES RXTX_MAP: one page at most", feature(FFA_RXTX_MAP_32).x[2], 1 << 16);
}

static void check_buffers(void)
{
    uint64_t send = address(tx), receive = address(rx);

    refused("RXTX_MAP unaligned", ffa_call(FFA_RXTX_MAP_64, send + 8, receive, 1, 0, 0), FFA_INVALID_PARAMETERS);
    refused("RXTX_MAP of no pages", ffa_call(FFA_RXTX_MAP_64, send, receive, 0, 0, 0), FFA_INVALID_PARAMETERS);
    refused("RXTX_MAP of two pages", ffa_call(FFA_RXTX_MAP_64, send, receive, 2, 0, 0), FFA_INVALID_PARAMETERS);
    refused("RXTX_MAP of one buffer twice", ffa_call(FFA_RXTX_MAP_64, send, send, 1, 0, 0), FFA_INVALID_PARAMETERS);
    refused("RXTX_MAP outside RAM", ffa_call(FFA_RXTX_MAP_64, send, ELSEWHERE, 1, 0, 0), FFA_INVALID_PARAMETERS);
    refused("RXTX_UNMAP of nothing", ffa_call(FFA_RXTX_UNMAP, 0, 0, 0, 0, 0), FFA_INVALID_PARAMETERS);
    accepted("RXTX_MAP", ffa_call(FFA_RXTX_MAP_64, send, receive, 1, 0, 0));
    refused("RXTX_MAP twice", ffa_call(FFA_RXTX_MAP_64, send, receive, 1, 0, 0), FFA_DENIED);
    accepted("RXTX_UNMAP", ffa_call(FFA_RXTX_UNMAP, 0, 0, 0, 0, 0));
    accepted("RXTX_MAP in 32 bits", ffa_call(FFA_RXTX_MAP_32, send, receive, 1, 0, 0));
}

static void check_partitions(void)
{
    struct smccc_regs regs = ffa_call(FFA_PARTITION_INFO_GET, 0, 0, 0, 0, 1);

    check("PARTITION_INFO_GET count", regs.x[2], 5);
    regs = ffa_call(FFA_PARTITION_INFO_GET, 0, 0, 0, 0, 0);
    check("PARTITION_INFO_GET writes descriptors of 24 bytes", regs.x[2] << 32 | regs.x[3], 5UL << 32 | 24);
    check("the first is VM 1 with two vCPUs", rx[0] & 0xffffffff, 2 << 16 | 1);
    check("the fourth is SP 0x8001", rx[9] & 0xffff, SP1);
    refused("PARTITION_INFO_GET while RX is full", ffa_call(FFA_PARTITION_INFO_GET, 0, 0, 0, 0, 0), FFA_BUSY);
    accepted("RX_RELEASE", ffa_call(FFA_RX_RELEASE, 0, 0, 0, 0, 0));
    refused("RX_RELEASE twice", ffa_call(FFA_RX_RELEASE, 0, 0, 0, 0, 0), FFA_DENIED);
    regs = ffa_call(FFA_PARTITION_INFO_GET, 0x12345678, 0x9abcdef0, 0x11112222, 0x33334444, 1);
    check("PARTITION_INFO_GET by UUID", regs.x[2], 1);
    refused("PARTITION_INFO_GET of an unknown UUID", ffa_call(FFA_PARTITION_INFO_GET, 1, 2, 3, 4, 1),
            FFA_INVALID_PARAMETERS);
    regs = ffa_call(FFA_PARTITION_INFO_GET_REGS, 0, 0, 0, 0, 0);
    check("PARTITION_INFO_GET_REGS", regs.x[2], 24UL << 48 | 4 << 16 | 4);
    check("its last descriptor is SP 0x8002", regs.x[15] & 0xffff, SP2);
    refused("PARTITION_INFO_GET_REGS past the end", ffa_call(FFA_PARTITION_INFO_GET_REGS, 0, 0, 9, 0, 0),
            FFA_INVALID_PARAMETERS);
}

static void check_log(void)
{
    accepted("CONSOLE_LOG in 32 bits", ffa_call(FFA_CONSOLE_LOG_32, 4, 0x0a216948, 0, 0, 0));
    accepted("CONSOLE_LOG in 64 bits", ffa_call(FFA_CONSOLE_LOG_64, 6, 0x0a216f6c6c65UL, 0, 0, 0));
    refused("CONSOLE_LOG of nothing", ffa_call(FFA_CONSOLE_LOG_32, 0, 0, 0, 0, 0), FFA_INVALID_PARAMETERS);
    refused("CONSOLE_LOG of too much", ffa_call(FFA_CONSOLE_LOG_64, 129, 0, 0, 0, 0), FFA_INVALID_PARAMETERS);
}

void check_setup(void)
{
    struct smccc_regs regs;

    check("ID_GET", ffa_call(FFA_ID_GET, 0, 0, 0, 0, 0).x[2], CLIENT);
    check("SPM_ID_GET", ffa_call(FFA_SPM_ID_GET, 0, 0, 0, 0, 0).x[2], FFA_SPMC);
    refused("an unknown function", ffa_call(0x8400009f, 0, 0, 0, 0, 0), FFA_NOT_SUPPORTED);
    refused("FFA_SUCCESS as a call", ffa_call(FFA_SUCCESS_32, 0, 0, 0, 0, 0), FFA_NOT_SUPPORTED);
    ffa_use_smc(false);
    check("ID_GET by HVC", ffa_call(FFA_ID_GET, 0, 0, 0, 0, 0).x[2], CLIENT);
    ffa_use_smc(true);
    regs = ffa_call_regs((struct smccc_regs){{FFA_ID_GET, [8] = 0x88, [17] = 0x1717}});
    check("x8 and x17 are preserved", regs.x[8] << 16 | regs.x[17], 0x881717);
    check_features();
    check_buffers();
    check_partitions();
    check_log();
    check("ID_GET of the peer", call_as(PEER, FFA_ID_GET, 0, 0, 0, 0).x[2], PEER);
    check("ID_GET of the other peer", call_as(OTHER, FFA_ID_GET, 0, 0, 0, 0).x[2], OTHER);
    for (unsigned who = PEER; who <= OTHER; who++)
        refused("a peer has mapped its buffers",
                call_as(who, FFA_RXTX_MAP_64, PAGE_OF(who, 600), PAGE_OF(who, 601), 1, 0), FFA_DENIED);
}
