#include "psci.h"

#include "arch.h"
#include "smccc.h"

static bool use_smc;

void psci_use_smc(bool smc)
{
    use_smc = smc;
}

int64_t psci_call(uint32_t function, uint64_t arg1, uint64_t arg2, uint64_t arg3)
{
    struct smccc_regs regs = {{function, arg1, arg2, arg3}};

    if (use_smc)
        smccc_smc(&regs);
    else
        smccc_hvc(&regs);
    /* Results are 32-bit signed; an SMC32 answer may leave the upper half zero. */
    return (int32_t)regs.x[0];
}

int64_t psci_cpu_on(unsigned cpu, uint64_t context)
{
    return psci_call(PSCI_CPU_ON_64, cpu, (uint64_t)(uintptr_t)secondary_entry, context);
}

int64_t psci_affinity_info(unsigned cpu)
{
    return psci_call(PSCI_AFFINITY_INFO_64, cpu, 0, 0);
}

void psci_cpu_off(void)
{
    irq_disable();
    psci_call(PSCI_CPU_OFF, 0, 0, 0);
}

_Noreturn void psci_system_off(void)
{
    psci_call(PSCI_SYSTEM_OFF, 0, 0, 0);
    for (;;)
        WFI();
}

__attribute__((weak)) void secondary_main(uint64_t context)
{
    (void)context;
}
