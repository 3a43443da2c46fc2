/* Generic timer: counters, both EL1 timers, their interrupts, per-vCPU state. */
#include "timer.h"

#include "check.h"
#include "gic.h"
#include "print.h"

#define FREQUENCY 62500000UL
#define MILLISECOND (FREQUENCY / 1000)

/* The same checks run over both timers; accessors because a system register name cannot be a variable. */
struct timer {
    const char *name;
    unsigned intid;
    uint64_t (*count)(void);
    uint64_t (*get_ctl)(void);
    uint64_t (*get_cval)(void);
    uint64_t (*get_tval)(void);
    void (*set_ctl)(uint64_t value);
    void (*set_cval)(uint64_t value);
    void (*set_tval)(uint64_t value);
};

#define ACCESSORS(timer, counter)                                 \
    static uint64_t timer##_count(void)                           \
    {                                                             \
        ISB();                                                    \
        return READ_SYSREG(counter##_el0);                        \
    }                                                             \
    static uint64_t timer##_get_ctl(void)                         \
    {                                                             \
        ISB();                                                    \
        return READ_SYSREG(timer##_ctl_el0);                      \
    }                                                             \
    static uint64_t timer##_get_cval(void)                        \
    {                                                             \
        return READ_SYSREG(timer##_cval_el0);                     \
    }                                                             \
    static uint64_t timer##_get_tval(void)                        \
    {                                                             \
        ISB();                                                    \
        return READ_SYSREG(timer##_tval_el0);                     \
    }                                                             \
    static void timer##_set_ctl(uint64_t value)                   \
    {                                                             \
        WRITE_SYSREG(timer##_ctl_el0, value);                     \
        ISB();                                                    \
    }                                                             \
    static void timer##_set_cval(uint64_t value)                  \
    {                                                             \
        WRITE_SYSREG(timer##_cval_el0, value);                    \
        ISB();                                                    \
    }                                                             \
    static void timer##_set_tval(uint64_t value)                  \
    {                                                             \
        WRITE_SYSREG(timer##_tval_el0, value);                    \
        ISB();                                                    \
    }

ACCESSORS(cntv, cntvct)
ACCESSORS(cntp, cntpct)

#define TIMER(timer, intid)                                                                               \
    {                                                                                                     \
        #timer, intid, timer##_count, timer##_get_ctl, timer##_get_cval, timer##_get_tval, timer##_set_ctl, \
            timer##_set_cval, timer##_set_tval                                                            \
    }

static const struct timer timers[] = {TIMER(cntv, TIMER_VIRTUAL_INTID), TIMER(cntp, TIMER_PHYSICAL_INTID)};

static void check_counter(const struct timer *t)
{
    uint64_t first = t->count(), previous = first, backwards = 0;

    for (unsigned i = 0; i < 1000; i++) {
        uint64_t now = t->count();
        backwards += now < previous;
        previous = now;
    }
    check_detail(t->name, ": counter never goes back", backwards, 0);
    check_detail(t->name, ": counter advances", previous > first, true);
}

static void check_compare(const struct timer *t)
{
    uint64_t before, after, cval, tval;

    t->set_ctl(0);
    t->set_cval(0x0123456789abcdef);
    check_detail(t->name, ": CVAL is 64 bits", t->get_cval(), 0x0123456789abcdef);
    before = t->count();
    t->set_tval(100000);
    after = t->count();
    cval = t->get_cval();
    check_detail(t->name, ": TVAL sets CVAL relative to the count", cval - before - 100000 <= after - before, true);
    before = t->count();
    tval = t->get_tval();
    after = t->count();
    check_detail(t->name, ": TVAL reads what remains", (cval - tval - before & 0xffffffff) <= after - before, true);
    before = t->count();
    t->set_tval(0xfffffff0);
    after = t->count();
    check_detail(t->name, ": TVAL is signed", t->get_cval() + 16 - before <= after - before, true);
    check_detail(t->name, ": TVAL reads as 32 bits", t->get_tval() >> 32, 0);
}

static void check_status(const struct timer *t)
{
    t->set_cval(~0UL);
    t->set_ctl(TIMER_ENABLE);
    check_detail(t->name, ": ISTATUS clear before CVAL", t->get_ctl(), TIMER_ENABLE);
    t->set_cval(t->count());
    check_detail(t->name, ": ISTATUS set at CVAL", t->get_ctl(), TIMER_ENABLE | TIMER_ISTATUS);
    t->set_ctl(TIMER_ENABLE | TIMER_IMASK);
    check_detail(t->name, ": IMASK keeps ISTATUS", t->get_ctl(), TIMER_ENABLE | TIMER_IMASK | TIMER_ISTATUS);
    t->set_cval(~0UL);
    check_detail(t->name, ": ISTATUS follows a new CVAL", t->get_ctl(), TIMER_ENABLE | TIMER_IMASK);
    t->set_ctl(0);
    check_detail(t->name, ": disabled", t->get_ctl() & TIMER_ENABLE, 0);
}

static void check_expiry(const struct timer *t)
{
    uint64_t cval = t->count() + MILLISECOND;

    t->set_cval(cval);
    t->set_ctl(TIMER_ENABLE | TIMER_IMASK);
    check_detail(t->name, ": expires", eventually(t->get_ctl() & TIMER_ISTATUS), true);
    check_detail(t->name, ": not before CVAL", t->count() >= cval, true);
    t->set_ctl(0);
}

static void check_masking(const struct timer *t)
{
    t->set_cval(t->count());
    t->set_ctl(TIMER_ENABLE | TIMER_IMASK);
    check_detail(t->name, ": IMASK holds the interrupt back", READ_SYSREG(icc_hppir1_el1), GIC_SPURIOUS);
    t->set_ctl(TIMER_ENABLE);
    check_detail(t->name, ": unmasked is pending", pending_becomes(t->intid), true);
    check_detail(t->name, ": ISR_EL1.I shows it", READ_SYSREG(isr_el1) & PSR_I, PSR_I);
    check_detail(t->name, ": acknowledged id", acknowledge(), t->intid);
    end_of_interrupt(t->intid);
    check_detail(t->name, ": level interrupt comes back", pending_becomes(t->intid), true);
    t->set_cval(~0UL);
    check_detail(t->name, ": a later CVAL takes it away", pending_becomes(GIC_SPURIOUS), true);
    t->set_ctl(0);
}

static void check_interrupt(const struct timer *t)
{
    unsigned before = irqs[0].count;
    uint64_t cval = t->count() + MILLISECOND;

    t->set_cval(cval);
    t->set_ctl(TIMER_ENABLE);
    irq_enable();
    while (irqs[0].count == before && t->count() < cval + FREQUENCY)
        WFI();
    irq_disable();
    check_detail(t->name, ": one interrupt from WFI", irqs[0].count - before, 1);
    check_detail(t->name, ": interrupt id", irqs[0].last, t->intid);
    check_detail(t->name, ": interrupt not before CVAL", t->count() >= cval, true);
    t->set_ctl(0);
}

static void check_masked_wait(const struct timer *t)
{
    uint64_t cval = t->count() + MILLISECOND;

    t->set_cval(cval);
    t->set_ctl(TIMER_ENABLE);
    while (!(t->get_ctl() & TIMER_ISTATUS))
        WFI();
    check_detail(t->name, ": WFI wakes with interrupts masked", pending_becomes(t->intid), true);
    t->set_ctl(0);
    check_detail(t->name, ": off again", pending_becomes(GIC_SPURIOUS), true);
}

static void arm_own_timer(uint64_t unused)
{
    (void)unused;
    gic_enable(TIMER_VIRTUAL_INTID, NULL);
    timer_virtual_at(timer_count() + MILLISECOND);
    (void)eventually(irqs[1].last == TIMER_VIRTUAL_INTID);
}

static void check_peer_timer(void)
{
    unsigned before = irqs[0].count;

    irqs[1].last = 0;
    irq_enable();
    check("cntv: vcpu 1 arms its own", peer_run(arm_own_timer, 0));
    irq_disable();
    check_equal("cntv: vcpu 1 is interrupted by its own", irqs[1].last, TIMER_VIRTUAL_INTID);
    check_equal("cntv: vcpu 0 is not", irqs[0].count - before, 0);
}

static void check_both(void)
{
    unsigned before = irqs[0].count;

    for (unsigned i = 0; i < ARRAY_SIZE(timers); i++) {
        timers[i].set_cval(timers[i].count() + MILLISECOND);
        timers[i].set_ctl(TIMER_ENABLE);
    }
    irq_enable();
    check("cntv and cntp: both interrupt", eventually(irqs[0].count == before + 2));
    irq_disable();
}

void check_timer(void)
{
    check_equal("cntfrq", timer_frequency(), FREQUENCY);
    check("cntpct is not behind cntvct", cntv_count() <= cntp_count());
    for (unsigned i = 0; i < ARRAY_SIZE(timers); i++) {
        const struct timer *t = &timers[i];
        gic_enable(t->intid, NULL);
        check_counter(t);
        check_compare(t);
        check_status(t);
        check_expiry(t);
        check_masking(t);
        check_interrupt(t);
        check_masked_wait(t);
    }
    check_both();
    if (peer_present())
        check_peer_timer();
}
