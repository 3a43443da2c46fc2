/* The peers start over as partitions of v1.0 and v1.1; the client stays at v1.2. */
#include "scenario.h"

#include "arch.h"
#include "psci.h"

static void start_over(const char *name, unsigned who, uint32_t version)
{
    uint64_t words[WORDS] = {DO_CALL, PSCI_SYSTEM_RESET};

    store(who, VERSION_WORD(RAM_OF(who)), version);
    refused(name, tell(who, words), FFA_ABORTED);
    spoken[who] = version;
}

/* How many functions are NOT_SUPPORTED for `who`, when called and when asked for. */
static unsigned missing(unsigned who, const uint32_t *functions, unsigned count)
{
    unsigned found = 0;

    for (unsigned i = 0; i < count; i++) {
        found += status_as(who, functions[i], 0, 0, 0, 0) == FFA_NOT_SUPPORTED;
        found += status_as(who, FFA_FEATURES, functions[i], 0, 0, 0) == FFA_NOT_SUPPORTED;
    }
    return found;
}

static const uint32_t since_1_1[] = {
    FFA_NOTIFICATION_BITMAP_CREATE, FFA_NOTIFICATION_GET, FFA_NOTIFICATION_INFO_GET_64, FFA_SPM_ID_GET, FFA_MSG_SEND2,
};
static const uint32_t since_1_2[] = {
    FFA_CONSOLE_LOG_32, FFA_CONSOLE_LOG_64, FFA_PARTITION_INFO_GET_REGS, FFA_MSG_SEND_DIRECT_REQ2,
    FFA_MSG_SEND_DIRECT_RESP2,
};

static void release(unsigned who)
{
    call_as(who, FFA_RX_RELEASE, 0, 0, 0, 0);
}

static struct smccc_regs request2(unsigned who)
{
    return ffa_call(FFA_MSG_SEND_DIRECT_REQ2, ffa_ids(CLIENT, (uint16_t)who), 0, 0, 0, 0);
}

static void check_calls_1_0(void)
{
    struct smccc_regs regs;

    check("v1.0: VERSION tells the relayer's", call_as(PEER, FFA_VERSION, FFA_V1_0, 0, 0, 0).x[0], FFA_V1_2);
    check("v1.0: VERSION is settled", call_as(PEER, FFA_VERSION, FFA_V1_1, 0, 0, 0).x[0], 0xffffffff);
    check("v1.0: ID_GET", call_as(PEER, FFA_ID_GET, 0, 0, 0, 0).x[2], PEER);
    check("v1.0: what v1.1 brought is not there", missing(PEER, since_1_1, ARRAY_SIZE(since_1_1)),
          2 * ARRAY_SIZE(since_1_1));
    check("v1.0: what v1.2 brought is not there", missing(PEER, since_1_2, ARRAY_SIZE(since_1_2)),
          2 * ARRAY_SIZE(since_1_2));
    check("v1.0: there is no NPI", (uint64_t)status_as(PEER, FFA_FEATURES, FFA_FEATURE_NPI, 0, 0, 0),
          (uint64_t)FFA_NOT_SUPPORTED);
    regs = call_as(PEER, FFA_PARTITION_INFO_GET, 0, 0, 0, 0);
    check("v1.0: PARTITION_INFO_GET tells no size", regs.x[2] << 32 | regs.x[3], 5UL << 32);
    check("v1.0: descriptors of 8 bytes: the first", read_rx(PEER, 0), 5UL << 32 | 2 << 16 | CLIENT);
    check("v1.0: the second", read_rx(PEER, 8) & 0xffffffff, 1 << 16 | PEER);
    check("v1.0: the last", read_rx(PEER, 32) & 0xffff, SP2);
    release(PEER);
    refused("v1.0: DIRECT_REQ2 to it", request2(PEER), FFA_DENIED);
    refused("v1.0: MSG_SEND2 to it", send2(CLIENT, CLIENT, PEER, 1), FFA_DENIED);
}

static void check_calls_1_1(void)
{
    struct smccc_regs regs;

    check("v1.1: VERSION is settled", call_as(OTHER, FFA_VERSION, FFA_V1_2, 0, 0, 0).x[0], 0xffffffff);
    check("v1.1: what it brought is there", missing(OTHER, since_1_1, ARRAY_SIZE(since_1_1)), 0);
    check("v1.1: what v1.2 brought is not there", missing(OTHER, since_1_2, ARRAY_SIZE(since_1_2)),
          2 * ARRAY_SIZE(since_1_2));
    check("v1.1: FEATURES of RXTX_MAP tells no most pages", call_as(OTHER, FFA_FEATURES, FFA_RXTX_MAP_32, 0, 0, 0).x[2],
          0);
    regs = call_as(OTHER, FFA_PARTITION_INFO_GET, 0, 0, 0, 0);
    check("v1.1: descriptors of 24 bytes", regs.x[2] << 32 | regs.x[3], 5UL << 32 | 24);
    check("v1.1: the first has no properties of v1.2", read_rx(OTHER, 0) >> 32 >> 9, 0);
    release(OTHER);
    refused("v1.1: DIRECT_REQ2 to it", request2(OTHER), FFA_DENIED);
    accepted("v1.1: MSG_SEND2 to it", send2(CLIENT, CLIENT, OTHER, 0x5ca1ab1e));
    check("v1.1: a header of 20 bytes", read_rx(OTHER, 8), (uint64_t)ffa_ids(CLIENT, OTHER) << 32 | 20);
    check("v1.1: the payload after it", read_rx(OTHER, 16), 0x5ca1ab1eUL << 32 | 8);
    release(OTHER);
    accepted("v1.1: MSG_SEND2 from it", send2(OTHER, OTHER, CLIENT, 0xfeed));
    check("v1.1: for v1.2 the header has 40 bytes", rx[1] << 32 >> 32 << 32 | rx[5], 40UL << 32 | 0xfeed);
    release(CLIENT);
}

/* A share between partitions of two versions, with loads and stores; the owner's first page is used. */
static void share_between(const char *names[4], unsigned owner, unsigned borrower, uint32_t size)
{
    uint64_t page = PAGE_OF(owner, 60), handle;
    struct smccc_regs regs;

    store(owner, page, 0x1000 + owner);
    describe((uint16_t)borrower, FFA_RW, page, 1);
    region.sender = (uint16_t)owner;
    regs = send(owner, FFA_MEM_SHARE_32);
    accepted(names[0], regs);
    handle = handle_of(regs);
    describe_request((uint16_t)borrower, handle, FFA_RW);
    region.sender = (uint16_t)owner;
    regs = send(borrower, FFA_MEM_RETRIEVE_REQ_32);
    check(names[1], regs.x[0] << 32 | regs.x[1], (uint64_t)FFA_MEM_RETRIEVE_RESP << 32 | size);
}

/* What the borrower has read and written, and that all of it comes back. */
static void use_and_return(const char *names[4], unsigned owner, unsigned borrower)
{
    uint64_t page = PAGE_OF(owner, 60), handle = read_rx(borrower, 8);

    release(borrower);
    works(names[2], load(borrower, page), 0x1000 + owner);
    store(borrower, page, 0x2000 + borrower);
    works(names[3], load(owner, page), 0x2000 + borrower);
    relinquish(borrower, handle, 0);
    accepted("all versions: RECLAIM", reclaim(owner, handle, 0));
    works("all versions: the owner writes again", store(owner, page, 1), 0);
}

static void check_share_1_0_to_1_2(void)
{
    static const char *names[4] = {"v1.0 shares", "v1.2 retrieves from v1.0", "v1.2 reads v1.0's page",
                                   "v1.0 reads what v1.2 wrote"};

    share_between(names, PEER, CLIENT, 48 + 32 + 16 + 16);
    check("v1.2 is told an NS bit", read_rx(CLIENT, 0) >> 16 & 0xffff, 0x6f);
    use_and_return(names, PEER, CLIENT);
}

static void check_share_1_2_to_1_0(void)
{
    static const char *names[4] = {"v1.2 shares with v1.0", "v1.0 retrieves", "v1.0 reads v1.2's page",
                                   "v1.2 reads what v1.0 wrote"};

    share_between(names, CLIENT, PEER, 32 + 16 + 16 + 16);
    check("v1.0 is told no NS bit", read_rx(PEER, 0) & 0xffffffff, 0x2f << 16 | CLIENT);
    check("v1.0: a header of 32 bytes, with the count of receivers", read_rx(PEER, 24), 1UL << 32);
    check("v1.0: then an entry of 16 bytes", read_rx(PEER, 32), 48UL << 32 | (FFA_RW | FFA_NX) << 16 | PEER);
    check("v1.0: then the composite", read_rx(PEER, 48), 1UL << 32 | 1);
    check("v1.0: then the range", read_rx(PEER, 64), PAGE_OF(CLIENT, 60));
    use_and_return(names, CLIENT, PEER);
}

static void check_share_1_1_to_1_0(void)
{
    static const char *names[4] = {"v1.1 shares with v1.0", "v1.0 retrieves from v1.1", "v1.0 reads v1.1's page",
                                   "v1.1 reads what v1.0 wrote"};

    share_between(names, OTHER, PEER, 32 + 16 + 16 + 16);
    use_and_return(names, OTHER, PEER);
}

static void check_share_1_2_to_1_1(void)
{
    static const char *names[4] = {"v1.2 shares with v1.1", "v1.1 retrieves", "v1.1 reads v1.2's page",
                                   "v1.2 reads what v1.1 wrote"};

    share_between(names, CLIENT, OTHER, 48 + 16 + 16 + 16);
    check("v1.1: entries of 16 bytes, one receiver", read_rx(OTHER, 24), 1UL << 32 | 16);
    check("v1.1 is told an NS bit", read_rx(OTHER, 0) >> 16 & 0xffff, 0x6f);
    use_and_return(names, CLIENT, OTHER);
}

/* The layout is the one of the sender's version and no other. */
static void check_wrong_layout(unsigned who, const char *name)
{
    uint32_t size;

    describe(CLIENT, FFA_RW, PAGE_OF(who, 61), 1);
    region.sender = (uint16_t)who;
    region.version = FFA_V1_2;
    size = ffa_pack_region(packed, &region);
    write_tx(who, packed, size);
    refused(name, call_as(who, FFA_MEM_SHARE_32, size, size, 0, 0), FFA_INVALID_PARAMETERS);
}

void check_versions(void)
{
    start_over("a request that the second VM starts over in", PEER, FFA_V1_0);
    start_over("a request that the third VM starts over in", OTHER, FFA_V1_1);
    check_calls_1_0();
    check_calls_1_1();
    check_share_1_0_to_1_2();
    check_share_1_2_to_1_0();
    check_share_1_1_to_1_0();
    check_share_1_2_to_1_1();
    check_wrong_layout(PEER, "v1.0: a descriptor of v1.2 is refused");
    start_over("the second VM goes back to v1.2", PEER, FFA_V1_2);
    start_over("the third VM goes back to v1.2", OTHER, FFA_V1_2);
    accepted("v1.2 again: FEATURES of DIRECT_REQ2", call_as(PEER, FFA_FEATURES, FFA_MSG_SEND_DIRECT_REQ2, 0, 0, 0));
}
