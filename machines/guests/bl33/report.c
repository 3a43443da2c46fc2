#include "client.h"

#include "print.h"

static unsigned tests, passed;

/* Of the test that runs. */
static struct {
    unsigned checks;
    unsigned failed;
    uint64_t got;
    uint64_t expected;
} now;

void expect(uint64_t got, uint64_t expected)
{
    now.checks++;
    if (got == expected || now.failed)
        return;
    now.failed = now.checks;
    now.got = got;
    now.expected = expected;
}

void expect_code(struct smccc_regs regs, int32_t wanted)
{
    expect(code(ffa_status(&regs)), code(wanted));
}

void test(const char *name, void (*run_test)(void))
{
    tests++;
    now.checks = now.failed = 0;
    print("  Test %u: %s ... ", tests, name);
    run_test();
    if (now.failed) {
        print("FAIL (got 0x%lx, expected 0x%lx, check %u)\n", now.got, now.expected, now.failed);
        return;
    }
    passed++;
    print("PASS\n");
}

void report_summary(void)
{
    print("  All tests complete.\n%u PASS of %u\n", passed, tests);
}
