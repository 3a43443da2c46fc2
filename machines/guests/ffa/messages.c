#include "scenario.h"

static struct smccc_regs direct(uint32_t function, uint64_t ids, uint64_t flags)
{
    return ffa_call_regs((struct smccc_regs){{function, ids, flags, 3, 0xdeadbeef, 0xcafebabe, 6, 7}});
}

static void check_stub(void)
{
    struct smccc_regs regs = direct(FFA_MSG_SEND_DIRECT_REQ_32, ffa_ids(CLIENT, SP1), 0);

    check("DIRECT_REQ_32 to SP 0x8001 is answered", regs.x[0], FFA_MSG_SEND_DIRECT_RESP_32);
    check("by SP 0x8001, to the sender", regs.x[1], ffa_ids(SP1, CLIENT));
    check("with x4 and x5 as sent", regs.x[4] << 32 | regs.x[5], 0xdeadbeefcafebabe);
    regs = direct(FFA_MSG_SEND_DIRECT_REQ_64, ffa_ids(CLIENT, SP2), 0);
    check("DIRECT_REQ_64 to SP 0x8002 is answered", regs.x[0], FFA_MSG_SEND_DIRECT_RESP_64);
    regs = ffa_call_regs((struct smccc_regs){{FFA_MSG_SEND_DIRECT_REQ2, ffa_ids(CLIENT, SP1), [17] = 0x17171717}});
    check("DIRECT_REQ2 to SP 0x8001 carries x17", regs.x[0] << 32 | regs.x[17], 0xc400008eUL << 32 | 0x17171717);
}

static void check_peer(void)
{
    struct smccc_regs regs = direct(FFA_MSG_SEND_DIRECT_REQ_32, ffa_ids(CLIENT, PEER), 0);

    check("DIRECT_REQ_32 to another VM is answered", regs.x[0], FFA_MSG_SEND_DIRECT_RESP_32);
    check("by that VM", regs.x[1], ffa_ids(PEER, CLIENT));
    check("after it changed the payload", regs.x[4] << 32 | regs.x[5], 0xdeadbef0cafebabf);
    regs = direct(FFA_MSG_SEND_DIRECT_REQ_64, ffa_ids(CLIENT, OTHER), 0);
    check("DIRECT_REQ_64 to a third VM is answered", regs.x[0], FFA_MSG_SEND_DIRECT_RESP_64);
    regs = call_as(PEER, FFA_MSG_SEND_DIRECT_REQ_32, ffa_ids(PEER, OTHER), 0, 30, 40);
    check("a request inside a request is answered", regs.x[3] << 8 | regs.x[4], 31 << 8 | 41);
    regs = call_as(PEER, FFA_MSG_SEND_DIRECT_REQ_64, ffa_ids(PEER, CLIENT), 0, 50, 60);
    check("a request back is served by the second vCPU", regs.x[3] << 8 | regs.x[4], 51 << 8 | 61);
}

static void check_direct_errors(void)
{
    refused("DIRECT_REQ to an unknown endpoint", direct(FFA_MSG_SEND_DIRECT_REQ_32, ffa_ids(CLIENT, NOBODY), 0),
            FFA_INVALID_PARAMETERS);
    refused("DIRECT_REQ in another's name", direct(FFA_MSG_SEND_DIRECT_REQ_32, ffa_ids(PEER, SP1), 0),
            FFA_INVALID_PARAMETERS);
    refused("DIRECT_REQ to oneself", direct(FFA_MSG_SEND_DIRECT_REQ_32, ffa_ids(CLIENT, CLIENT), 0),
            FFA_INVALID_PARAMETERS);
    refused("DIRECT_REQ with flags", direct(FFA_MSG_SEND_DIRECT_REQ_32, ffa_ids(CLIENT, SP1), 1),
            FFA_INVALID_PARAMETERS);
    refused("a framework message from a VM", direct(FFA_MSG_SEND_DIRECT_REQ_32, ffa_ids(CLIENT, SP1), 0x80000008),
            FFA_INVALID_PARAMETERS);
    refused("DIRECT_REQ2 for a service that the receiver lacks",
            ffa_call(FFA_MSG_SEND_DIRECT_REQ2, ffa_ids(CLIENT, SP1), 1, 2, 0, 0), FFA_INVALID_PARAMETERS);
    refused("DIRECT_RESP without a request", direct(FFA_MSG_SEND_DIRECT_RESP_32, ffa_ids(CLIENT, PEER), 0),
            FFA_DENIED);
    refused("DIRECT_RESP of the wrong kind", call_as(PEER, FFA_MSG_SEND_DIRECT_RESP_32, ffa_ids(PEER, CLIENT), 0, 0, 0),
            FFA_DENIED);
    refused("DIRECT_RESP to someone who asked nothing",
            call_as(PEER, FFA_MSG_SEND_DIRECT_RESP_32, ffa_ids(PEER, OTHER), 0, 0, 0), FFA_DENIED);
    refused("MSG_WAIT while a request is open", call_as(PEER, FFA_MSG_WAIT, 0, 0, 0, 0), FFA_DENIED);
    refused("MSG_WAIT with x1 set", ffa_call(FFA_MSG_WAIT, 1, 0, 0, 0, 0), FFA_INVALID_PARAMETERS);
    refused("a cycle of requests",
            call_as(PEER, FFA_MSG_SEND_DIRECT_REQ2, ffa_ids(PEER, PEER), 0, 0, 0), FFA_INVALID_PARAMETERS);
}

static void check_run(void)
{
    struct smccc_regs regs;

    refused("RUN of a stub partition", ffa_call(FFA_RUN, ffa_ids(SP1, 0), 0, 0, 0, 0), FFA_NOT_SUPPORTED);
    refused("RUN of nobody", ffa_call(FFA_RUN, ffa_ids(NOBODY, 0), 0, 0, 0, 0), FFA_INVALID_PARAMETERS);
    refused("RUN of a vCPU that is not there", ffa_call(FFA_RUN, ffa_ids(PEER, 5), 0, 0, 0, 0), FFA_INVALID_PARAMETERS);
    regs = ffa_call(FFA_RUN, ffa_ids(PEER, 0), 0, 0, 0, 0);
    check("RUN of a VM that waits ends with its MSG_WAIT", regs.x[0] << 32 | regs.x[1],
          (uint64_t)FFA_MSG_WAIT << 32 | ffa_ids(PEER, 0));
    regs = ffa_call(FFA_RUN, ffa_ids(PEER, 0), 0, 0, 0, 0);
    check("RUN ends with a yield", regs.x[0], FFA_YIELD);
    regs = ffa_call(FFA_RUN, ffa_ids(PEER, 0), 0, 0, 0, 0);
    check("RUN after a yield goes on", regs.x[0], FFA_MSG_WAIT);
    check("the VM was run twice from its wait", statistics_of(PEER).runs, 2);
    accepted("YIELD", ffa_call(FFA_YIELD, 0, 0, 0, 0, 0));
}

struct smccc_regs send2(unsigned who, uint16_t sender, uint16_t receiver, uint64_t payload)
{
    uint64_t message[8];

    write_tx(who, message, ffa_pack_message(message, spoken[who], sender, receiver, payload));
    return call_as(who, FFA_MSG_SEND2, 0, 0, 0, 0);
}

static void check_indirect(void)
{
    accepted("MSG_SEND2 to a peer", send2(CLIENT, CLIENT, PEER, 0xcafebabe));
    check("the peer has the payload", read_rx(PEER, 40), 0xcafebabe);
    check("and the sender", read_rx(PEER, 8) >> 32, ffa_ids(CLIENT, PEER));
    refused("MSG_SEND2 while RX is full", send2(CLIENT, CLIENT, PEER, 1), FFA_BUSY);
    accepted("RX_RELEASE of the peer", call_as(PEER, FFA_RX_RELEASE, 0, 0, 0, 0));
    refused("RX_RELEASE again", call_as(PEER, FFA_RX_RELEASE, 0, 0, 0, 0), FFA_DENIED);
    accepted("MSG_SEND2 from a peer", send2(PEER, PEER, CLIENT, 0x5ca1ab1e));
    check("the client has the payload", rx[5], 0x5ca1ab1e);
    accepted("RX_RELEASE of the client", ffa_call(FFA_RX_RELEASE, 0, 0, 0, 0, 0));
    refused("MSG_SEND2 in another's name", send2(CLIENT, PEER, OTHER, 1), FFA_INVALID_PARAMETERS);
    refused("MSG_SEND2 to oneself", send2(CLIENT, CLIENT, CLIENT, 1), FFA_INVALID_PARAMETERS);
    refused("MSG_SEND2 to nobody", send2(CLIENT, CLIENT, NOBODY, 1), FFA_INVALID_PARAMETERS);
    refused("MSG_SEND2 to a stub partition", send2(CLIENT, CLIENT, SP1, 1), FFA_DENIED);
    refused("MSG_SEND2 with flags", ffa_call(FFA_MSG_SEND2, 0, 2, 0, 0, 0), FFA_INVALID_PARAMETERS);
    tx[2] = 5000;
    refused("MSG_SEND2 of more than the buffer", ffa_call(FFA_MSG_SEND2, 0, 0, 0, 0, 0), FFA_INVALID_PARAMETERS);
}

void check_messages(void)
{
    check_stub();
    check_peer();
    check_direct_errors();
    check_run();
    check_indirect();
}
