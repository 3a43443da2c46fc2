#include "scenario.h"

#include "arch.h"
#include "machine.h"
#include "mmu.h"
#include "print.h"
#include "psci.h"

static unsigned total;
static unsigned failed;

void check(const char *name, uint64_t got, uint64_t expected)
{
    total++;
    if (got == expected) {
        print("PASS %s\n", name);
        return;
    }
    failed++;
    print("FAIL %s got 0x%lx expected 0x%lx\n", name, got, expected);
}

void refused(const char *name, struct smccc_regs regs, int32_t code)
{
    check(name, (uint64_t)(int64_t)ffa_status(&regs), (uint64_t)(int64_t)code);
}

void accepted(const char *name, struct smccc_regs regs)
{
    refused(name, regs, FFA_OK);
}

/* The second vCPU of the client serves requests like a peer. */
void secondary_main(uint64_t context)
{
    (void)context;
    local_init_cpu();
    serve(FFA_V1_2);
}

static void map_neighbours(void)
{
    for (uint64_t base = 0x48000000; base <= 0x88000000; base += 0x20000000)
        if (base != machine.ram_base)
            mmu_map(base, base, 32UL << 20, MMU_DATA);
    mmu_map(ELSEWHERE, ELSEWHERE, 2UL << 20, MMU_DATA);
    mmu_map(CODE_WINDOW, CODE_WINDOW, 2UL << 20, MMU_NORMAL | MMU_UXN);
}

static void run_scenarios(void)
{
    psci_cpu_on(1, 0);
    check_setup();
    check_messages();
    check_memory();
    check_notifications();
    check_chains();
    check_numbered();
    check_versions();
    check_teardown();
    if (failed)
        print("%u FAILED of %u\n", failed, total);
    else
        print("ALL %u PASSED\n", total);
}

/* The version to speak, before any other call. */
static uint32_t agree(void)
{
    uint32_t version = *(volatile uint32_t *)VERSION_WORD(machine.ram_base);

    if (!version)
        return FFA_V1_2;
    ffa_call(FFA_VERSION, version, 0, 0, 0, 0);
    return version;
}

void guest_main(void)
{
    char role[8];
    bool client;
    uint32_t version = FFA_V1_2;

    client = bootarg_string("role", role, sizeof(role)) && string_equal(role, "client");
    ffa_use_smc(bootarg_number("smc", 1));
    if (client)
        check_version();
    else
        version = agree();
    map_neighbours();
    local_init();
    if (client)
        run_scenarios();
    else
        serve_alone(version);
}
