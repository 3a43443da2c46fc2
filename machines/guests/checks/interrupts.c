#include "check.h"

#include "exception.h"
#include "gic.h"

/* probe.S */
void el0_return(void);

struct irq_record irqs[MAX_CPUS];
void (*volatile irq_hook)(unsigned intid);

/* A timer's line stays high until its condition goes away. */
static void silence(unsigned intid)
{
    if (intid == TIMER_VIRTUAL_INTID)
        WRITE_SYSREG(cntv_ctl_el0, 0);
    if (intid == TIMER_PHYSICAL_INTID)
        WRITE_SYSREG(cntp_ctl_el0, 0);
    ISB();
}

static void on_irq(struct exception_frame *frame, unsigned vector)
{
    struct irq_record *record = &irqs[cpu_id()];
    unsigned intid = (unsigned)READ_SYSREG(icc_iar1_el1);

    record->when = timer_count();
    record->priority = (unsigned)READ_SYSREG(icc_rpr_el1);
    record->vector = vector;
    record->last = intid;
    record->count++;
    if (intid >= 1020)
        return;
    if (irq_hook)
        irq_hook(intid);
    silence(intid);
    end_of_interrupt(intid);
    if (vector >= 8) {
        frame->elr = (uintptr_t)el0_return;
        frame->spsr = 0x3c5;
    }
}

void interrupts_init(void)
{
    exception_set_irq(on_irq);
    gic_init();
}

void irq_window(void)
{
    irq_enable();
    ISB();
    irq_disable();
}

uint64_t acknowledge(void)
{
    uint64_t intid = READ_SYSREG(icc_iar1_el1);

    DSB();
    return intid;
}

void end_of_interrupt(uint64_t intid)
{
    WRITE_SYSREG(icc_eoir1_el1, intid);
    ISB();
}

bool pending_becomes(uint64_t intid)
{
    return eventually(READ_SYSREG(icc_hppir1_el1) == intid);
}
