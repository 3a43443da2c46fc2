/* Device accesses in every form an Arm compiler or a driver may use, and what the PL011 and the PL031 say of themselves. */
#include "mmio.h"

#include "check.h"
#include "gic.h"
#include "uart.h"

#define RTC_BASE 0x09010000UL
#define RTC_INTID 34U

enum rtc_register { RTC_DR = 0x00, RTC_MR = 0x04, RTC_LR = 0x08, RTC_CR = 0x0c, RTC_IMSC = 0x10, RTC_ICR = 0x1c };

/* IBRD (16 bits) and FBRD (6 bits) are neighbours that only the idle baud generator reads. */
#define IBRD (UART_BASE + UART_IBRD)
#define FBRD (UART_BASE + UART_FBRD)
#define IBRD_VALUE 0x8234UL
#define FBRD_VALUE 0x2aUL
#define OLD_BITS 0xdeadbeefdeadbeefUL

/* Run one load with x9 = base, x11 = offset; check what x10, and x12 for pairs, and the base become. */
#define CHECK_LOAD(name, instruction, base, offset, value, base_after)                                    \
    do {                                                                                                  \
        register uint64_t base_ __asm__("x9") = (base);                                                   \
        register uint64_t data_ __asm__("x10") = OLD_BITS;                                                \
        register uint64_t offset_ __asm__("x11") = (offset);                                              \
        register uint64_t second_ __asm__("x12") = FBRD_VALUE;                                            \
        __asm__ volatile(instruction : "+r"(base_), "+r"(data_), "+r"(offset_), "+r"(second_) : : "memory"); \
        uint64_t got_ = data_, base_got_ = base_, second_got_ = second_;                                  \
        check_detail("mmio ", name, got_, value);                                                         \
        check_detail("mmio " name, ": base", base_got_, base_after);                                      \
        check_detail("mmio " name, ": second register", second_got_, FBRD_VALUE);                         \
    } while (0)

/* Run one store with x9 = base, x10 = IBRD's value, x11 = FBRD's or the offset; check IBRD and the base. */
#define CHECK_STORE(name, instruction, base, offset, expected, base_after)                                 \
    do {                                                                                                   \
        register uint64_t base_ __asm__("x9") = (base);                                                    \
        register uint64_t data_ __asm__("x10") = 0xffffffff00004321;                                       \
        register uint64_t offset_ __asm__("x11") = (offset);                                               \
        mmio_write32(IBRD, 0x1111);                                                                        \
        __asm__ volatile(instruction : "+r"(base_), "+r"(data_), "+r"(offset_) : : "memory");              \
        uint64_t base_got_ = base_;                                                                        \
        check_detail("mmio ", name, mmio_read32(IBRD), expected);                                          \
        check_detail("mmio " name, ": base", base_got_, base_after);                                       \
    } while (0)

static void check_loads(void)
{
    mmio_write32(IBRD, IBRD_VALUE);
    mmio_write32(FBRD, FBRD_VALUE);
    CHECK_LOAD("ldr w", "ldr w10, [x9]", IBRD, 0, IBRD_VALUE, IBRD);
    CHECK_LOAD("ldr w, offset", "ldr w10, [x9, #0x24]", UART_BASE, 0, IBRD_VALUE, UART_BASE);
    CHECK_LOAD("ldrb", "ldrb w10, [x9]", IBRD, 0, IBRD_VALUE & 0xff, IBRD);
    CHECK_LOAD("ldrh", "ldrh w10, [x9]", IBRD, 0, IBRD_VALUE, IBRD);
    CHECK_LOAD("ldrsh w", "ldrsh w10, [x9]", IBRD, 0, 0xffff8234, IBRD);
    CHECK_LOAD("ldrsh x", "ldrsh x10, [x9]", IBRD, 0, 0xffffffffffff8234, IBRD);
    CHECK_LOAD("ldrsb x", "ldrsb x10, [x9]", IBRD, 0, 0x34, IBRD);
    CHECK_LOAD("ldrsw", "ldrsw x10, [x9]", IBRD, 0, IBRD_VALUE, IBRD);
    CHECK_LOAD("ldur", "ldur w10, [x9, #-4]", FBRD, 0, IBRD_VALUE, FBRD);
    CHECK_LOAD("ldr, pre-index", "ldr w10, [x9, #0x24]!", UART_BASE, 0, IBRD_VALUE, IBRD);
    CHECK_LOAD("ldr, post-index", "ldr w10, [x9], #8", IBRD, 0, IBRD_VALUE, IBRD + 8);
    CHECK_LOAD("ldr, negative post-index", "ldr w10, [x9], #-0x24", IBRD, 0, IBRD_VALUE, UART_BASE);
    CHECK_LOAD("ldrh, pre-index", "ldrh w10, [x9, #-4]!", FBRD, 0, IBRD_VALUE, IBRD);
    CHECK_LOAD("ldrb, post-index", "ldrb w10, [x9], #1", IBRD, 0, IBRD_VALUE & 0xff, IBRD + 1);
    CHECK_LOAD("ldr, register offset", "ldr w10, [x9, x11]", UART_BASE, UART_IBRD, IBRD_VALUE, UART_BASE);
    CHECK_LOAD("ldr, scaled register offset", "ldr w10, [x9, x11, lsl #2]", UART_BASE, UART_IBRD / 4, IBRD_VALUE, UART_BASE);
    CHECK_LOAD("ldr, sign-extended offset", "ldr w10, [x9, w11, sxtw #2]", FBRD, 0xffffffff, IBRD_VALUE, FBRD);
    CHECK_LOAD("ldar", "ldar w10, [x9]", IBRD, 0, IBRD_VALUE, IBRD);
    CHECK_LOAD("ldarh", "ldarh w10, [x9]", IBRD, 0, IBRD_VALUE, IBRD);
    CHECK_LOAD("ldr to wzr", "ldr wzr, [x9]", IBRD, 0, OLD_BITS, IBRD);
    CHECK_LOAD("ldp w", "mov x12, #0\n ldp w10, w12, [x9]", IBRD, 0, IBRD_VALUE, IBRD);
    CHECK_LOAD("ldp w, pre-index", "mov x12, #0\n ldp w10, w12, [x9, #0x24]!", UART_BASE, 0, IBRD_VALUE, IBRD);
    CHECK_LOAD("ldp w, post-index", "mov x12, #0\n ldp w10, w12, [x9], #8", IBRD, 0, IBRD_VALUE, IBRD + 8);
    CHECK_LOAD("ldpsw", "mov x12, #0\n ldpsw x10, x12, [x9]", IBRD, 0, IBRD_VALUE, IBRD);
    CHECK_LOAD("ldnp w", "mov x12, #0\n ldnp w10, w12, [x9]", IBRD, 0, IBRD_VALUE, IBRD);
    CHECK_LOAD("ldr to the base itself", "mov x10, x9\n ldr w10, [x10]", IBRD, 0, IBRD_VALUE, IBRD);
    CHECK_LOAD("ldr to x30", "mov x12, x30\n ldr w30, [x9]\n mov x10, x30\n mov x30, x12\n mov x12, #0x2a", IBRD, 0,
               IBRD_VALUE, IBRD);
}

static void check_stores(void)
{
    CHECK_STORE("str w", "str w10, [x9]", IBRD, 0, 0x4321, IBRD);
    CHECK_STORE("strh", "strh w10, [x9]", IBRD, 0, 0x4321, IBRD);
    CHECK_STORE("stur", "stur w10, [x9, #-4]", FBRD, 0, 0x4321, FBRD);
    CHECK_STORE("str wzr", "str wzr, [x9]", IBRD, 0, 0, IBRD);
    CHECK_STORE("strh wzr", "strh wzr, [x9]", IBRD, 0, 0, IBRD);
    CHECK_STORE("str, pre-index", "str w10, [x9, #0x24]!", UART_BASE, 0, 0x4321, IBRD);
    CHECK_STORE("str, post-index", "str w10, [x9], #-4", IBRD, 0, 0x4321, IBRD - 4);
    CHECK_STORE("strh, post-index", "strh w10, [x9], #2", IBRD, 0, 0x4321, IBRD + 2);
    CHECK_STORE("str, register offset", "str w10, [x9, x11]", UART_BASE, UART_IBRD, 0x4321, UART_BASE);
    CHECK_STORE("str, scaled register offset", "str w10, [x9, w11, uxtw #2]", UART_BASE, UART_IBRD / 4, 0x4321, UART_BASE);
    CHECK_STORE("stlr", "stlr w10, [x9]", IBRD, 0, 0x4321, IBRD);
    CHECK_STORE("stlrh", "stlrh w10, [x9]", IBRD, 0, 0x4321, IBRD);
    CHECK_STORE("stp w", "stp w10, w11, [x9]", IBRD, 0x15, 0x4321, IBRD);
    check_equal("mmio stp w: second register", mmio_read32(FBRD), 0x15);
    CHECK_STORE("stp w, pre-index", "stp w10, w11, [x9, #0x24]!", UART_BASE, 0x16, 0x4321, IBRD);
    check_equal("mmio stp w, pre-index: second register", mmio_read32(FBRD), 0x16);
    CHECK_STORE("stp w, post-index", "stp w10, w11, [x9], #-8", IBRD, 0x17, 0x4321, IBRD - 8);
    check_equal("mmio stp w, post-index: second register", mmio_read32(FBRD), 0x17);
    CHECK_STORE("stp with wzr", "stp w10, wzr, [x9]", IBRD, 0, 0x4321, IBRD);
    check_equal("mmio stp with wzr: second register", mmio_read32(FBRD), 0);
    CHECK_STORE("stnp w", "stnp w10, w11, [x9]", IBRD, 0x18, 0x4321, IBRD);
    check_equal("mmio stnp w: second register", mmio_read32(FBRD), 0x18);
    mmio_write8(FBRD, 0x2a);
    check_equal("mmio strb", mmio_read32(FBRD), 0x2a);
}

/* 64-bit registers, as one access, as words, and as a pair of registers. */
static void check_wide(void)
{
    uint64_t router = GICD_BASE + GICD_IROUTER + 8 * 42;
    uint64_t low, high;

    mmio_write64(router, 1UL << 31);
    check_equal("mmio str x", mmio_read64(router), 1UL << 31);
    mmio_write64(router, 0);
    mmio_write32(router, 1);
    check_equal("mmio ldr x of a register written by str w", mmio_read64(router), 1);
    __asm__ volatile("stp %2, %3, [%4]\n ldp %0, %1, [%4]"
                     : "=&r"(low), "=&r"(high)
                     : "r"(1UL << 31), "r"(1UL), "r"(router)
                     : "memory");
    check_equal("mmio ldp x: first", low, 1UL << 31);
    check_equal("mmio ldp x: second", high, 1);
    mmio_write64(router, 0);
    mmio_write64(router + 8, 0);
}

static void check_alias(void)
{
    uint64_t value;

    mmio_write32(IBRD, IBRD_VALUE);
    __asm__ volatile("mov x9, sp\n mov sp, %1\n ldr %w0, [sp, #0x24]\n mov sp, x9" : "=&r"(value) : "r"(UART_BASE) : "x9", "memory");
    check_equal("mmio ldr with sp as base", value, IBRD_VALUE);
    mmio_write32(IBRD, 0);
    mmio_write32(FBRD, 0);
}

static void check_ids(const char *name, uint64_t base, uint32_t part0, uint32_t part1)
{
    static const uint32_t component[] = {0x0d, 0xf0, 0x05, 0xb1};

    check_detail(name, " peripheral id 0", mmio_read32(base + UART_PERIPH_ID0), part0);
    check_detail(name, " peripheral id 1", mmio_read32(base + UART_PERIPH_ID0 + 4), part1);
    /* The upper half is the revision, which is the board's choice. */
    check_detail(name, " peripheral id 2", mmio_read32(base + UART_PERIPH_ID0 + 8) & 0xf, 0x4);
    check_detail(name, " peripheral id 3", mmio_read32(base + UART_PERIPH_ID0 + 12), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(component); i++)
        check_detail(name, " component id", mmio_read32(base + UART_PCELL_ID0 + 4 * i), component[i]);
}

/* The transmit interrupt without FIFOs: raised when the sent character has left. */
static void check_uart_interrupt(void)
{
    gic_enable(UART_INTID, NULL);
    mmio_write32(UART_BASE + UART_LCRH, 0x60);
    mmio_write32(UART_BASE + UART_ICR, 0x7ff);
    check_equal("uart: no interrupt after clearing", mmio_read32(UART_BASE + UART_RIS) & UART_INT_TX, 0);
    mmio_write32(UART_BASE + UART_DR, '\n');
    check("uart: raw transmit interrupt", eventually(mmio_read32(UART_BASE + UART_RIS) & UART_INT_TX));
    check_equal("uart: masked is not signalled", READ_SYSREG(icc_hppir1_el1), GIC_SPURIOUS);
    mmio_write32(UART_BASE + UART_IMSC, UART_INT_TX);
    check_equal("uart: masked interrupt status", mmio_read32(UART_BASE + UART_MIS), UART_INT_TX);
    check("uart: unmasked is pending", pending_becomes(UART_INTID));
    mmio_write32(UART_BASE + UART_ICR, UART_INT_TX);
    check("uart: clearing takes the level away", pending_becomes(GIC_SPURIOUS));
    mmio_write32(UART_BASE + UART_IMSC, 0);
    gic_disable(UART_INTID);
    uart_init();
}

static void sleep_until(uint64_t count)
{
    while (timer_count() < count) {
        timer_virtual_at(count);
        WFI();
        irq_window();
    }
}

static void check_rtc(void)
{
    uint32_t start, elapsed;

    gic_enable(TIMER_VIRTUAL_INTID, NULL);
    mmio_write32(RTC_BASE + RTC_CR, 1);
    check_equal("rtc: enabled", mmio_read32(RTC_BASE + RTC_CR), 1);
    start = mmio_read32(RTC_BASE + RTC_DR);
    sleep_until(timer_count() + timer_frequency() * 11 / 10);
    elapsed = mmio_read32(RTC_BASE + RTC_DR) - start;
    check("rtc: counts seconds", elapsed == 1 || elapsed == 2);
    mmio_write32(RTC_BASE + RTC_LR, 0x60000000);
    check("rtc: load register sets the time", mmio_read32(RTC_BASE + RTC_DR) - 0x60000000 <= 1);
    check_equal("rtc: load register reads back", mmio_read32(RTC_BASE + RTC_LR), 0x60000000);
    gic_enable(RTC_INTID, NULL);
    mmio_write32(RTC_BASE + RTC_ICR, 1);
    mmio_write32(RTC_BASE + RTC_MR, mmio_read32(RTC_BASE + RTC_DR) + 1);
    sleep_until(timer_count() + timer_frequency());
    mmio_write32(RTC_BASE + RTC_IMSC, 1);
    check("rtc: match interrupt", pending_becomes(RTC_INTID));
    mmio_write32(RTC_BASE + RTC_IMSC, 0);
    mmio_write32(RTC_BASE + RTC_ICR, 1);
    check("rtc: match interrupt cleared", pending_becomes(GIC_SPURIOUS));
    gic_disable(RTC_INTID);
}

void check_mmio(void)
{
    check_loads();
    check_stores();
    check_wide();
    check_alias();
    check_ids("pl011", UART_BASE, 0x11, 0x10);
    check_ids("pl031", RTC_BASE, 0x31, 0x10);
    check_uart_interrupt();
    check_rtc();
}
