/* Identification registers, and state that must not leak from one vCPU to another. */
#include "check.h"
#include "machine.h"

/* probe.S */
void fp_fill(uint64_t seed);
uint64_t fp_changed(uint64_t seed);

#define PRIVATE_REGISTERS 11U
#define ROUNDS 20U

static uint64_t peer_midr, peer_mpidr;
static uint64_t lost_registers[2], lost_fp[2];

static void note_identity(uint64_t unused)
{
    (void)unused;
    peer_midr = READ_SYSREG(midr_el1);
    peer_mpidr = READ_SYSREG(mpidr_el1);
}

static void check_identification(void)
{
    uint64_t pfr0 = READ_SYSREG(id_aa64pfr0_el1);
    uint64_t mpidr = READ_SYSREG(mpidr_el1);

    check_equal("CurrentEL", current_el(), 1);
    check("pfr0: EL0 has AArch64", (pfr0 & 0xf) - 1 < 2);
    check("pfr0: EL1 has AArch64", (pfr0 >> 4 & 0xf) - 1 < 2);
    check_equal("pfr0: GIC system registers", pfr0 >> 24 & 0xf, 1);
    check_equal("mmfr0: 4 KB granule", READ_SYSREG(id_aa64mmfr0_el1) >> 28 & 0xf, 0);
    check_equal("midr: architecture by id registers", READ_SYSREG(midr_el1) >> 16 & 0xf, 0xf);
    check_equal("midr: Arm Cortex-A72", READ_SYSREG(midr_el1) & 0xff00fff0, 0x4100d080);
    check_equal("mpidr: affinity of vcpu 0", mpidr & 0xff00ffffff, 0);
    check_equal("mpidr: bit 31 set, not uniprocessor", mpidr >> 30 & 3, 2);
    check("ctr: cache lines of 16 bytes or more", (READ_SYSREG(ctr_el0) & 0xf) >= 2);
    if (!peer_present())
        return;
    peer_run(note_identity, 0);
    check_equal("midr: same on vcpu 1", peer_midr, READ_SYSREG(midr_el1));
    check_equal("mpidr: affinity of vcpu 1", peer_mpidr & 0xff00ffffff, 1);
}

static void write_private(uint64_t seed)
{
    WRITE_SYSREG(tpidr_el0, seed);
    WRITE_SYSREG(tpidrro_el0, seed + 1);
    WRITE_SYSREG(tpidr_el1, seed + 2);
    WRITE_SYSREG(contextidr_el1, (uint32_t)seed + 3);
    WRITE_SYSREG(sp_el0, seed & ~0xfUL);
    WRITE_SYSREG(elr_el1, seed + 4);
    WRITE_SYSREG(cntv_cval_el0, seed + 5);
    WRITE_SYSREG(cntp_cval_el0, seed + 6);
    WRITE_SYSREG(far_el1, seed + 7);
    WRITE_SYSREG(cntkctl_el1, seed & 3);
    WRITE_SYSREG(icc_pmr_el1, 0x80 + (seed & 3) * 0x20);
    ISB();
}

static uint64_t changed_private(uint64_t seed)
{
    const uint64_t got[PRIVATE_REGISTERS] = {
        READ_SYSREG(tpidr_el0),     READ_SYSREG(tpidrro_el0),   READ_SYSREG(tpidr_el1), READ_SYSREG(contextidr_el1),
        READ_SYSREG(sp_el0),        READ_SYSREG(elr_el1),       READ_SYSREG(cntv_cval_el0),
        READ_SYSREG(cntp_cval_el0), READ_SYSREG(far_el1),       READ_SYSREG(cntkctl_el1), READ_SYSREG(icc_pmr_el1),
    };
    const uint64_t expected[PRIVATE_REGISTERS] = {
        seed,     seed + 1, seed + 2, (uint32_t)seed + 3,        seed & ~0xfUL, seed + 4, seed + 5,
        seed + 6, seed + 7, seed & 3, 0x80 + (seed & 3) * 0x20,
    };
    uint64_t changed = 0;

    for (unsigned i = 0; i < PRIVATE_REGISTERS; i++)
        changed |= (uint64_t)(got[i] != expected[i]) << i;
    return changed;
}

static void keep_state(uint64_t seed)
{
    uint64_t daif = irq_save();
    uint64_t cpacr = READ_SYSREG(cpacr_el1);

    WRITE_SYSREG(cpacr_el1, cpacr | 3UL << 20);
    ISB();
    write_private(seed);
    fp_fill(seed);
    for (unsigned i = 0; i < ROUNDS; i++)
        peer_rendezvous();
    lost_registers[cpu_id()] = changed_private(seed);
    lost_fp[cpu_id()] = fp_changed(seed);
    WRITE_SYSREG(icc_pmr_el1, 0xff);
    WRITE_SYSREG(cntkctl_el1, 0);
    WRITE_SYSREG(cpacr_el1, cpacr);
    ISB();
    irq_restore(daif);
}

static void check_private_state(void)
{
    peer_begin(keep_state, 0x2222000000002222);
    keep_state(0x1111000000001111);
    check("private state: vcpu 1 finished", peer_finish());
    check_equal("private state: system registers of vcpu 0", lost_registers[0], 0);
    check_equal("private state: system registers of vcpu 1", lost_registers[1], 0);
    check_equal("private state: v0-v31, fpcr, fpsr of vcpu 0", lost_fp[0], 0);
    check_equal("private state: v0-v31, fpcr, fpsr of vcpu 1", lost_fp[1], 0);
}

void check_registers(void)
{
    check_identification();
    if (peer_present())
        check_private_state();
}
