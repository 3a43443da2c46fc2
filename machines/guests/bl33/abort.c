/* Partitions that fail. They stay aborted, so these tests are the last. */
#include "client.h"

#define LENT_PAGE 30U
#define WORD 0xdeadbeefU

/* In the middle of a chain: its caller is told, and everything it had goes back. */
static void failing_callee(void)
{
    struct smccc_regs regs;
    uint64_t handle;

    set_page_word(LENT_PAGE, WORD);
    handle = lend(SP_HELLO, LENT_PAGE);
    expect(retrieve(SP_HELLO, handle, FFA_RW | FFA_NX, 0), FFA_OK);
    expect_code(reclaim(handle, 0), FFA_DENIED);
    regs = request(SP_RELAY, SP_CALL, SP_HELLO, SP_FAIL, 0, 0);
    expect(regs.x[0], FFA_MSG_SEND_DIRECT_RESP_32);
    expect(regs.x[4], code(FFA_ABORTED));
    expect(regs.x[7], 1);
    expect_code(reclaim(handle, 0), FFA_OK);
    expect(page_word(LENT_PAGE), WORD);
}

static void aborted(void)
{
    expect_code(request(SP_HELLO, 0, 0, 0, 0, 0), FFA_ABORTED);
    expect_code(run(SP_HELLO), FFA_ABORTED);
    expect(answered(SP_RELAY, SP_RELAY_TO, SP_HELLO, 0, 0, 0), code(FFA_ABORTED));
    expect(answered(SP_IRQ, 0, 1, 0, 0, 0), 1 + SP_ECHO_ADDS);
    expect(answered(SP_RELAY, SP_RELAY_TO, SP_IRQ, 2, 0, 0), 2 + SP_ECHO_ADDS);
}

static void failing(void)
{
    expect_code(request(SP_RELAY, SP_FAIL, 0, 0, 0, 0), FFA_ABORTED);
    expect_code(request(SP_RELAY, 0, 0, 0, 0, 0), FFA_ABORTED);
    expect(answered(SP_IRQ, SP_WORK, 3, 0, 0, 0), 3 + SP_WORK_ADDS);
}

void abort_tests(void)
{
    test("An SP that fails in a chain", failing_callee);
    test("Calls of an aborted SP", aborted);
    test("An SP that fails in a request", failing);
}
