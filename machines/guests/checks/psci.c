/* PSCI (DEN0022) and the SMC Calling Convention (DEN0028). */
#include "psci.h"

#include "check.h"
#include "gic.h"
#include "machine.h"
#include "smccc.h"

#define CONTEXT_64 0x1122334455667788UL
#define NO_FUNCTION 0x84001f7fU
#define NO_FUNCTION_64 0xc4001f7fU
/* Original power_state format: bits 31:26 are reserved. */
#define BAD_POWER_STATE 0x80000000U

/* probe.S */
void state_entry(void);
uint64_t hvc_keeps_registers(uint64_t function);

static uint64_t seen_sctlr;
static uint64_t seen_pstate;

static void check_result(const char *name, int64_t got, int64_t expected)
{
    check_equal(name, (uint32_t)got, (uint32_t)expected);
}

static int64_t features(uint32_t function)
{
    return psci_call(PSCI_FEATURES, function, 0, 0);
}

static void check_identity(void)
{
    int64_t version = psci_call(PSCI_VERSION, 0, 0, 0);

    check("psci version is 1.x", version >> 16 == 1);
    check("psci version is at least 1.1", version >= 0x10001);
    check_result("psci migrate_info_type", psci_call(PSCI_MIGRATE_INFO_TYPE, 0, 0, 0), 2);
    check_result("psci migrate without a trusted os", psci_call(PSCI_MIGRATE, 0, 0, 0), PSCI_NOT_SUPPORTED);
}

static void check_features(void)
{
    check_result("psci features: version", features(PSCI_VERSION), 0);
    check_result("psci features: cpu_suspend", features(PSCI_CPU_SUSPEND) & ~3, 0);
    check_result("psci features: cpu_suspend 64", features(PSCI_CPU_SUSPEND_64) & ~3, 0);
    check_result("psci features: cpu_off", features(PSCI_CPU_OFF), 0);
    check_result("psci features: cpu_on", features(PSCI_CPU_ON), 0);
    check_result("psci features: cpu_on 64", features(PSCI_CPU_ON_64), 0);
    check_result("psci features: affinity_info", features(PSCI_AFFINITY_INFO), 0);
    check_result("psci features: affinity_info 64", features(PSCI_AFFINITY_INFO_64), 0);
    check_result("psci features: migrate_info_type", features(PSCI_MIGRATE_INFO_TYPE), 0);
    check_result("psci features: system_off", features(PSCI_SYSTEM_OFF), 0);
    check_result("psci features: system_reset", features(PSCI_SYSTEM_RESET), 0);
    check_result("psci features: features", features(PSCI_FEATURES), 0);
    check_result("psci features: smccc_version", features(SMCCC_VERSION), 0);
    check_result("psci features: no such function", features(NO_FUNCTION), PSCI_NOT_SUPPORTED);
    check_result("psci features: 64-bit id of a 32-bit function", features(0xc4000000), PSCI_NOT_SUPPORTED);
}

static void check_smccc(void)
{
    struct smccc_regs wide = {{NO_FUNCTION_64}};

    check("smccc version is at least 1.1", psci_call(SMCCC_VERSION, 0, 0, 0) >= 0x10001);
    check_result("smccc arch_features: smccc_version", psci_call(SMCCC_ARCH_FEATURES, SMCCC_VERSION, 0, 0), 0);
    check_result("smccc arch_features: itself", psci_call(SMCCC_ARCH_FEATURES, SMCCC_ARCH_FEATURES, 0, 0), 0);
    check_result("smccc arch_features: unknown", psci_call(SMCCC_ARCH_FEATURES, 0x8000ffff, 0, 0), SMCCC_NOT_SUPPORTED);
    check_result("unknown function id", psci_call(NO_FUNCTION, 0, 0, 0), SMCCC_NOT_SUPPORTED);
    check_result("unknown service", psci_call(0x86000123, 0, 0, 0), SMCCC_NOT_SUPPORTED);
    smccc_hvc(&wide);
    check_equal("unknown 64-bit function id", wide.x[0], ~0UL);
}

static void check_preserved_registers(void)
{
    check_equal("hvc psci_version keeps x4-x30 and sp", hvc_keeps_registers(PSCI_VERSION), 0);
    check_equal("hvc affinity_info keeps x4-x30 and sp", hvc_keeps_registers(PSCI_AFFINITY_INFO_64), 0);
    check_equal("hvc features keeps x4-x30 and sp", hvc_keeps_registers(PSCI_FEATURES), 0);
    check_equal("hvc unknown function keeps x4-x30 and sp", hvc_keeps_registers(NO_FUNCTION), 0);
}

static void check_smc_conduit(void)
{
    struct smccc_regs regs = {{PSCI_VERSION, 0, 0, 0, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}};
    uint64_t changed = 0;

    PROBE(smccc_smc(&regs));
    check_equal("smc conduit is not undefined", trap.count, 0);
    check_equal("smc psci_version agrees with hvc", regs.x[0], (uint64_t)psci_call(PSCI_VERSION, 0, 0, 0));
    for (unsigned i = 4; i < 18; i++)
        changed |= (uint64_t)(regs.x[i] != i) << i;
    check_equal("smc keeps x4-x17", changed, 0);
}

static void check_suspend(void)
{
    uint64_t wake = timer_count() + timer_frequency() / 1000;

    check_result("cpu_suspend: reserved bits", psci_call(PSCI_CPU_SUSPEND, BAD_POWER_STATE, 0, 0), PSCI_INVALID_PARAMETERS);
    check_result("cpu_suspend 64: reserved bits", psci_call(PSCI_CPU_SUSPEND_64, BAD_POWER_STATE, 0, 0),
                 PSCI_INVALID_PARAMETERS);
    gic_enable(TIMER_VIRTUAL_INTID, NULL);
    timer_virtual_at(wake);
    check_result("cpu_suspend: standby returns success", psci_call(PSCI_CPU_SUSPEND, 0, 0, 0), PSCI_SUCCESS);
    check("cpu_suspend: standby slept until the timer", eventually(timer_count() >= wake));
    timer_virtual_off();
}

static void check_bad_targets(void)
{
    uint64_t entry = (uintptr_t)secondary_entry;

    check_result("cpu_on: self is already on", psci_call(PSCI_CPU_ON_64, 0, entry, 0), PSCI_ALREADY_ON);
    check_result("cpu_on 32: self is already on", psci_call(PSCI_CPU_ON, 0, entry, 0), PSCI_ALREADY_ON);
    check_result("cpu_on: no such cpu", psci_call(PSCI_CPU_ON_64, machine.cpus, entry, 0), PSCI_INVALID_PARAMETERS);
    check_result("cpu_on: no such cluster", psci_call(PSCI_CPU_ON_64, 0x500, entry, 0), PSCI_INVALID_PARAMETERS);
    check_result("cpu_on: no such aff3", psci_call(PSCI_CPU_ON_64, 1UL << 32, entry, 0), PSCI_INVALID_PARAMETERS);
    check_result("affinity_info: self", psci_affinity_info(0), PSCI_ON);
    check_result("affinity_info: no such cpu", psci_affinity_info(machine.cpus), PSCI_INVALID_PARAMETERS);
    check_result("affinity_info: no such level", psci_call(PSCI_AFFINITY_INFO_64, 0, 4, 0), PSCI_INVALID_PARAMETERS);
}

static void note_entry_state(uint64_t unused)
{
    (void)unused;
    seen_sctlr = READ_SYSREG(tpidr_el0);
    seen_pstate = READ_SYSREG(tpidrro_el0);
}

static void check_first_start(void)
{
    int64_t again = PSCI_SUCCESS, state;

    check_result("affinity_info: never started", psci_affinity_info(1), PSCI_OFF);
    check_result("cpu_on 64", psci_call(PSCI_CPU_ON_64, 1, (uintptr_t)state_entry, CONTEXT_64), PSCI_SUCCESS);
    state = psci_affinity_info(1);
    /* A machine that still calls it off would start it a second time, under the checks that follow. */
    if (state != PSCI_OFF)
        again = psci_cpu_on(1, 0);
    check("affinity_info right after cpu_on: on or pending", state == PSCI_ON || state == PSCI_PENDING);
    check("cpu_on twice: already on or pending", again == PSCI_ALREADY_ON || again == PSCI_ON_PENDING);
    check("cpu_on: vcpu 1 runs", eventually(peer_up));
    check_equal("cpu_on: 64-bit context id", peer_context, CONTEXT_64);
    check_result("affinity_info: running", psci_affinity_info(1), PSCI_ON);
    check_result("affinity_info 32: running", psci_call(PSCI_AFFINITY_INFO, 1, 0, 0), PSCI_ON);
    check_result("cpu_on: running is already on", psci_cpu_on(1, 0), PSCI_ALREADY_ON);
    peer_run(note_entry_state, 0);
    check_equal("cpu_on: mmu and caches off at entry", seen_sctlr & 0x1005, 0);
    check_equal("cpu_on: EL1h with DAIF masked at entry", seen_pstate, 0x3c5);
}

static void check_restart(void)
{
    int64_t result;

    peer_stop();
    check_result("affinity_info: after cpu_off", psci_affinity_info(1), PSCI_OFF);
    check_result("cpu_on after cpu_off", peer_start(0xabcd), PSCI_SUCCESS);
    check_equal("cpu_on after cpu_off: context id", peer_context, 0xabcd);
    peer_stop();
    result = psci_call(PSCI_CPU_ON, 1, (uintptr_t)secondary_entry, 0x87654321);
    check_result("cpu_on 32", result, PSCI_SUCCESS);
    check("cpu_on 32: vcpu 1 runs", eventually(peer_up));
    check_equal("cpu_on 32: context id", peer_context, 0x87654321);
    for (unsigned i = 0; i < 20; i++) {
        peer_stop();
        if (peer_start(i) != PSCI_SUCCESS || peer_context != i)
            break;
        result = i;
    }
    check_equal("cpu_off and cpu_on 20 times", (uint64_t)result, 19);
}

void check_psci(void)
{
    check_identity();
    check_features();
    check_smccc();
    check_preserved_registers();
    check_smc_conduit();
    check_suspend();
    check_bad_targets();
    if (!peer_present())
        return;
    check_first_start();
    check_restart();
}

/* A machine that accepts the address starts a vCPU that only faults, so nothing that needs it may follow. */
void check_psci_last(void)
{
    if (!peer_present())
        return;
    peer_stop();
    check_result("cpu_on: entry outside ram", psci_call(PSCI_CPU_ON_64, 1, HOLE, 0), PSCI_INVALID_ADDRESS);
    check_result("affinity_info: after a refused cpu_on", psci_affinity_info(1), PSCI_OFF);
}
