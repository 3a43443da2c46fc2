#include "scenario.h"

#define FROM_SP 1U
#define FROM_VM 2U
#define FRAMEWORK 8U

static struct smccc_regs bind(unsigned who, uint16_t sender, uint32_t flags, uint64_t bitmap)
{
    return call_as(who, FFA_NOTIFICATION_BIND, ffa_ids(sender, (uint16_t)who), flags, bitmap & 0xffffffff, bitmap >> 32);
}

static struct smccc_regs unbind(unsigned who, uint16_t sender, uint64_t bitmap)
{
    return call_as(who, FFA_NOTIFICATION_UNBIND, ffa_ids(sender, (uint16_t)who), 0, bitmap & 0xffffffff, bitmap >> 32);
}

static struct smccc_regs set(unsigned who, uint16_t receiver, uint32_t flags, uint64_t bitmap)
{
    return call_as(who, FFA_NOTIFICATION_SET, ffa_ids((uint16_t)who, receiver), flags, bitmap & 0xffffffff, bitmap >> 32);
}

static struct smccc_regs get(unsigned who, uint16_t vcpu, uint32_t flags)
{
    return call_as(who, FFA_NOTIFICATION_GET, ffa_ids(vcpu, (uint16_t)who), flags, 0, 0);
}

static void check_bitmaps(void)
{
    refused("BIND without bitmaps", bind(CLIENT, PEER, 0, 1), FFA_NOT_SUPPORTED);
    refused("BITMAP_CREATE for another", ffa_call(FFA_NOTIFICATION_BITMAP_CREATE, PEER, 2, 0, 0, 0),
            FFA_INVALID_PARAMETERS);
    accepted("BITMAP_CREATE", ffa_call(FFA_NOTIFICATION_BITMAP_CREATE, CLIENT, 2, 0, 0, 0));
    refused("BITMAP_CREATE twice", ffa_call(FFA_NOTIFICATION_BITMAP_CREATE, CLIENT, 2, 0, 0, 0), FFA_DENIED);
    accepted("BITMAP_CREATE of a peer", call_as(PEER, FFA_NOTIFICATION_BITMAP_CREATE, PEER, 1, 0, 0));
    refused("BIND of nothing", bind(CLIENT, PEER, 0, 0), FFA_INVALID_PARAMETERS);
    refused("BIND of an unknown sender", bind(CLIENT, NOBODY, 0, 1), FFA_INVALID_PARAMETERS);
    accepted("BIND to an SP", bind(CLIENT, SP1, 0, 1));
    accepted("BIND to a VM", bind(CLIENT, PEER, 0, 3));
    accepted("BIND again", bind(CLIENT, PEER, 0, 3));
    refused("BIND of another's bit", bind(CLIENT, OTHER, 0, 6), FFA_DENIED);
    refused("SET of a bit that is not bound", set(OTHER, CLIENT, 0, 4), FFA_DENIED);
    refused("UNBIND of more than is bound", unbind(CLIENT, PEER, 7), FFA_DENIED);
}

static void check_from_sp(void)
{
    uint64_t before = statistics_of(CLIENT).npi;
    struct smccc_regs regs =
        ffa_call(FFA_MSG_SEND_DIRECT_REQ_32, ffa_ids(CLIENT, SP1), 0, STUB_NOTIFY, 1, 0);

    check("SET by an SP", regs.x[3], 0);
    check("the NPI arrives", statistics_of(CLIENT).npi - before, 1);
    check("GET returns the SP's bit", get(CLIENT, 0, FROM_SP | FROM_VM).x[2], 1);
    check("GET again returns nothing", get(CLIENT, 0, FROM_SP | FROM_VM).x[2], 0);
    accepted("UNBIND", unbind(CLIENT, SP1, 1));
    regs = ffa_call(FFA_MSG_SEND_DIRECT_REQ_32, ffa_ids(CLIENT, SP1), 0, STUB_NOTIFY, 1, 0);
    check("SET after UNBIND is refused", regs.x[3], (uint32_t)FFA_DENIED);
}

static void check_between_vms(void)
{
    uint64_t before = statistics_of(CLIENT).npi;
    struct smccc_regs regs;

    accepted("SET by a VM", set(PEER, CLIENT, 0, 2));
    check("its NPI arrives", statistics_of(CLIENT).npi - before, 1);
    refused("BIND while pending", bind(CLIENT, PEER, 0, 2), FFA_DENIED);
    refused("UNBIND while pending", unbind(CLIENT, PEER, 2), FFA_DENIED);
    regs = ffa_call(FFA_NOTIFICATION_INFO_GET_64, 0, 0, 0, 0, 0);
    check("INFO_GET lists the client", regs.x[2] << 16 | regs.x[3], 1 << 7 << 16 | CLIENT);
    refused("INFO_GET tells it once", ffa_call(FFA_NOTIFICATION_INFO_GET_64, 0, 0, 0, 0, 0), FFA_NO_DATA);
    check("GET returns the VM's bit in x4", get(CLIENT, 0, FROM_VM).x[4], 2);
    accepted("BIND of a per-vCPU notification", bind(PEER, CLIENT, 1, 1UL << 40));
    refused("SET of it as a global one", set(CLIENT, PEER, 0, 1UL << 40), FFA_INVALID_PARAMETERS);
    before = statistics_of(PEER).npi;
    accepted("SET for vCPU 0", set(CLIENT, PEER, 1, 1UL << 40));
    check("the peer's NPI ends its wait", statistics_of(PEER).npi - before, 1);
    regs = ffa_call(FFA_NOTIFICATION_INFO_GET_32, 0, 0, 0, 0, 0);
    check("INFO_GET_32 names the peer's vCPU", regs.x[2] << 32 | regs.x[3], (1UL << 12 | 1 << 7) << 32 | PEER);
    check("GET of the peer: bit 40 in x5", get(PEER, 0, FROM_VM).x[5], 1 << 8);
    refused("GET for another", call_as(PEER, FFA_NOTIFICATION_GET, CLIENT, FROM_VM, 0, 0), FFA_INVALID_PARAMETERS);
    refused("GET for a vCPU that is not there", get(PEER, 3, FROM_VM), FFA_INVALID_PARAMETERS);
}

static void check_framework(void)
{
    uint64_t message[8];
    uint64_t before = statistics_of(PEER).npi;

    write_tx(CLIENT, message, ffa_pack_message(message, FFA_V1_2, CLIENT, PEER, 0x1111));
    accepted("MSG_SEND2 to a VM with bitmaps", ffa_call(FFA_MSG_SEND2, 0, 0, 0, 0, 0));
    check("the NPI tells of the full buffer", statistics_of(PEER).npi - before, 1);
    check("GET: RX buffer full", get(PEER, 0, FRAMEWORK).x[7], 1);
    check("the message waits", read_rx(PEER, 40), 0x1111);
    accepted("and is released", call_as(PEER, FFA_RX_RELEASE, 0, 0, 0, 0));
}

static void check_scheduler(void)
{
    uint64_t before = statistics_of(CLIENT).sri;

    accepted("BITMAP_CREATE of the third VM", call_as(OTHER, FFA_NOTIFICATION_BITMAP_CREATE, OTHER, 1, 0, 0));
    accepted("BIND by the third VM", bind(OTHER, CLIENT, 0, 1));
    /* With its NPI disabled only the scheduler can wake it. */
    store(OTHER, 0x080b0180, 1 << 8);
    accepted("SET for a VM that sleeps", set(CLIENT, OTHER, 0, 1));
    check("the SRI arrives at the first VM", statistics_of(CLIENT).sri - before, 1);
    check("INFO_GET names the VM to run", ffa_call(FFA_NOTIFICATION_INFO_GET_64, 0, 0, 0, 0, 0).x[3], OTHER);
    check("RUN wakes it", ffa_call(FFA_RUN, ffa_ids(OTHER, 0), 0, 0, 0, 0).x[0], FFA_MSG_WAIT);
    check("GET by the third VM", get(OTHER, 0, FROM_VM).x[4], 1);
}

void check_notifications(void)
{
    check_bitmaps();
    check_from_sp();
    check_between_vms();
    check_framework();
    check_scheduler();
    accepted("UNBIND of all", unbind(CLIENT, PEER, 3));
    accepted("BITMAP_DESTROY", ffa_call(FFA_NOTIFICATION_BITMAP_DESTROY, CLIENT, 0, 0, 0, 0));
    refused("BITMAP_DESTROY twice", ffa_call(FFA_NOTIFICATION_BITMAP_DESTROY, CLIENT, 0, 0, 0, 0), FFA_DENIED);
}
