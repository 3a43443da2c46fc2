/* Synchronous exceptions: syndrome, fault address, vector, return address, and an untouched base register. */
#include "exception.h"

#include "check.h"
#include "gic.h"
#include "machine.h"
#include "mmu.h"
#include "uart.h"

/* ESR_EL1 values with IL set. */
#define ESR(ec, iss) ((uint64_t)(ec) << 26 | 1UL << 25 | (iss))
#define WRITE 0x40UL
#define TRANSLATION_L1 0x05UL
#define TRANSLATION_L3 0x07UL
#define PERMISSION_L1 0x0dUL
#define PERMISSION_L3 0x0fUL

/* Nothing is mapped in this GB. */
#define UNMAPPED (ALIAS + (1UL << 30))
#define SPSR_M 0xfUL

void svc_with_sp_el0(void);
void el0_svc(void), el0_brk(void), el0_undefined(void), el0_hvc(void), el0_smc(void);
void el0_read_pfr0(void), el0_read_midr(void), el0_read_ctr(void), el0_read_cntvct(void), el0_read_sctlr(void);
void el0_mask_irq(void), el0_load(void), el0_load32(void), el0_store(void), el0_jump(void), el0_spin(void);

static __attribute__((aligned(4096))) uint64_t data_page[512];
static const uint64_t read_only[2] = {1, 2};

static void load(uint64_t address)
{
    uint64_t value;

    PROBE(__asm__ volatile("ldr %0, [%1]" : "=r"(value) : "r"(address) : "memory"));
}

static void store(uint64_t address)
{
    PROBE(__asm__ volatile("str xzr, [%0]" : : "r"(address) : "memory"));
}

static void jump(uint64_t address)
{
    PROBE(((void (*)(void))address)());
}

static void check_calls(void)
{
    uint64_t after;

    PROBE(__asm__ volatile("svc #0x1234\n adr %0, ." : "=r"(after)));
    check_trap("svc from EL1", ESR(EC_SVC64, 0x1234));
    check_equal("svc from EL1: returns behind it", trap.elr, after);
    check_equal("svc from EL1: vector", trap.vector, 4);
    check_equal("svc from EL1: SPSR", trap.spsr & 0x3df, 0x3c5);
    PROBE(svc_with_sp_el0());
    check_trap("svc from EL1 with SP_EL0", ESR(EC_SVC64, 0x77));
    check_equal("svc from EL1 with SP_EL0: vector", trap.vector, 0);
    check_equal("svc from EL1 with SP_EL0: SPSR.M", trap.spsr & SPSR_M, 4);
    PROBE(__asm__ volatile("adr %0, .\n brk #0x5678" : "=r"(after)));
    check_trap("brk", ESR(EC_BRK64, 0x5678));
    check_equal("brk: ELR is the instruction", trap.elr, after + 4);
}

static void check_undefined(void)
{
    uint64_t at;

    PROBE(__asm__ volatile("adr %0, .\n .inst 0" : "=r"(at)));
    check_trap("udf", ESR(EC_UNKNOWN, 0));
    check_equal("udf: ELR is the instruction", trap.elr, at + 4);
    PROBE(__asm__ volatile(".inst 0xd5180000"));
    check_trap("write to midr_el1", ESR(EC_UNKNOWN, 0));
    PROBE(__asm__ volatile("mrs %0, hcr_el2" : "=r"(at)));
    check_trap("EL2 register from EL1", ESR(EC_UNKNOWN, 0));
    PROBE(__asm__ volatile(".inst 0xd4a00001"));
    check_trap("dcps1 outside debug state", ESR(EC_UNKNOWN, 0));
}

static void check_condition_flags(void)
{
    uint64_t flags;

    trap_arm();
    __asm__ volatile("mov %0, #0xa0000000\n msr nzcv, %0\n .inst 0\n mrs %0, nzcv" : "=&r"(flags) : : "cc");
    trap_disarm();
    check_equal("flags survive an exception", flags, 0xa0000000);
    check_equal("flags are in SPSR", trap.spsr & 0xf0000000, 0xa0000000);
}

static void check_stage1_faults(void)
{
    uint64_t page = (uintptr_t)data_page;
    uint64_t constant = (uintptr_t)read_only;

    load(UNMAPPED + 0x123);
    check_fault("load, no level 1 entry", ESR(EC_DABT_SAME, TRANSLATION_L1), UNMAPPED + 0x123);
    store(UNMAPPED + 0x7ff8);
    check_fault("store, no level 1 entry", ESR(EC_DABT_SAME, TRANSLATION_L1 | WRITE), UNMAPPED + 0x7ff8);
    mmu_map(page, page, PAGE_SIZE, MMU_NONE);
    load(page + 8);
    check_fault("load, no level 3 entry", ESR(EC_DABT_SAME, TRANSLATION_L3), page + 8);
    mmu_map(page, page, PAGE_SIZE, MMU_DATA);
    load(page + 8);
    check_equal("load, mapped again", trap.count, 0);
    load(1UL << 39);
    check_fault("load beyond the address space", ESR(EC_DABT_SAME, 0x04), 1UL << 39);
    load(~7UL);
    check_fault("load from the disabled upper half", ESR(EC_DABT_SAME, 0x04), ~7UL);
    store(constant);
    check_fault("store to a read-only page", ESR(EC_DABT_SAME, PERMISSION_L3 | WRITE), constant);
    check_equal("store to a read-only page: unchanged", *(const volatile uint64_t *)read_only, 1);
    jump(page);
    check_fault("jump to data", ESR(EC_IABT_SAME, PERMISSION_L3), page);
    check_equal("jump to data: ELR is the target", trap.elr, page);
    jump(UNMAPPED);
    check_fault("jump to unmapped", ESR(EC_IABT_SAME, TRANSLATION_L1), UNMAPPED);
    jump(HOLE);
    check_fault("jump to device memory", ESR(EC_IABT_SAME, PERMISSION_L1), HOLE);
}

static void check_access_flag(void)
{
    uint64_t page = (uintptr_t)data_page;

    mmu_map(page, page, PAGE_SIZE, MMU_DATA & ~(1UL << 10));
    load(page + 16);
    check_fault("load with the access flag clear", ESR(EC_DABT_SAME, 0x0b), page + 16);
    mmu_map(page, page, PAGE_SIZE, MMU_DATA);
}

static void check_alignment(void)
{
    uint64_t address = (uintptr_t)data_page + 4;
    uint64_t value;

    PROBE(__asm__ volatile("ldxr %0, [%1]" : "=r"(value) : "r"(address) : "memory"));
    check_fault("misaligned ldxr", ESR(EC_DABT_SAME, FSC_ALIGNMENT), address);
    PROBE(__asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(UART_BASE + UART_FR + 1) : "memory"));
    check_fault("misaligned load from device memory", ESR(EC_DABT_SAME, FSC_ALIGNMENT), UART_BASE + UART_FR + 1);
}

/* One access form at a hole; a base that moves would make a retried instruction go elsewhere. */
#define CHECK_HOLE(name, instruction, base, esr_write, fault)                                              \
    do {                                                                                                   \
        register uint64_t base_ __asm__("x9") = (base);                                                    \
        register uint64_t data_ __asm__("x10") = 1;                                                        \
        register uint64_t more_ __asm__("x11") = 8;                                                        \
        PROBE(__asm__ volatile(instruction : "+r"(base_), "+r"(data_), "+r"(more_) : : "memory", "x12"));  \
        uint64_t after_ = base_;                                                                           \
        check_fault(name, ESR(EC_DABT_SAME, FSC_EXTERNAL_ABORT | (esr_write)), fault);                     \
        check_detail(name, ": base unchanged", after_, base);                                              \
    } while (0)

static void check_external_aborts(void)
{
    CHECK_HOLE("nothing there: ldr x", "ldr x10, [x9]", HOLE, 0, HOLE);
    CHECK_HOLE("nothing there: ldr w, offset", "ldr w10, [x9, #4]", HOLE, 0, HOLE + 4);
    CHECK_HOLE("nothing there: ldrb", "ldrb w10, [x9, #3]", HOLE, 0, HOLE + 3);
    CHECK_HOLE("nothing there: ldrsh", "ldrsh x10, [x9, #2]", HOLE, 0, HOLE + 2);
    CHECK_HOLE("nothing there: ldur", "ldur w10, [x9, #-4]", HOLE + 0x100, 0, HOLE + 0xfc);
    CHECK_HOLE("nothing there: ldr, register offset", "ldr w10, [x9, x11]", HOLE, 0, HOLE + 8);
    CHECK_HOLE("nothing there: ldr, pre-index", "ldr w10, [x9, #16]!", HOLE, 0, HOLE + 16);
    CHECK_HOLE("nothing there: ldr, post-index", "ldr w10, [x9], #16", HOLE, 0, HOLE);
    CHECK_HOLE("nothing there: ldp", "ldp x10, x12, [x9, #16]", HOLE, 0, HOLE + 16);
    CHECK_HOLE("nothing there: ldp, post-index", "ldp w10, w12, [x9], #8", HOLE, 0, HOLE);
    CHECK_HOLE("nothing there: ldar", "ldar w10, [x9]", HOLE, 0, HOLE);
    CHECK_HOLE("nothing there: str x", "str x10, [x9]", HOLE, WRITE, HOLE);
    CHECK_HOLE("nothing there: str wzr", "str wzr, [x9, #8]", HOLE, WRITE, HOLE + 8);
    CHECK_HOLE("nothing there: strb, register offset", "strb w10, [x9, w11, uxtw]", HOLE, WRITE, HOLE + 8);
    CHECK_HOLE("nothing there: str, pre-index", "str w10, [x9, #-16]!", HOLE + 0x100, WRITE, HOLE + 0xf0);
    CHECK_HOLE("nothing there: str, post-index", "str x10, [x9], #8", HOLE, WRITE, HOLE);
    CHECK_HOLE("nothing there: stp", "stp x10, x11, [x9]", HOLE, WRITE, HOLE);
    CHECK_HOLE("nothing there: stp, pre-index", "stp w10, w11, [x9, #8]!", HOLE, WRITE, HOLE + 8);
    CHECK_HOLE("nothing there: stlr", "stlr w10, [x9]", HOLE, WRITE, HOLE);
}

/* The fault address is the virtual one, the missing memory normal and executable. */
static void check_aliased_hole(void)
{
    uint64_t beyond_ram = machine.ram_base + machine.ram_size;

    mmu_map(ALIAS, HOLE, PAGE_SIZE, MMU_NORMAL | MMU_UXN);
    load(ALIAS + 0x18);
    check_fault("nothing there: alias", ESR(EC_DABT_SAME, FSC_EXTERNAL_ABORT), ALIAS + 0x18);
    jump(ALIAS + 0x40);
    check_fault("nothing there: fetch", ESR(EC_IABT_SAME, FSC_EXTERNAL_ABORT), ALIAS + 0x40);
    check_equal("nothing there: fetch, ELR is the target", trap.elr, ALIAS + 0x40);
    mmu_map(ALIAS, beyond_ram, PAGE_SIZE, MMU_DATA);
    load(ALIAS + 0xff8);
    check_fault("behind the end of ram: load", ESR(EC_DABT_SAME, FSC_EXTERNAL_ABORT), ALIAS + 0xff8);
    store(ALIAS);
    check_fault("behind the end of ram: store", ESR(EC_DABT_SAME, FSC_EXTERNAL_ABORT | WRITE), ALIAS);
    mmu_map(ALIAS, 0, PAGE_SIZE, MMU_NONE);
}

static void check_el0_exceptions(void)
{
    run_el0(el0_svc, 0);
    check_trap("EL0: svc", ESR(EC_SVC64, 0x4321));
    check_equal("EL0: svc, vector", trap.vector, 8);
    check_equal("EL0: svc, SPSR.M", trap.spsr & 0x1f, 0);
    check_equal("EL0: svc, return address", trap.elr, (uintptr_t)el0_svc + 4);
    run_el0(el0_brk, 0);
    check_trap("EL0: brk", ESR(EC_BRK64, 0x99));
    run_el0(el0_undefined, 0);
    check_trap("EL0: udf", ESR(EC_UNKNOWN, 0));
    run_el0(el0_hvc, 0);
    check_trap("EL0: hvc is undefined", ESR(EC_UNKNOWN, 0));
    run_el0(el0_smc, 0);
    check_trap("EL0: smc is undefined", ESR(EC_UNKNOWN, 0));
    run_el0(el0_read_pfr0, 0);
    check_trap("EL0: id_aa64pfr0_el1 is undefined", ESR(EC_UNKNOWN, 0));
    check_equal("EL0: id_aa64pfr0_el1, ELR is the instruction", trap.elr, (uintptr_t)el0_read_pfr0);
    run_el0(el0_read_midr, 0);
    check_trap("EL0: midr_el1 is undefined", ESR(EC_UNKNOWN, 0));
    run_el0(el0_read_sctlr, 0);
    check_trap("EL0: sctlr_el1 is undefined", ESR(EC_UNKNOWN, 0));
}

/* ISS of a trapped MRS: Op0, Op2, Op1, CRn, Rt, CRm, read. */
#define SYSREG_READ(op0, op1, crn, crm, op2, rt) \
    ((op0##UL) << 20 | (op2##UL) << 17 | (op1##UL) << 14 | (crn##UL) << 10 | (rt##UL) << 5 | (crm##UL) << 1 | 1)

static void check_el0_traps(void)
{
    uint64_t before;

    run_el0(el0_read_ctr, 0);
    check_trap("EL0: ctr_el0 trapped by SCTLR.UCT", ESR(EC_SYSREG, SYSREG_READ(3, 3, 0, 0, 1, 0)));
    WRITE_SYSREG(cntkctl_el1, 0);
    ISB();
    run_el0(el0_read_cntvct, 0);
    check_trap("EL0: cntvct_el0 trapped by CNTKCTL", ESR(EC_SYSREG, SYSREG_READ(3, 3, 14, 0, 2, 0)));
    WRITE_SYSREG(cntkctl_el1, 2);
    before = timer_count();
    check("EL0: cntvct_el0 allowed", run_el0(el0_read_cntvct, 0) - before < timer_frequency());
    check_trap("EL0: cntvct_el0 allowed", ESR(EC_SVC64, 0));
    WRITE_SYSREG(cntkctl_el1, 0);
    run_el0(el0_mask_irq, 0);
    check_equal("EL0: daifset trapped by SCTLR.UMA", ESR_EC(trap.esr), EC_SYSREG);
}

static void check_el0_memory(void)
{
    uint64_t page = (uintptr_t)data_page;

    run_el0(el0_load, page);
    check_fault("EL0: load of an EL1 page", ESR(EC_DABT_LOWER, PERMISSION_L3), page);
    run_el0(el0_store, UNMAPPED);
    check_fault("EL0: store to unmapped", ESR(EC_DABT_LOWER, TRANSLATION_L1 | WRITE), UNMAPPED);
    run_el0(el0_jump, page);
    check_fault("EL0: jump to an EL1 page", ESR(EC_IABT_LOWER, PERMISSION_L3), page);
    run_el0(el0_load32, UART_BASE);
    check_fault("EL0: load of an EL1 device", ESR(EC_DABT_LOWER, PERMISSION_L1), UART_BASE);
    jump((uintptr_t)el0_svc);
    check_fault("EL1: jump to an EL0 page with PXN", ESR(EC_IABT_SAME, PERMISSION_L3), (uintptr_t)el0_svc);
    data_page[1] = 0x1234;
    mmu_map(ALIAS, page, PAGE_SIZE, MMU_EL0_DATA);
    check_equal("EL0: load of its own page", run_el0(el0_load, ALIAS + 8), 0x1234);
    mmu_map(ALIAS, UART_BASE, PAGE_SIZE, MMU_DEVICE | MMU_EL0);
    check_equal("EL0: load of its own device", run_el0(el0_load32, ALIAS + UART_PCELL_ID0), 0x0d);
    mmu_map(ALIAS, HOLE, PAGE_SIZE, MMU_DEVICE | MMU_EL0);
    run_el0(el0_load32, ALIAS + 4);
    check_fault("EL0: nothing there", ESR(EC_DABT_LOWER, FSC_EXTERNAL_ABORT), ALIAS + 4);
    check_equal("EL0: nothing there, vector", trap.vector, 8);
    mmu_map(ALIAS, 0, PAGE_SIZE, MMU_NONE);
}

static void check_el0_interrupt(void)
{
    unsigned before = irqs[0].count;

    gic_enable(TIMER_VIRTUAL_INTID, NULL);
    timer_virtual_at(timer_count() + timer_frequency() / 1000);
    run_el0(el0_spin, 0);
    check_equal("EL0: timer interrupt", irqs[0].count - before, 1);
    check_equal("EL0: timer interrupt, vector", irqs[0].vector, 9);
}

void check_exceptions(void)
{
    check_calls();
    check_undefined();
    check_condition_flags();
    check_stage1_faults();
    check_access_flag();
    check_alignment();
    check_external_aborts();
    check_aliased_hole();
    check_el0_exceptions();
    check_el0_traps();
    check_el0_memory();
    check_el0_interrupt();
}
