/* Direct messages: all kinds, and every way to get them wrong. */
#include "client.h"

#define HELLO_UUID_HALF 0x1234567812345678UL
#define FRAMEWORK_VERSION (1UL << 31 | 8)

static void request_of_64_bits(void)
{
    struct smccc_regs regs =
        request_64(SP_IRQ, 0x1111111122222222, 0x3333333344444444, ~0UL, 0x8000000000000000, 0x7777777788888888);

    expect(regs.x[0], FFA_MSG_SEND_DIRECT_RESP_64);
    expect(regs.x[1], ffa_ids(SP_IRQ, own_id));
    expect(regs.x[3], 0x1111111122222222);
    expect(regs.x[4], 0x3333333344445444);
    expect(regs.x[5], ~0UL);
    expect(regs.x[7], 0x7777777788888888);
}

static void request_of_32_bits(void)
{
    struct smccc_regs regs = request(SP_HELLO, 0x100000001, 0x20000bbbb, 0x300000000, 0, ~0UL);

    expect(regs.x[0], FFA_MSG_SEND_DIRECT_RESP_32);
    expect(regs.x[2], 0);
    expect(regs.x[3], 1);
    expect(regs.x[4], 0xcbbb);
    expect(regs.x[5], 0);
    expect(regs.x[7], 0xffffffff);
}

static struct smccc_regs request2(uint16_t receiver, uint64_t low, uint64_t high)
{
    struct smccc_regs regs = {{FFA_MSG_SEND_DIRECT_REQ2, ffa_ids(own_id, receiver), low, high}};

    for (unsigned i = 4; i < 18; i++)
        regs.x[i] = (uint64_t)i << 32 | i;
    return ffa_call_regs(regs);
}

static void request_by_uuid(void)
{
    struct smccc_regs regs = request2(SP_HELLO, HELLO_UUID_HALF, HELLO_UUID_HALF);

    expect(regs.x[0], FFA_MSG_SEND_DIRECT_RESP2);
    expect(regs.x[1], ffa_ids(SP_HELLO, own_id));
    expect(regs.x[2] | regs.x[3], 0);
    expect(regs.x[4], (4UL << 32 | 4) + SP_ECHO_ADDS);
    for (unsigned i = 5; i < 18; i++)
        expect(regs.x[i], (uint64_t)i << 32 | i);
    expect(request2(SP_RELAY, 0, 0).x[0], FFA_MSG_SEND_DIRECT_RESP2);
    expect_code(request2(SP_IRQ, HELLO_UUID_HALF, HELLO_UUID_HALF), FFA_INVALID_PARAMETERS);
    expect_code(request2(SP_HELLO, HELLO_UUID_HALF, 0), FFA_INVALID_PARAMETERS);
}

static struct smccc_regs plain(uint64_t ids, uint64_t flags)
{
    return call(FFA_MSG_SEND_DIRECT_REQ_32, ids, flags, 0, 0);
}

static void request_errors(void)
{
    expect_code(plain(ffa_ids(own_id, NOBODY), 0), FFA_INVALID_PARAMETERS);
    expect_code(plain(ffa_ids(own_id, 0x8004), 0), FFA_INVALID_PARAMETERS);
    expect_code(plain(ffa_ids(own_id, own_id), 0), FFA_INVALID_PARAMETERS);
    expect_code(plain(ffa_ids(SP_IRQ, SP_HELLO), 0), FFA_INVALID_PARAMETERS);
    expect_code(plain(ffa_ids(own_id, SP_HELLO), 1), FFA_INVALID_PARAMETERS);
    expect_code(plain(ffa_ids(own_id, SP_HELLO), FRAMEWORK_VERSION), FFA_INVALID_PARAMETERS);
    expect_code(plain(ffa_ids(own_id, FFA_SPMC), 0), FFA_INVALID_PARAMETERS);
    expect(answered(SP_HELLO, 0, 7, 0, 0, 0), 7 + SP_ECHO_ADDS);
}

/* Have a partition make a call; x0-x7 of the result in x5-x12. */
static struct smccc_regs made_by(uint16_t partition, uint32_t function, uint64_t x1, uint64_t x2, uint64_t x3)
{
    return ffa_call_regs((struct smccc_regs){
        {FFA_MSG_SEND_DIRECT_REQ2, ffa_ids(own_id, partition), [4] = SP_FUNCTION, function, x1, x2, x3}});
}

static void expect_refused(uint16_t partition, uint32_t function, uint64_t x1, uint64_t x2, int32_t status)
{
    struct smccc_regs regs = made_by(partition, function, x1, x2, 0);

    expect(regs.x[0], FFA_MSG_SEND_DIRECT_RESP2);
    expect(regs.x[5], FFA_ERROR);
    expect(regs.x[7], code(status));
}

/* What a partition may not do while it serves a request. */
static void partition_errors(void)
{
    expect_refused(SP_HELLO, FFA_MSG_WAIT, 0, 0, FFA_DENIED);
    expect_refused(SP_HELLO, FFA_ERROR, 0, 0xfffffffe, FFA_DENIED);
    expect_refused(SP_HELLO, FFA_RUN, ffa_ids(SP_IRQ, 0), 0, FFA_DENIED);
    expect_refused(SP_HELLO, FFA_MSG_SEND_DIRECT_RESP_32, ffa_ids(SP_HELLO, own_id), 0, FFA_DENIED);
    expect_refused(SP_HELLO, FFA_MSG_SEND_DIRECT_RESP2, ffa_ids(SP_HELLO, SP_IRQ), 0, FFA_DENIED);
    expect_refused(SP_HELLO, FFA_MSG_SEND_DIRECT_RESP2, ffa_ids(SP_IRQ, own_id), 0, FFA_INVALID_PARAMETERS);
    expect_refused(SP_HELLO, FFA_MSG_SEND_DIRECT_REQ_32, ffa_ids(SP_HELLO, own_id), 0, FFA_INVALID_PARAMETERS);
    expect_refused(SP_HELLO, FFA_MSG_SEND_DIRECT_REQ_32, ffa_ids(SP_IRQ, SP_RELAY), 0, FFA_INVALID_PARAMETERS);
    expect_refused(SP_HELLO, FFA_NOTIFICATION_BITMAP_CREATE, 1, 1, FFA_NOT_SUPPORTED);
    expect_refused(SP_HELLO, FFA_FEATURES, FFA_FEATURE_SRI, 0, FFA_NOT_SUPPORTED);
    expect(made_by(SP_HELLO, FFA_FEATURES, FFA_FEATURE_NPI, 0, 0).x[5], FFA_SUCCESS_32);
    expect(made_by(SP_RELAY, FFA_ID_GET, 0, 0, 0).x[7], SP_RELAY);
    expect(made_by(SP_RELAY, FFA_VERSION, FFA_V1_1, 0, 0).x[5], 0xffffffff);
}

void message_tests(void)
{
    test("DIRECT_REQ_64", request_of_64_bits);
    test("DIRECT_REQ_32 carries 32 bits", request_of_32_bits);
    test("DIRECT_REQ2 by UUID", request_by_uuid);
    test("DIRECT_REQ errors", request_errors);
    test("Calls that an SP may not make", partition_errors);
}
