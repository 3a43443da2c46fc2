/* Power State Coordination Interface 1.1 (DEN0022). */
#ifndef PSCI_H
#define PSCI_H

#include <stdbool.h>
#include <stdint.h>

enum psci_function {
    PSCI_VERSION = 0x84000000,
    PSCI_CPU_SUSPEND = 0x84000001,
    PSCI_CPU_OFF = 0x84000002,
    PSCI_CPU_ON = 0x84000003,
    PSCI_AFFINITY_INFO = 0x84000004,
    PSCI_MIGRATE = 0x84000005,
    PSCI_MIGRATE_INFO_TYPE = 0x84000006,
    PSCI_SYSTEM_OFF = 0x84000008,
    PSCI_SYSTEM_RESET = 0x84000009,
    PSCI_FEATURES = 0x8400000a,
    PSCI_CPU_SUSPEND_64 = 0xc4000001,
    PSCI_CPU_ON_64 = 0xc4000003,
    PSCI_AFFINITY_INFO_64 = 0xc4000004,
};

enum psci_result {
    PSCI_SUCCESS = 0,
    PSCI_NOT_SUPPORTED = -1,
    PSCI_INVALID_PARAMETERS = -2,
    PSCI_DENIED = -3,
    PSCI_ALREADY_ON = -4,
    PSCI_ON_PENDING = -5,
    PSCI_INTERNAL_FAILURE = -6,
    PSCI_INVALID_ADDRESS = -9,
};

enum psci_affinity_state { PSCI_ON = 0, PSCI_OFF = 1, PSCI_PENDING = 2 };

/* The conduit named by the device tree's /psci/method; HVC until told otherwise. */
void psci_use_smc(bool smc);

int64_t psci_call(uint32_t function, uint64_t arg1, uint64_t arg2, uint64_t arg3);

/* Start `cpu` in secondary_main(context). */
int64_t psci_cpu_on(unsigned cpu, uint64_t context);
int64_t psci_affinity_info(unsigned cpu);
void psci_cpu_off(void);
_Noreturn void psci_system_off(void);

/* Where every secondary starts; its physical address is the CPU_ON entry point. */
void secondary_entry(void);
/* Provided by the program; returning from it powers the CPU off. */
void secondary_main(uint64_t context);

#endif
