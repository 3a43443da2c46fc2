/* Ordering, exclusives, translation changes and fresh code, alone and with the second vCPU. */
#include "check.h"
#include "machine.h"
#include "mmu.h"

#define INCREMENTS 20000U
#define CODE_ROUNDS 50U
#define EXECUTABLE (MMU_NORMAL | MMU_UXN)
#define INSN_MOV_W0(value) (0x52800000U | (uint32_t)(value) << 5)
#define INSN_RET 0xd65f03c0U

typedef uint64_t code(void);

static __attribute__((aligned(4096))) uint32_t code_page[1024];
static __attribute__((aligned(4096))) uint64_t page_a[512], page_b[512];
static __attribute__((aligned(64))) uint64_t counter;
static volatile uint64_t peer_value;

static void increment(uint64_t times)
{
    uint64_t value;
    uint32_t failed;

    while (times--)
        __asm__ volatile("1: ldxr %0, [%2]\n add %0, %0, #1\n stxr %w1, %0, [%2]\n cbnz %w1, 1b"
                         : "=&r"(value), "=&r"(failed)
                         : "r"(&counter)
                         : "memory");
}

static void check_contention(void)
{
    counter = 0;
    peer_begin(increment, INCREMENTS);
    increment(INCREMENTS);
    check("ldxr/stxr: vcpu 1 finished", peer_finish());
    check_equal("ldxr/stxr: no increment lost", *(volatile uint64_t *)&counter, 2 * INCREMENTS);
}

static void check_monitor(void)
{
    uint64_t value;
    uint32_t failed;

    __asm__ volatile("ldxr %0, [%2]\n clrex\n stxr %w1, %0, [%2]" : "=&r"(value), "=&r"(failed) : "r"(&counter) : "memory");
    check_equal("stxr fails after clrex", failed, 1);
    trap_arm();
    __asm__ volatile("ldxr %0, [%2]\n svc #0\n stxr %w1, %0, [%2]" : "=&r"(value), "=&r"(failed) : "r"(&counter) : "memory");
    trap_disarm();
    check_equal("stxr fails after an exception return", failed, 1);
    __asm__ volatile("1: ldxp %0, xzr, [%2]\n stxp %w1, %0, xzr, [%2]\n cbnz %w1, 1b"
                     : "=&r"(value), "=&r"(failed)
                     : "r"(page_a)
                     : "memory");
    check_equal("ldxp/stxp", failed, 0);
}

static void write_code(uint32_t *where, unsigned value)
{
    ((volatile uint32_t *)where)[0] = INSN_MOV_W0(value);
    ((volatile uint32_t *)where)[1] = INSN_RET;
    sync_instruction(where);
}

static void call_code(uint64_t address)
{
    ISB();
    peer_value = ((code *)address)();
}

static unsigned stale_calls(uint64_t address, bool on_peer)
{
    unsigned stale = 0;

    for (unsigned i = 0; i < CODE_ROUNDS; i++) {
        write_code(code_page, i);
        if (on_peer)
            (void)peer_run(call_code, address);
        else
            call_code(address);
        stale += peer_value != i;
    }
    return stale;
}

/* Both aliases run the old code before each change, so a translation exists to go stale. */
static unsigned stale_aliases(void)
{
    unsigned stale = 0;

    for (unsigned i = 0; i < CODE_ROUNDS; i++) {
        write_code(code_page, i);
        for (unsigned alias = 0; alias < 2; alias++) {
            call_code(ALIAS + alias * PAGE_SIZE);
            stale += peer_value != i;
        }
    }
    return stale;
}

/* Several functions in one page, each changed alone. */
static unsigned stale_neighbours(void)
{
    unsigned stale = 0;

    for (unsigned i = 0; i < CODE_ROUNDS; i++)
        for (unsigned slot = 0; slot < 4; slot++) {
            write_code(code_page + slot * 16, i * 4 + slot);
            call_code(ALIAS + slot * 64);
            stale += peer_value != i * 4 + slot;
        }
    return stale;
}

static void check_fresh_code(void)
{
    uint64_t page = (uintptr_t)code_page;

    mmu_map(ALIAS, page, PAGE_SIZE, EXECUTABLE | MMU_RO);
    mmu_map(ALIAS + PAGE_SIZE, page, PAGE_SIZE, EXECUTABLE | MMU_RO);
    check_equal("new code: through an executable alias", stale_calls(ALIAS, false), 0);
    check_equal("new code: through two aliases", stale_aliases(), 0);
    check_equal("new code: neighbours in one page", stale_neighbours(), 0);
    mmu_map(page, page, PAGE_SIZE, EXECUTABLE);
    check_equal("new code: written and run at one address", stale_calls(page, false), 0);
    if (peer_present())
        check_equal("new code: run by vcpu 1", stale_calls(ALIAS, true), 0);
    mmu_map(page, page, PAGE_SIZE, MMU_DATA);
    if (peer_present())
        check_equal("new code: run by vcpu 1, page not executable for the writer", stale_calls(ALIAS + PAGE_SIZE, true), 0);
}

static void load(uint64_t address)
{
    peer_value = *(volatile uint64_t *)address;
}

static void check_remap(void)
{
    uint64_t stale = 0, peer_stale = 0;

    page_a[0] = 0xa;
    page_b[0] = 0xb;
    for (unsigned i = 0; i < 20; i++) {
        mmu_map(ALIAS, (uintptr_t)(i % 2 ? page_b : page_a), PAGE_SIZE, MMU_DATA);
        stale += *(volatile uint64_t *)ALIAS != (i % 2 ? 0xb : 0xa);
        if (peer_present()) {
            (void)peer_run(load, ALIAS);
            peer_stale += peer_value != (i % 2 ? 0xb : 0xa);
        }
    }
    check_equal("remapped page: seen by vcpu 0", stale, 0);
    check_equal("remapped page: seen by vcpu 1", peer_stale, 0);
}

static void check_aliases(void)
{
    mmu_map(ALIAS, (uintptr_t)page_a, PAGE_SIZE, MMU_DATA);
    mmu_map(ALIAS + PAGE_SIZE, (uintptr_t)page_a, PAGE_SIZE, MMU_NONCACHEABLE | MMU_XN);
    *(volatile uint64_t *)ALIAS = 0x1234;
    __asm__ volatile("dc civac, %0\n dsb sy" : : "r"(ALIAS) : "memory");
    check_equal("alias: store seen at the identity address", ((volatile uint64_t *)page_a)[0], 0x1234);
    check_equal("alias: store seen non-cacheable", *(volatile uint64_t *)(ALIAS + PAGE_SIZE), 0x1234);
}

/* Two neighbouring virtual pages over two pages that are not neighbours. */
static void check_unaligned(void)
{
    uint64_t value;

    mmu_map(ALIAS, (uintptr_t)page_b, PAGE_SIZE, MMU_DATA);
    mmu_map(ALIAS + PAGE_SIZE, (uintptr_t)page_a, PAGE_SIZE, MMU_DATA);
    page_b[511] = 0x8877665544332211;
    page_a[0] = 0x00ffeeddccbbaa99;
    __asm__ volatile("ldr %0, [%1]" : "=r"(value) : "r"(ALIAS + PAGE_SIZE - 3) : "memory");
    check_equal("unaligned load across pages", value, 0xddccbbaa99887766);
    __asm__ volatile("str %0, [%1]" : : "r"(0x0102030405060708), "r"(ALIAS + PAGE_SIZE - 5) : "memory");
    check_equal("unaligned store across pages: first", ((volatile uint64_t *)page_b)[511], 0x0405060708332211);
    check_equal("unaligned store across pages: second", ((volatile uint64_t *)page_a)[0], 0x00ffeeddcc010203);
}

static void check_ram_ends(void)
{
    /* RAM may begin with this image, whose text is read-only: the first word tried is in the next 2 MB. */
    uint64_t ends[] = {machine.ram_base + (2UL << 20), machine.ram_base + machine.ram_size - 8};

    for (unsigned i = 0; i < ARRAY_SIZE(ends); i++) {
        volatile uint64_t *word = (volatile uint64_t *)ends[i];
        uint64_t saved = *word;
        *word = ~saved;
        check_equal(i ? "last word of ram" : "ram behind the image", *word, ~saved);
        *word = saved;
    }
}

static void check_address_translation(void)
{
    uint64_t address = (uintptr_t)page_a;

    __asm__ volatile("at s1e1r, %0\n isb" : : "r"(address) : "memory");
    check_equal("at s1e1r: mapped", READ_SYSREG(par_el1) & 0xfffffffff001, address);
    __asm__ volatile("at s1e1w, %0\n isb" : : "r"((uintptr_t)guest_main & ~0xfffUL) : "memory");
    check_equal("at s1e1w: read-only page", READ_SYSREG(par_el1) & 0x7f, 0x0f << 1 | 1);
    __asm__ volatile("at s1e0r, %0\n isb" : : "r"(address) : "memory");
    check_equal("at s1e0r: EL1-only page", READ_SYSREG(par_el1) & 0x7f, 0x0f << 1 | 1);
    __asm__ volatile("at s1e1r, %0\n isb" : : "r"(ALIAS + (1UL << 30)) : "memory");
    check_equal("at s1e1r: unmapped", READ_SYSREG(par_el1) & 0x7f, 0x05 << 1 | 1);
}

void check_memory(void)
{
    check_monitor();
    if (peer_present())
        check_contention();
    check_fresh_code();
    check_remap();
    check_aliases();
    check_unaligned();
    check_ram_ends();
    check_address_translation();
    mmu_map(ALIAS, 0, 2 * PAGE_SIZE, MMU_NONE);
}
