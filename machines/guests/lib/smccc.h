/* SMC Calling Convention (DEN0028) with the full register set of FF-A v1.2: x0-x17 in and out. */
#ifndef SMCCC_H
#define SMCCC_H

#include <stdint.h>

struct smccc_regs {
    uint64_t x[18];
};

/* Load x0-x17 from `regs`, make the call, store x0-x17 back. */
void smccc_hvc(struct smccc_regs *regs);
void smccc_smc(struct smccc_regs *regs);

#define SMCCC_VERSION 0x80000000U
#define SMCCC_ARCH_FEATURES 0x80000001U
#define SMCCC_NOT_SUPPORTED (-1)

#endif
