/* sp_irq: owns the secure physical timer, and answers when it interrupted. */
#include "arch.h"
#include "hypercall.h"
#include "mmio.h"
#include "store.h"

#define CNTPS_CTL_EL1 S3_7_C14_C2_1
#define CNTPS_CVAL_EL1 S3_7_C14_C2_2
#define TIMER_ENABLE 1U
#define SOON 2000U
#define LONGEST_WAIT 0x4000000U

static volatile unsigned fired;
static volatile uint64_t due, lateness;

static uint64_t count(void)
{
    ISB();
    return READ_SYSREG(cntpct_el0);
}

static void init(void)
{
    interrupt_enable(SP_TIMER_INTID, false);
}

static void interrupt(unsigned intid)
{
    lateness = count() - due;
    WRITE_SYSREG(CNTPS_CTL_EL1, 0);
    ISB();
    fired = intid;
}

static void alarm(uint64_t ticks)
{
    fired = 0;
    due = count() + ticks;
    WRITE_SYSREG(CNTPS_CVAL_EL1, due);
    WRITE_SYSREG(CNTPS_CTL_EL1, TIMER_ENABLE);
    ISB();
}

static bool work(struct smccc_regs *message)
{
    irq_disable();
    alarm(SOON);
    irq_enable();
    for (unsigned waited = 0; !fired && waited < LONGEST_WAIT; waited++)
        ;
    message->x[4] += SP_WORK_ADDS;
    message->x[5] = fired;
    return true;
}

static bool swap(struct smccc_regs *message)
{
    uint64_t handle = handle_in(message, 4);
    struct retrieved found = retrieve_any(handle, SP_HELLO);
    uint32_t word;

    if (found.status)
        return nothing(message);
    word = mmio_read32(found.address);
    mmio_write32(found.address, SP_IRQ_WORD);
    if (relinquish(handle, 0))
        return nothing(message);
    return answer(message, (uint32_t)handle + SP_SWAP_ADDS, word, 0, 0);
}

static bool serve(struct smccc_regs *message)
{
    switch (message->x[3]) {
    case SP_WORK:
        return work(message);
    case SP_STORE:
        return store(message);
    case SP_SWAP:
        return swap(message);
    case SP_ALARM:
        interrupt_enable(SP_TIMER_INTID, message->x[5] == 1);
        alarm(message->x[4]);
        return true;
    case SP_LATENESS:
        message->x[4] = lateness;
        return true;
    default:
        return false;
    }
}

const struct partition partition = {
    .banner = "[SP2] Hello from S-EL1!",
    .name = "SP2",
    .echo_adds = SP_ECHO_ADDS,
    .init = init,
    .serve = serve,
    .interrupt = interrupt,
};
