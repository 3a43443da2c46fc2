#include "check.h"

#include "machine.h"
#include "print.h"

static unsigned total;
static unsigned failed;

void check_detail(const char *name, const char *detail, uint64_t got, uint64_t expected)
{
    total++;
    if (got == expected) {
        print("PASS %s%s\n", name, detail);
        return;
    }
    failed++;
    print("FAIL %s%s got 0x%lx expected 0x%lx\n", name, detail, got, expected);
}

void check_equal(const char *name, uint64_t got, uint64_t expected)
{
    check_detail(name, "", got, expected);
}

void check(const char *name, bool condition)
{
    check_detail(name, "", condition, true);
}

void guest_main(void)
{
    print("checks: %u vCPUs, %lu MB RAM at 0x%lx\n", machine.cpus, machine.ram_size >> 20, machine.ram_base);
    trap_init();
    interrupts_init();
    check_psci();
    check_registers();
    check_exceptions();
    check_memory();
    check_timer();
    check_gic();
    check_mmio();
    check_psci_last();
    if (failed)
        print("%u FAILED of %u\n", failed, total);
    else
        print("ALL %u PASSED\n", total);
}
