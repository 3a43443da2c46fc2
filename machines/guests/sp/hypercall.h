/* The paravirtual interface by which a secure partition handles its virtual interrupts. */
#ifndef HYPERCALL_H
#define HYPERCALL_H

#include <stdbool.h>
#include <stdint.h>

#include "smccc.h"

enum hypercall {
    HF_INTERRUPT_ENABLE = 0xff03,
    HF_INTERRUPT_GET = 0xff04,
    HF_INTERRUPT_DEACTIVATE = 0xff08,
};

#define HF_NO_INTERRUPT 0xffffffffU

static inline uint64_t hypercall(enum hypercall number, uint64_t x1, uint64_t x2, uint64_t x3)
{
    struct smccc_regs regs = {{number, x1, x2, x3}};

    smccc_hvc(&regs);
    return regs.x[0];
}

static inline void interrupt_enable(unsigned intid, bool fiq)
{
    hypercall(HF_INTERRUPT_ENABLE, intid, 1, fiq);
}

static inline unsigned interrupt_get(void)
{
    return (unsigned)hypercall(HF_INTERRUPT_GET, 0, 0, 0);
}

static inline void interrupt_deactivate(unsigned intid)
{
    hypercall(HF_INTERRUPT_DEACTIVATE, intid, intid, 0);
}

#endif
