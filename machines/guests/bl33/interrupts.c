#include "client.h"

#include "exception.h"
#include "gic.h"
#include "timer.h"

#define HYPERVISOR_TIMER_INTID 26U
/* Looks at the interrupt controller; a payload at EL2 is interrupted within a few hundred instructions. */
#define LONGEST_WAIT 4096U
#define MEASURED_ROUNDS 65536U

volatile unsigned ticks, notification_interrupts, schedule_interrupts;

static uint64_t tick_period, measured;

static void timer_write(uint64_t compare, uint64_t control)
{
    if (owns_el2) {
        WRITE_SYSREG(cnthp_cval_el2, compare);
        WRITE_SYSREG(cnthp_ctl_el2, control);
    } else {
        WRITE_SYSREG(cntv_cval_el0, compare);
        WRITE_SYSREG(cntv_ctl_el0, control);
    }
    ISB();
}

static void on_tick(unsigned intid)
{
    (void)intid;
    ticks++;
    timer_write(timer_count() + tick_period, TIMER_ENABLE);
}

static void on_notification(unsigned intid)
{
    (void)intid;
    notification_interrupts++;
}

static void on_schedule(unsigned intid)
{
    (void)intid;
    schedule_interrupts++;
}

static void on_sync(struct exception_frame *frame, unsigned vector)
{
    if (!probe_caught(frame))
        exception_panic(frame, vector);
}

void ticking_start(uint64_t period)
{
    tick_period = period;
    timer_write(timer_count() + period, TIMER_ENABLE);
}

void ticking_stop(void)
{
    timer_write(0, 0);
    take_interrupts();
}

void take_interrupts(void)
{
    irq_enable();
    for (unsigned n = 0; n < LONGEST_WAIT && READ_SYSREG(icc_hppir1_el1) < GIC_SPURIOUS - 3; n++)
        ;
    irq_disable();
}

static void measure(void)
{
    uint64_t start = timer_count();

    spin(MEASURED_ROUNDS);
    measured = timer_count() - start;
}

uint64_t ticks_of(uint64_t rounds)
{
    return rounds * measured / MEASURED_ROUNDS;
}

/* Both feature interrupts are where FEATURES says; a caller that owns EL2 has no notification interrupt of its own. */
static void enable_feature(unsigned id, gic_handler *handler)
{
    struct smccc_regs regs = call(FFA_FEATURES, id, 0, 0, 0);

    if (ffa_status(&regs) == FFA_OK)
        gic_enable((unsigned)regs.x[2], handler);
}

void interrupts_init(void)
{
    exception_set_sync(on_sync);
    gic_init();
    gic_enable(owns_el2 ? HYPERVISOR_TIMER_INTID : TIMER_VIRTUAL_INTID, on_tick);
    measure();
}

void feature_interrupts_init(void)
{
    enable_feature(FFA_FEATURE_NPI, on_notification);
    enable_feature(FFA_FEATURE_SRI, on_schedule);
}
