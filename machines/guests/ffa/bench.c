/* Cost of FF-A calls, in CNTVCT ticks: bootargs `role=client mode=version|share n=NUMBER pages=NUMBER`, or `role=peer`.
 *
 * A round of `share` is a whole life of a transaction: MEM_SHARE, a direct request that has the peer retrieve and
 * relinquish the pages, MEM_RECLAIM. */
#include "arch.h"
#include "ffa.h"
#include "machine.h"
#include "print.h"
#include "timer.h"

#define CLIENT 1U
#define PEER 2U
/* One page past a 2 MB boundary, so that even 512 pages are not a whole block. */
#define SHARED_OFFSET 0x1001000UL

static __attribute__((aligned(4096))) uint64_t tx[512], rx[512];
static struct ffa_region region;

static void setup(void)
{
    ffa_call(FFA_VERSION, FFA_V1_2, 0, 0, 0, 0);
    ffa_call(FFA_RXTX_MAP_64, (uint64_t)(uintptr_t)tx, (uint64_t)(uintptr_t)rx, 1, 0, 0);
}

static void describe(uint32_t pages, uint64_t handle)
{
    region.version = FFA_V1_2;
    region.sender = CLIENT;
    region.attributes = pages ? FFA_NORMAL_WB_ISH : 0;
    region.handle = handle;
    region.receivers = 1;
    region.receiver[0] = (struct ffa_receiver){PEER, FFA_RW, 0};
    region.ranges = pages ? 1 : 0;
    region.range[0] = (struct ffa_range){machine.ram_base + SHARED_OFFSET, pages};
}

static struct smccc_regs send(uint32_t function)
{
    uint32_t size = ffa_pack_region(tx, &region);

    return ffa_call(function, size, size, 0, 0, 0);
}

/* Retrieve and relinquish what the message names; 0, or the code of what was refused. */
static int32_t borrow(uint64_t handle)
{
    struct smccc_regs regs;

    describe(0, handle);
    regs = send(FFA_MEM_RETRIEVE_REQ_32);
    if (ffa_status(&regs) != FFA_OK)
        return ffa_status(&regs);
    ffa_call(FFA_RX_RELEASE, 0, 0, 0, 0, 0);
    ffa_pack_relinquish(tx, handle, 0, PEER);
    regs = ffa_call(FFA_MEM_RELINQUISH, 0, 0, 0, 0, 0);
    return ffa_status(&regs);
}

static _Noreturn void serve(void)
{
    struct smccc_regs message = ffa_call(FFA_MSG_WAIT, 0, 0, 0, 0, 0);

    for (;;) {
        uint64_t code = (uint64_t)(uint32_t)borrow(message.x[3]);

        message = ffa_call(FFA_MSG_SEND_DIRECT_RESP_64, ffa_ids(PEER, CLIENT), 0, code, 0, 0);
    }
}

/* Until the peer has started it is BUSY. */
static struct smccc_regs ask(uint64_t handle)
{
    for (;;) {
        struct smccc_regs regs =
            ffa_call(FFA_MSG_SEND_DIRECT_REQ_64, ffa_ids(CLIENT, PEER), 0, handle, 0, 0);

        if (ffa_status(&regs) != FFA_BUSY)
            return regs;
        ffa_call(FFA_YIELD, 0, 0, 0, 0, 0);
    }
}

static bool share_once(uint32_t pages)
{
    struct smccc_regs regs;
    uint64_t handle;

    describe(pages, 0);
    regs = send(FFA_MEM_SHARE_32);
    if (ffa_status(&regs) != FFA_OK)
        return false;
    handle = regs.x[2] | regs.x[3] << 32;
    regs = ask(handle);
    if (regs.x[0] != FFA_MSG_SEND_DIRECT_RESP_64 || regs.x[3] != 0)
        return false;
    regs = ffa_call(FFA_MEM_RECLAIM, handle & 0xffffffff, handle >> 32, 0, 0, 0);
    return ffa_status(&regs) == FFA_OK;
}

static uint64_t run_versions(uint64_t n)
{
    uint64_t done = 0;

    while (n--)
        done += ffa_call(FFA_VERSION, FFA_V1_2, 0, 0, 0, 0).x[0] == FFA_V1_2;
    return done;
}

static uint64_t run_shares(uint64_t n, uint32_t pages)
{
    uint64_t done = 0;

    while (n--)
        done += share_once(pages);
    return done;
}

static void measure(void)
{
    uint64_t n = bootarg_number("n", 100), start = timer_count(), done;
    char mode[8];

    bootarg_string("mode", mode, sizeof(mode));
    if (string_equal(mode, "version"))
        done = run_versions(n);
    else
        done = run_shares(n, (uint32_t)bootarg_number("pages", 1));
    print("BENCH %s %lu of %lu %lu\n", mode, done, n, timer_count() - start);
}

void guest_main(void)
{
    char role[8];

    bootarg_string("role", role, sizeof(role));
    setup();
    if (string_equal(role, "peer"))
        serve();
    measure();
}
