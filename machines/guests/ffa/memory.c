#include "scenario.h"

#include "machine.h"

#define RETURN_77 0xd65f03c0d28009a0UL /* mov x0, #77; ret */

static void check_share(void)
{
    uint64_t page = PAGE_OF(CLIENT, 0), handle;
    struct smccc_regs regs;

    store(CLIENT, page, 0x1234);
    blocked("before the share the peer cannot read", load(PEER, page));
    describe(PEER, FFA_RW, page, 1);
    regs = send(CLIENT, FFA_MEM_SHARE_32);
    accepted("MEM_SHARE", regs);
    handle = handle_of(regs);
    check("the handle is the hypervisor's", handle >> 63, 1);
    works("the owner reads on", load(CLIENT, page), 0x1234);
    check("the owner writes on where the machine allows it", !store(CLIENT, page, 0x1234).faulted,
          bootarg_number("owner_writes", 0));
    blocked("before it retrieves the peer cannot read", load(PEER, page));
    describe(PEER, FFA_RW, page, 1);
    refused("MEM_SHARE of a page that is shared", send(CLIENT, FFA_MEM_SHARE_32), FFA_DENIED);
    refused("RETRIEVE by the owner", retrieve(CLIENT, handle, FFA_RW), FFA_INVALID_PARAMETERS);
    refused("RETRIEVE by someone else", retrieve(OTHER, handle, FFA_RW), FFA_INVALID_PARAMETERS);
    refused("RELINQUISH before RETRIEVE", relinquish(PEER, handle, 0), FFA_INVALID_PARAMETERS);
    check("RETRIEVE", retrieve(PEER, handle, FFA_RW).x[0], FFA_MEM_RETRIEVE_RESP);
    works("the peer reads", load(PEER, page), 0x1234);
    works("the peer writes", store(PEER, page, 0x5678), 0);
    works("the owner sees it", load(CLIENT, page), 0x5678);
    refused("RETRIEVE twice", retrieve(PEER, handle, FFA_RW), FFA_DENIED);
    refused("RECLAIM while retrieved", reclaim(CLIENT, handle, 0), FFA_DENIED);
    accepted("RELINQUISH", relinquish(PEER, handle, 0));
    blocked("after it the peer cannot read", load(PEER, page));
    refused("RELINQUISH twice", relinquish(PEER, handle, 0), FFA_INVALID_PARAMETERS);
    refused("RECLAIM by someone else", reclaim(PEER, handle, 0), FFA_INVALID_PARAMETERS);
    accepted("RECLAIM", reclaim(CLIENT, handle, 0));
    works("the owner writes again", store(CLIENT, page, 2), 0);
    refused("RECLAIM twice", reclaim(CLIENT, handle, 0), FFA_INVALID_PARAMETERS);
    refused("RETRIEVE after RECLAIM", retrieve(PEER, handle, FFA_RW), FFA_INVALID_PARAMETERS);
    refused("RECLAIM of a handle that never was", reclaim(CLIENT, 0xdead, 0), FFA_INVALID_PARAMETERS);
}

static void check_permissions(void)
{
    uint64_t page = PAGE_OF(CLIENT, 1), handle;

    describe(PEER, FFA_RO, page, 1);
    also(OTHER, FFA_RW);
    handle = handle_of(send(CLIENT, FFA_MEM_SHARE_64));
    refused("RETRIEVE without the other borrower in the list", retrieve(PEER, handle, FFA_RO), FFA_INVALID_PARAMETERS);
    describe_request(PEER, handle, FFA_RW);
    region.flags = FFA_BYPASS;
    refused("RETRIEVE of more than was offered", send(PEER, FFA_MEM_RETRIEVE_REQ_32), FFA_DENIED);
    region.receiver[0].permissions = FFA_RO;
    check("RETRIEVE read-only", send(PEER, FFA_MEM_RETRIEVE_REQ_64).x[0], FFA_MEM_RETRIEVE_RESP);
    refused("RETRIEVE while RX is full", send(PEER, FFA_MEM_RETRIEVE_REQ_32), FFA_DENIED);
    check("RETRIEVE_RESP names owner and attributes", read_rx(PEER, 0) & 0xffffffff, 0x6fUL << 16 | CLIENT);
    check("RETRIEVE_RESP carries the tag", read_rx(PEER, 16), 0x7a6);
    check("RETRIEVE_RESP tells the address", read_rx(PEER, 96), page);
    call_as(PEER, FFA_RX_RELEASE, 0, 0, 0, 0);
    works("a read-only borrower reads", load(PEER, page), 0);
    blocked("a read-only borrower does not write", store(PEER, page, 1));
    describe_request(OTHER, handle, FFA_RW);
    region.flags = FFA_BYPASS;
    region.tag = 1;
    refused("RETRIEVE with another tag", send(OTHER, FFA_MEM_RETRIEVE_REQ_32), FFA_INVALID_PARAMETERS);
    region.tag = 0x7a6;
    region.ranges = 1;
    region.range[0] = (struct ffa_range){PAGE_OF(OTHER, 0), 1};
    refused("RETRIEVE to an address that is taken", send(OTHER, FFA_MEM_RETRIEVE_REQ_32), FFA_DENIED);
    region.range[0] = (struct ffa_range){ELSEWHERE, 2};
    refused("RETRIEVE of another number of pages", send(OTHER, FFA_MEM_RETRIEVE_REQ_32), FFA_INVALID_PARAMETERS);
    region.range[0] = (struct ffa_range){0x09000000, 1};
    refused("RETRIEVE over a device", send(OTHER, FFA_MEM_RETRIEVE_REQ_32), FFA_DENIED);
    region.range[0] = (struct ffa_range){ELSEWHERE, 1};
    check("RETRIEVE to an address of one's choice", send(OTHER, FFA_MEM_RETRIEVE_REQ_32).x[0], FFA_MEM_RETRIEVE_RESP);
    call_as(OTHER, FFA_RX_RELEASE, 0, 0, 0, 0);
    works("the second borrower writes there", store(OTHER, ELSEWHERE, 0xabc), 0);
    works("the first borrower reads it", load(PEER, page), 0xabc);
    accepted("RELINQUISH by the first", relinquish(PEER, handle, 0));
    refused("RECLAIM while the second has it", reclaim(CLIENT, handle, 0), FFA_DENIED);
    accepted("RELINQUISH by the second", relinquish(OTHER, handle, 0));
    blocked("the second cannot read any more", load(OTHER, ELSEWHERE));
    accepted("RECLAIM after both", reclaim(CLIENT, handle, 0));
}

static void check_lend(void)
{
    uint64_t page = PAGE_OF(CLIENT, 2), handle;

    store(CLIENT, page, RETURN_77);
    describe(PEER, FFA_RW, page, 1);
    refused("MEM_LEND to one with a memory type", send(CLIENT, FFA_MEM_LEND_32), FFA_INVALID_PARAMETERS);
    region.attributes = 0;
    handle = handle_of(send(CLIENT, FFA_MEM_LEND_32));
    blocked("the lender cannot read", load(CLIENT, page));
    blocked("the lender cannot write", store(CLIENT, page, 1));
    refused("RETRIEVE without instruction access", retrieve(PEER, handle, FFA_RW), FFA_INVALID_PARAMETERS);
    describe_request(PEER, handle, FFA_RW | FFA_X);
    region.ranges = 1;
    region.range[0] = (struct ffa_range){CODE_WINDOW, 1};
    check("RETRIEVE to execute", send(PEER, FFA_MEM_RETRIEVE_REQ_32).x[0], FFA_MEM_RETRIEVE_RESP);
    call_as(PEER, FFA_RX_RELEASE, 0, 0, 0, 0);
    works("the borrower runs the lender's code", execute(PEER, CODE_WINDOW), 77);
    accepted("RELINQUISH, clearing", relinquish(PEER, handle, 1));
    accepted("RECLAIM of a loan", reclaim(CLIENT, handle, 0));
    works("the lender finds zeros", load(CLIENT, page), 0);
    store(CLIENT, page, 0x99);
    describe(PEER, FFA_RW, page, 1);
    region.attributes = 0;
    region.flags = FFA_ZERO;
    handle = handle_of(send(CLIENT, FFA_MEM_LEND_32));
    describe_request(PEER, handle, FFA_RW | FFA_NX);
    region.ranges = 1;
    region.range[0] = (struct ffa_range){CODE_WINDOW, 1};
    check("RETRIEVE of cleared memory", send(PEER, FFA_MEM_RETRIEVE_REQ_32).x[0], FFA_MEM_RETRIEVE_RESP);
    call_as(PEER, FFA_RX_RELEASE, 0, 0, 0, 0);
    works("the borrower finds zeros", load(PEER, CODE_WINDOW), 0);
    store(PEER, CODE_WINDOW, RETURN_77);
    blocked("the borrower does not execute", execute(PEER, CODE_WINDOW));
    accepted("RELINQUISH of it", relinquish(PEER, handle, 0));
    accepted("RECLAIM, clearing", reclaim(CLIENT, handle, 1));
    works("nothing is left of it", load(CLIENT, page), 0);
}

static void check_donate(void)
{
    uint64_t page = PAGE_OF(CLIENT, 3), handle;
    struct smccc_regs regs = ffa_call(FFA_FEATURES, FFA_MEM_DONATE_32, 0, 0, 0, 0);

    describe(PEER, 0, page, 1);
    region.attributes = 0;
    if (ffa_status(&regs) != FFA_OK) {
        refused("MEM_DONATE where the machine forbids it", send(CLIENT, FFA_MEM_DONATE_32), FFA_NOT_SUPPORTED);
        works("the page stays", store(CLIENT, page, 1), 0);
        return;
    }
    store(CLIENT, page, 0xd0);
    handle = handle_of(send(CLIENT, FFA_MEM_DONATE_32));
    blocked("the donor cannot read", load(CLIENT, page));
    check("RETRIEVE of a donation", retrieve(PEER, handle, FFA_RW | FFA_NX).x[0], FFA_MEM_RETRIEVE_RESP);
    works("the new owner reads", load(PEER, page), 0xd0);
    refused("RECLAIM of a donation", reclaim(CLIENT, handle, 0), FFA_INVALID_PARAMETERS);
    refused("RELINQUISH of a donation", relinquish(PEER, handle, 0), FFA_INVALID_PARAMETERS);
    describe(OTHER, FFA_RW, page, 1);
    refused("MEM_SHARE of what was given away", send(CLIENT, FFA_MEM_SHARE_32), FFA_DENIED);
    describe(CLIENT, 0, page, 1);
    region.sender = PEER;
    region.attributes = 0;
    handle = handle_of(send(PEER, FFA_MEM_DONATE_32));
    describe_request(CLIENT, handle, FFA_RW | FFA_NX);
    region.sender = PEER;
    check("the gift is given back", send(CLIENT, FFA_MEM_RETRIEVE_REQ_32).x[0], FFA_MEM_RETRIEVE_RESP);
    call_as(CLIENT, FFA_RX_RELEASE, 0, 0, 0, 0);
    works("the first owner has it again", load(CLIENT, page), 0xd0);
    blocked("the second has lost it", load(PEER, page));
}

static void check_descriptors(void)
{
    uint64_t page = PAGE_OF(CLIENT, 4);

    describe(NOBODY, FFA_RW, page, 1);
    refused("MEM_SHARE to nobody", send(CLIENT, FFA_MEM_SHARE_32), FFA_INVALID_PARAMETERS);
    describe(CLIENT, FFA_RW, page, 1);
    refused("MEM_SHARE to oneself", send(CLIENT, FFA_MEM_SHARE_32), FFA_INVALID_PARAMETERS);
    describe(PEER, FFA_RW, page, 1);
    also(PEER, FFA_RW);
    refused("MEM_SHARE to one twice", send(CLIENT, FFA_MEM_SHARE_32), FFA_INVALID_PARAMETERS);
    describe(PEER, FFA_RW, page, 1);
    region.sender = OTHER;
    refused("MEM_SHARE in another's name", send(CLIENT, FFA_MEM_SHARE_32), FFA_DENIED);
    describe(PEER, FFA_RW | FFA_X, page, 1);
    refused("MEM_SHARE with instruction access", send(CLIENT, FFA_MEM_SHARE_32), FFA_INVALID_PARAMETERS);
    describe(PEER, 0, page, 1);
    refused("MEM_SHARE without data access", send(CLIENT, FFA_MEM_SHARE_32), FFA_INVALID_PARAMETERS);
    describe(PEER, FFA_RW, page, 1);
    region.flags = FFA_ZERO;
    refused("MEM_SHARE, clearing", send(CLIENT, FFA_MEM_SHARE_32), FFA_INVALID_PARAMETERS);
    describe(PEER, FFA_RW, page, 0);
    refused("MEM_SHARE of no pages", send(CLIENT, FFA_MEM_SHARE_32), FFA_INVALID_PARAMETERS);
    describe(PEER, FFA_RW, page + 8, 1);
    refused("MEM_SHARE of unaligned pages", send(CLIENT, FFA_MEM_SHARE_32), FFA_INVALID_PARAMETERS);
    describe(PEER, FFA_RW, 0xfffffffffffff000, 2);
    refused("MEM_SHARE past the end of addresses", send(CLIENT, FFA_MEM_SHARE_32), FFA_INVALID_PARAMETERS);
    describe(PEER, FFA_RW, ELSEWHERE, 1);
    refused("MEM_SHARE of what one does not have", send(CLIENT, FFA_MEM_SHARE_32), FFA_INVALID_PARAMETERS);
    describe(PEER, FFA_RW, (uint64_t)(uintptr_t)rx, 1);
    refused("MEM_SHARE of the RX buffer", send(CLIENT, FFA_MEM_SHARE_32), FFA_DENIED);
    describe(PEER, FFA_RW, page, 2);
    region.range[region.ranges++] = (struct ffa_range){page + 0x1000, 1};
    refused("MEM_SHARE of a page twice", send(CLIENT, FFA_MEM_SHARE_32), FFA_INVALID_PARAMETERS);
    describe(PEER, FFA_RW, page, 1);
    region.miscount = 1;
    refused("MEM_SHARE with a wrong page count", send(CLIENT, FFA_MEM_SHARE_32), FFA_INVALID_PARAMETERS);
    write_tx(CLIENT, packed, 96);
    refused("a descriptor of 16 bytes", ffa_call(FFA_MEM_SHARE_32, 16, 16, 0, 0, 0), FFA_INVALID_PARAMETERS);
    refused("a fragment longer than the whole", ffa_call(FFA_MEM_SHARE_32, 96, 128, 0, 0, 0), FFA_INVALID_PARAMETERS);
    refused("a fragment longer than the buffer", ffa_call(FFA_MEM_SHARE_32, 8192, 8192, 0, 0, 0),
            FFA_INVALID_PARAMETERS);
    refused("a buffer of one's own", ffa_call(FFA_MEM_SHARE_32, 96, 96, page, 1, 0), FFA_INVALID_PARAMETERS);
    works("none of them changed anything", store(CLIENT, page, 1), 0);
}

/* Every second page of a part of RAM, so that no two ranges join; the descriptor takes more than one buffer. */
static void check_fragments(void)
{
    uint32_t size, first = 4096;
    struct smccc_regs regs;
    uint64_t handle;

    describe(PEER, FFA_RW, PAGE_OF(CLIENT, 512), 1);
    for (unsigned i = 1; i < FFA_MAX_RANGES; i++)
        region.range[region.ranges++] = (struct ffa_range){PAGE_OF(CLIENT, 512 + 2 * i), 1};
    size = ffa_pack_region(packed, &region);
    write_tx(CLIENT, packed, first);
    regs = ffa_call(FFA_MEM_SHARE_32, size, first, 0, 0, 0);
    check("the first fragment asks for more", regs.x[0] << 32 | regs.x[3], (uint64_t)FFA_MEM_FRAG_RX << 32 | first);
    handle = regs.x[1] | regs.x[2] << 32;
    refused("another transfer meanwhile", ffa_call(FFA_MEM_SHARE_32, size, first, 0, 0, 0), FFA_BUSY);
    refused("FRAG_TX with another handle", ffa_call(FFA_MEM_FRAG_TX, 5, 5, 8, 0, 0), FFA_INVALID_PARAMETERS);
    refused("FRAG_TX of too much",
            ffa_call(FFA_MEM_FRAG_TX, handle & 0xffffffff, handle >> 32, size - first + 16, 0, 0),
            FFA_INVALID_PARAMETERS);
    write_tx(CLIENT, (const uint8_t *)packed + first, size - first);
    regs = ffa_call(FFA_MEM_FRAG_TX, handle & 0xffffffff, handle >> 32, size - first, 0, 0);
    check("the last fragment completes it", handle_of(regs), handle);
    describe_request(PEER, handle, FFA_RW);
    regs = send(PEER, FFA_MEM_RETRIEVE_REQ_32);
    check("RETRIEVE_RESP tells both lengths", regs.x[1] << 32 | regs.x[2], (uint64_t)size << 32 | first);
    refused("FRAG_RX while RX is full",
            call_as(PEER, FFA_MEM_FRAG_RX, handle & 0xffffffff, handle >> 32, first, 0), FFA_BUSY);
    call_as(PEER, FFA_RX_RELEASE, 0, 0, 0, 0);
    refused("FRAG_RX at another offset", call_as(PEER, FFA_MEM_FRAG_RX, handle & 0xffffffff, handle >> 32, 64, 0),
            FFA_INVALID_PARAMETERS);
    regs = call_as(PEER, FFA_MEM_FRAG_RX, handle & 0xffffffff, handle >> 32, first, 0);
    check("FRAG_RX brings the rest", regs.x[0] << 32 | regs.x[3], (uint64_t)FFA_MEM_FRAG_TX << 32 | (size - first));
    check("its last range", read_rx(PEER, size - first - 16), PAGE_OF(CLIENT, 512 + 2 * (FFA_MAX_RANGES - 1)));
    call_as(PEER, FFA_RX_RELEASE, 0, 0, 0, 0);
    works("the peer writes the last page", store(PEER, PAGE_OF(CLIENT, 512 + 2 * (FFA_MAX_RANGES - 1)), 0x2a), 0);
    works("the owner reads it", load(CLIENT, PAGE_OF(CLIENT, 512 + 2 * (FFA_MAX_RANGES - 1))), 0x2a);
    blocked("a page between is not the peer's", load(PEER, PAGE_OF(CLIENT, 513)));
    accepted("RELINQUISH of all ranges", relinquish(PEER, handle, 0));
    accepted("RECLAIM of all ranges", reclaim(CLIENT, handle, 0));
}

static void check_stub_memory(void)
{
    uint64_t page = PAGE_OF(CLIENT, 5), handle;
    struct smccc_regs regs;

    describe(SP1, FFA_RW, page, 1);
    handle = handle_of(send(CLIENT, FFA_MEM_SHARE_32));
    accepted("RECLAIM of a share to an SP", reclaim(CLIENT, handle, 0));
    handle = handle_of(send(CLIENT, FFA_MEM_SHARE_32));
    regs = ffa_call(FFA_MSG_SEND_DIRECT_REQ_32, ffa_ids(CLIENT, SP1), 0, STUB_RETRIEVE, handle & 0xffffffff, handle >> 32);
    check("an SP retrieves", regs.x[3], 0);
    refused("RECLAIM while an SP has it", reclaim(CLIENT, handle, 0), FFA_DENIED);
    regs = ffa_call(FFA_MSG_SEND_DIRECT_REQ_32, ffa_ids(CLIENT, SP1), 0, STUB_RELINQUISH, handle & 0xffffffff,
                    handle >> 32);
    check("an SP relinquishes", regs.x[3], 0);
    accepted("RECLAIM from an SP", reclaim(CLIENT, handle, 0));
}

static void check_table(void)
{
    uint64_t handles[16];
    unsigned taken = 0, returned = 0;

    for (unsigned i = 0; i < 16; i++) {
        struct smccc_regs regs;
        describe(PEER, FFA_RW, PAGE_OF(CLIENT, 16 + i), 1);
        regs = send(CLIENT, FFA_MEM_SHARE_32);
        taken += ffa_status(&regs) == FFA_OK;
        handles[i] = handle_of(regs);
    }
    check("16 transactions fit", taken, 16);
    describe(PEER, FFA_RW, PAGE_OF(CLIENT, 40), 1);
    refused("the 17th does not", send(CLIENT, FFA_MEM_SHARE_32), FFA_NO_MEMORY);
    works("and changes nothing", store(CLIENT, PAGE_OF(CLIENT, 40), 1), 0);
    for (unsigned i = 0; i < 16; i++) {
        struct smccc_regs regs = reclaim(CLIENT, handles[i], 0);
        returned += ffa_status(&regs) == FFA_OK;
    }
    check("all are reclaimed", returned, 16);
}

void check_memory(void)
{
    check_share();
    check_permissions();
    check_lend();
    check_donate();
    check_descriptors();
    check_fragments();
    check_stub_memory();
    check_table();
}

/* The third VM ends while it has borrowed a page and a request is open. */
void check_teardown(void)
{
    uint64_t page = PAGE_OF(CLIENT, 6), handle;

    describe(OTHER, FFA_RW, page, 1);
    handle = handle_of(send(CLIENT, FFA_MEM_SHARE_32));
    check("RETRIEVE by the third VM", retrieve(OTHER, handle, FFA_RW).x[0], FFA_MEM_RETRIEVE_RESP);
    refused("RECLAIM while it has the page", reclaim(CLIENT, handle, 0), FFA_DENIED);
    refused("a request that it ends in", ffa_call_regs((struct smccc_regs){{
        FFA_MSG_SEND_DIRECT_REQ2, ffa_ids(CLIENT, OTHER), [4] = DO_CALL, [5] = 0x84000008}}), FFA_ABORTED);
    refused("a request to a VM that is off", ffa_call(FFA_MSG_SEND_DIRECT_REQ_32, ffa_ids(CLIENT, OTHER), 0, 0, 0, 0),
            FFA_ABORTED);
    accepted("RECLAIM from a VM that is off", reclaim(CLIENT, handle, 0));
    works("the page is the owner's", store(CLIENT, page, 1), 0);
}
