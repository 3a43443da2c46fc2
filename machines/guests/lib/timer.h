/* Generic timer: the EL1 virtual (PPI 27) and physical (PPI 30) timers. */
#ifndef TIMER_H
#define TIMER_H

#include "arch.h"

#define TIMER_VIRTUAL_INTID 27U
#define TIMER_PHYSICAL_INTID 30U

#define TIMER_ENABLE 1U
#define TIMER_IMASK 2U
#define TIMER_ISTATUS 4U

static inline uint64_t timer_frequency(void)
{
    return READ_SYSREG(cntfrq_el0);
}

/* The ISB keeps the read from being performed early. */
static inline uint64_t timer_count(void)
{
    ISB();
    return READ_SYSREG(cntvct_el0);
}

static inline void timer_virtual_at(uint64_t count)
{
    WRITE_SYSREG(cntv_cval_el0, count);
    WRITE_SYSREG(cntv_ctl_el0, TIMER_ENABLE);
    ISB();
}

static inline void timer_virtual_off(void)
{
    WRITE_SYSREG(cntv_ctl_el0, 0);
    ISB();
}

#endif
