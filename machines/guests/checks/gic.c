/* GICv3: the registers, and the life of an interrupt through the system-register CPU interface. */
#include "gic.h"

#include "check.h"
#include "machine.h"
#include "mmio.h"

/* An SPI that no device of the board uses. */
#define SPI 42U
#define SPI_BIT (1U << SPI % 32)
#define SPI_WORD (SPI / 32 * 4)

#define LOW_SGI 3U
#define HIGH_SGI 4U
#define LOW_PRIORITY 0xc0U
#define HIGH_PRIORITY 0x40U
#define CTLR_EOIMODE 2UL
#define IDLE_PRIORITY 0xffUL

static uint64_t hppir(void)
{
    return READ_SYSREG(icc_hppir1_el1);
}

static uint64_t running_priority(void)
{
    return READ_SYSREG(icc_rpr_el1);
}

static void set_icc_ctlr(uint64_t value)
{
    WRITE_SYSREG(icc_ctlr_el1, value);
    ISB();
}

static void send_self(unsigned sgi)
{
    gic_send_sgi(0, sgi);
}

static bool is_set(unsigned intid, enum gic_register which)
{
    return mmio_read32(gic_frame(intid) + which + intid / 32 * 4) >> intid % 32 & 1;
}

static void set_bit(unsigned intid, enum gic_register which)
{
    mmio_write32(gic_frame(intid) + which + intid / 32 * 4, 1U << intid % 32);
}

static void drain(void)
{
    uint64_t intid;

    while ((intid = acknowledge()) < 1020)
        end_of_interrupt(intid);
}

static void check_distributor(void)
{
    uint32_t typer = mmio_read32(GICD_BASE + GICD_TYPER);

    check_equal("gicd: architecture revision 3", mmio_read32(GICD_BASE + GICD_PIDR2) >> 4 & 0xf, 3);
    check("gicd_typer: has SPIs", (typer & 0x1f) >= 1);
    check("gicd_typer: 10 or more id bits", (typer >> 19 & 0x1f) >= 9);
    check_equal("gicd_ctlr: affinity routing and group 1 on", mmio_read32(GICD_BASE + GICD_CTLR) & 0x12, 0x12);
}

static void check_redistributors(void)
{
    for (unsigned cpu = 0; cpu < machine.cpus; cpu++) {
        uint64_t base = GICR_BASE + cpu * GICR_STRIDE;
        uint64_t typer = mmio_read64(base + GICR_TYPER);

        check_equal("gicr_typer: affinity", typer >> 32, cpu);
        check_equal("gicr_typer: processor number", typer >> 8 & 0xffff, cpu);
        check_equal("gicr_typer: last", typer >> 4 & 1, cpu + 1 == machine.cpus);
        check_equal("gicr_typer: upper word", mmio_read32(base + GICR_TYPER + 4), cpu);
        check_equal("gicr: architecture revision 3", mmio_read32(base + GICD_PIDR2) >> 4 & 0xf, 3);
        check_equal("gicr_waker: awake", mmio_read32(base + GICR_WAKER) & (GICR_WAKER_SLEEP | GICR_WAKER_ASLEEP), 0);
    }
}

static void check_interface_registers(void)
{
    check_equal("icc_sre: system registers", READ_SYSREG(icc_sre_el1) & 1, 1);
    check_equal("icc_igrpen1", READ_SYSREG(icc_igrpen1_el1) & 1, 1);
    WRITE_SYSREG(icc_pmr_el1, 0xa0);
    check_equal("icc_pmr: reads back", READ_SYSREG(icc_pmr_el1), 0xa0);
    WRITE_SYSREG(icc_pmr_el1, 0xff);
    check_equal("icc_pmr: at least 4 bits", READ_SYSREG(icc_pmr_el1) & 0xf0, 0xf0);
    WRITE_SYSREG(icc_bpr1_el1, 7);
    check_equal("icc_bpr1: reads back", READ_SYSREG(icc_bpr1_el1), 7);
    WRITE_SYSREG(icc_bpr1_el1, 0);
    check("icc_bpr1: not below the implemented minimum", READ_SYSREG(icc_bpr1_el1) <= 3);
    set_icc_ctlr(CTLR_EOIMODE);
    check_equal("icc_ctlr: EOImode reads back", READ_SYSREG(icc_ctlr_el1) & CTLR_EOIMODE, CTLR_EOIMODE);
    set_icc_ctlr(0);
    check_equal("icc_iar1: spurious", acknowledge(), GIC_SPURIOUS);
    check_equal("icc_hppir1: spurious", hppir(), GIC_SPURIOUS);
    check_equal("icc_rpr: idle", running_priority(), IDLE_PRIORITY);
}

static void check_spi_registers(void)
{
    set_bit(SPI, GIC_ICENABLER);
    check("isenabler: starts clear", !is_set(SPI, GIC_ISENABLER));
    set_bit(SPI, GIC_ISENABLER);
    check("isenabler: set", is_set(SPI, GIC_ISENABLER) && is_set(SPI, GIC_ICENABLER));
    mmio_write32(GICD_BASE + GIC_ISENABLER + SPI_WORD, 0);
    check("isenabler: writing 0 changes nothing", is_set(SPI, GIC_ISENABLER));
    set_bit(SPI, GIC_ICENABLER);
    check("icenabler: clears", !is_set(SPI, GIC_ISENABLER));
    set_bit(SPI, GIC_ISPENDR);
    check("ispendr: set", is_set(SPI, GIC_ISPENDR) && is_set(SPI, GIC_ICPENDR));
    set_bit(SPI, GIC_ICPENDR);
    check("icpendr: clears", !is_set(SPI, GIC_ISPENDR));
    set_bit(SPI, GIC_ISACTIVER);
    check("isactiver: set", is_set(SPI, GIC_ISACTIVER));
    set_bit(SPI, GIC_ICACTIVER);
    check("icactiver: clears", !is_set(SPI, GIC_ISACTIVER));
    check("igroupr: group 1", is_set(SPI, GIC_IGROUPR));
    mmio_write32(GICD_BASE + GIC_ICFGR + SPI / 16 * 4, 2U << SPI % 16 * 2);
    check_equal("icfgr: edge", mmio_read32(GICD_BASE + GIC_ICFGR + SPI / 16 * 4) >> SPI % 16 * 2 & 2, 2);
    check_equal("icfgr: SGIs are edge", mmio_read32(gic_frame(0) + GIC_ICFGR) & 0xaaaaaaaa, 0xaaaaaaaa);
    mmio_write64(GICD_BASE + GICD_IROUTER + 8 * SPI, 1);
    check_equal("irouter: reads back", mmio_read64(GICD_BASE + GICD_IROUTER + 8 * SPI), 1);
    gic_route(SPI, 0);
}

static void check_priority_registers(void)
{
    uint64_t word = GICD_BASE + GIC_IPRIORITYR + 40;

    mmio_write32(word, 0x40302010);
    check_equal("ipriorityr: word", mmio_read32(word), 0x40302010);
    mmio_write8(word + 2, 0x90);
    check_equal("ipriorityr: byte write", mmio_read32(word), 0x40902010);
    check_equal("ipriorityr: byte read", mmio_read8(word + 2), 0x90);
    gic_set_priority(LOW_SGI, LOW_PRIORITY);
    check_equal("ipriorityr: redistributor byte", mmio_read8(gic_frame(0) + GIC_IPRIORITYR + LOW_SGI), LOW_PRIORITY);
    mmio_write32(word, 0xa0a0a0a0);
}

static void check_sgi_life(void)
{
    gic_set_priority(5, GIC_PRIORITY);
    send_self(5);
    check("sgi: pending", pending_becomes(5) && is_set(5, GIC_ISPENDR));
    check_equal("sgi: ISR_EL1.I", READ_SYSREG(isr_el1) & PSR_I, PSR_I);
    check_equal("sgi: acknowledged", acknowledge(), 5);
    check("sgi: active, not pending", is_set(5, GIC_ISACTIVER) && !is_set(5, GIC_ISPENDR));
    check_equal("sgi: running priority", running_priority(), GIC_PRIORITY);
    check_equal("sgi: acknowledged once", acknowledge(), GIC_SPURIOUS);
    check_equal("sgi: ISR_EL1.I clear while active", READ_SYSREG(isr_el1) & PSR_I, 0);
    send_self(5);
    check_equal("sgi: sent again while active waits", acknowledge(), GIC_SPURIOUS);
    check("sgi: active and pending", is_set(5, GIC_ISACTIVER) && is_set(5, GIC_ISPENDR));
    end_of_interrupt(5);
    check_equal("sgi: running priority dropped", running_priority(), IDLE_PRIORITY);
    check_equal("sgi: the second one", acknowledge(), 5);
    end_of_interrupt(5);
    check("sgi: inactive after end", !is_set(5, GIC_ISACTIVER));
    send_self(5);
    set_bit(5, GIC_ICPENDR);
    check_equal("sgi: pending taken back", hppir(), GIC_SPURIOUS);
}

static void check_priority_order(void)
{
    gic_set_priority(LOW_SGI, LOW_PRIORITY);
    gic_set_priority(HIGH_SGI, HIGH_PRIORITY);
    send_self(LOW_SGI);
    send_self(HIGH_SGI);
    check_equal("priority: higher first", acknowledge(), HIGH_SGI);
    check_equal("priority: lower does not preempt", acknowledge(), GIC_SPURIOUS);
    check_equal("priority: lower stays pending", hppir(), LOW_SGI);
    end_of_interrupt(HIGH_SGI);
    check_equal("priority: lower next", acknowledge(), LOW_SGI);
    send_self(HIGH_SGI);
    check_equal("priority: higher preempts", acknowledge(), HIGH_SGI);
    check_equal("priority: running is the higher", running_priority(), HIGH_PRIORITY);
    end_of_interrupt(HIGH_SGI);
    check_equal("priority: back to the lower", running_priority(), LOW_PRIORITY);
    end_of_interrupt(LOW_SGI);
    check_equal("priority: idle", running_priority(), IDLE_PRIORITY);
}

static void check_priority_mask(void)
{
    WRITE_SYSREG(icc_pmr_el1, 0x80);
    send_self(LOW_SGI);
    check_equal("pmr: masked is not acknowledged", acknowledge(), GIC_SPURIOUS);
    check_equal("pmr: masked does not raise ISR_EL1.I", READ_SYSREG(isr_el1) & PSR_I, 0);
    send_self(HIGH_SGI);
    check_equal("pmr: higher passes", acknowledge(), HIGH_SGI);
    end_of_interrupt(HIGH_SGI);
    WRITE_SYSREG(icc_pmr_el1, LOW_PRIORITY);
    check_equal("pmr: equal is masked", acknowledge(), GIC_SPURIOUS);
    WRITE_SYSREG(icc_pmr_el1, 0xff);
    check_equal("pmr: unmasked", acknowledge(), LOW_SGI);
    end_of_interrupt(LOW_SGI);
}

/* With BPR1 = 7 only bit 7 decides about preemption, the rest about the order of the waiting. */
static void check_binary_point(void)
{
    WRITE_SYSREG(icc_bpr1_el1, 7);
    gic_set_priority(6, 0x20);
    send_self(HIGH_SGI);
    check_equal("bpr1: acknowledged", acknowledge(), HIGH_SGI);
    check_equal("bpr1: running is the group priority", running_priority(), HIGH_PRIORITY & 0x80);
    send_self(6);
    check_equal("bpr1: same group does not preempt", acknowledge(), GIC_SPURIOUS);
    end_of_interrupt(HIGH_SGI);
    send_self(HIGH_SGI);
    check_equal("bpr1: subpriority orders", acknowledge(), 6);
    end_of_interrupt(6);
    drain();
    WRITE_SYSREG(icc_bpr1_el1, 0);
}

static void check_eoimode(void)
{
    set_icc_ctlr(CTLR_EOIMODE);
    send_self(5);
    check_equal("EOImode 1: acknowledged", acknowledge(), 5);
    end_of_interrupt(5);
    check_equal("EOImode 1: EOIR drops the priority", running_priority(), IDLE_PRIORITY);
    check("EOImode 1: still active", is_set(5, GIC_ISACTIVER));
    send_self(5);
    check_equal("EOImode 1: an active one is not taken again", acknowledge(), GIC_SPURIOUS);
    WRITE_SYSREG(icc_dir_el1, 5);
    ISB();
    check("EOImode 1: DIR deactivates", !is_set(5, GIC_ISACTIVER));
    check_equal("EOImode 1: now it is taken", acknowledge(), 5);
    end_of_interrupt(5);
    WRITE_SYSREG(icc_dir_el1, 5);
    set_icc_ctlr(0);
    send_self(5);
    check_equal("EOImode 0: acknowledged", acknowledge(), 5);
    end_of_interrupt(5);
    check("EOImode 0: EOIR deactivates", !is_set(5, GIC_ISACTIVER));
}

static void check_enables(void)
{
    WRITE_SYSREG(icc_igrpen1_el1, 0);
    ISB();
    send_self(5);
    check_equal("igrpen1 off: nothing is signalled", acknowledge(), GIC_SPURIOUS);
    WRITE_SYSREG(icc_igrpen1_el1, 1);
    ISB();
    check_equal("igrpen1 on: it waited", acknowledge(), 5);
    end_of_interrupt(5);
    set_bit(SPI, GIC_ICENABLER);
    gic_route(SPI, 0);
    set_bit(SPI, GIC_ISPENDR);
    check_equal("spi: disabled is not signalled", acknowledge(), GIC_SPURIOUS);
    set_bit(SPI, GIC_ISENABLER);
    check("spi: signalled when enabled", pending_becomes(SPI));
    check_equal("spi: acknowledged", acknowledge(), SPI);
    check("spi: active", is_set(SPI, GIC_ISACTIVER));
    end_of_interrupt(SPI);
    check("spi: inactive after end", !is_set(SPI, GIC_ISACTIVER));
    mmio_write32(GICD_BASE + GICD_CTLR, GICD_CTLR_ARE);
    set_bit(SPI, GIC_ISPENDR);
    check_equal("gicd_ctlr: group 1 off signals nothing", acknowledge(), GIC_SPURIOUS);
    mmio_write32(GICD_BASE + GICD_CTLR, GICD_CTLR_ARE | GICD_CTLR_GRP1);
    check("gicd_ctlr: group 1 on again", pending_becomes(SPI));
    drain();
}

static void check_delivery(void)
{
    unsigned before = irqs[0].count;

    send_self(5);
    check_equal("irq: held by PSTATE.I", irqs[0].count - before, 0);
    irq_window();
    check_equal("irq: taken when unmasked", irqs[0].count - before, 1);
    check_equal("irq: vector", irqs[0].vector, 5);
    check_equal("irq: id", irqs[0].last, 5);
    send_self(5);
    WFI();
    irq_window();
    check_equal("irq: a pending one ends WFI", irqs[0].count - before, 2);
}

static unsigned depth, deepest, lower_sent;

/* The lower handler lets a higher priority in; the first higher handler tries to let the lower in. */
static void interrupt_myself(unsigned intid)
{
    depth++;
    deepest = depth > deepest ? depth : deepest;
    if (intid == LOW_SGI)
        send_self(HIGH_SGI);
    else if (!lower_sent++)
        send_self(LOW_SGI);
    irq_window();
    depth--;
}

static void check_nesting(void)
{
    unsigned before = irqs[0].count;

    deepest = lower_sent = 0;
    irq_hook = interrupt_myself;
    send_self(LOW_SGI);
    irq_enable();
    check("nesting: all taken", eventually(irqs[0].count == before + 4));
    irq_disable();
    irq_hook = NULL;
    check_equal("nesting: higher in lower, lower not in higher", deepest, 2);
    check_equal("nesting: idle afterwards", running_priority(), IDLE_PRIORITY);
    drain();
}

static void nothing(uint64_t unused)
{
    (void)unused;
}

static void check_peer_sgi(void)
{
    unsigned mine = irqs[0].count, theirs = irqs[1].count;

    gic_send_sgi(1, 7);
    check("sgi to vcpu 1: taken", eventually(irqs[1].count == theirs + 1));
    check_equal("sgi to vcpu 1: id", irqs[1].last, 7);
    WRITE_SYSREG(icc_sgi1r_el1, 8UL << 24 | 3);
    ISB();
    check("sgi to both: vcpu 1", eventually(irqs[1].count == theirs + 2 && irqs[1].last == 8));
    irq_window();
    check("sgi to both: vcpu 0", irqs[0].count == mine + 1 && irqs[0].last == 8);
    WRITE_SYSREG(icc_sgi1r_el1, 9UL << 24 | SGI1R_IRM);
    ISB();
    check("sgi to all others: vcpu 1", eventually(irqs[1].count == theirs + 3 && irqs[1].last == 9));
    irq_window();
    check_equal("sgi to all others: not the sender", irqs[0].count - mine, 1);
    WRITE_SYSREG(icc_sgi1r_el1, 10UL << 24 | 5UL << 16 | 3);
    WRITE_SYSREG(icc_sgi1r_el1, 10UL << 24 | 0x80);
    ISB();
    irq_window();
    (void)peer_run(nothing, 0);
    /* Three before, one at this vCPU, and the one by which peer_run() woke the other. */
    check_equal("sgi to nobody", irqs[0].count + irqs[1].count - mine - theirs, 5);
}

static volatile unsigned answers;

static void answer(unsigned intid)
{
    if (cpu_id() == 1 && intid == 7)
        gic_send_sgi(0, 6);
    else
        answers++;
}

static void check_ping_pong(void)
{
    answers = 0;
    irq_hook = answer;
    irq_enable();
    for (unsigned i = 0; i < 100; i++) {
        gic_send_sgi(1, 7);
        if (!eventually(answers == i + 1))
            break;
    }
    irq_disable();
    irq_hook = NULL;
    check_equal("sgi there and back 100 times", answers, 100);
}

static void check_peer_spi(void)
{
    unsigned theirs = irqs[1].count;

    gic_route(SPI, 1);
    set_bit(SPI, GIC_ISPENDR);
    check("spi routed to vcpu 1: taken", eventually(irqs[1].count == theirs + 1 && irqs[1].last == SPI));
    check_equal("spi routed to vcpu 1: not by vcpu 0", hppir(), GIC_SPURIOUS);
    gic_route(SPI, 0);
    set_bit(SPI, GIC_ISPENDR);
    check("spi routed back: pending at vcpu 0", pending_becomes(SPI));
    gic_route(SPI, 1);
    check("spi rerouted while pending: taken by vcpu 1", eventually(irqs[1].count == theirs + 2));
    check("spi rerouted while pending: gone from vcpu 0", pending_becomes(GIC_SPURIOUS));
    gic_route(SPI, 0);
}

static void wait_in_wfi(uint64_t count)
{
    while (irqs[1].count < count)
        WFI();
}

static void check_peer_wakes(void)
{
    unsigned theirs = irqs[1].count;

    /* Two wake-ups, because one that came before the first WFI would leave the vCPU asleep for good. */
    peer_begin(wait_in_wfi, theirs + 1);
    for (volatile unsigned i = 0; i < 100000; i++)
        ;
    gic_send_sgi(1, 7);
    (void)eventually(irqs[1].count == theirs + 1);
    gic_send_sgi(1, 7);
    check("sgi wakes vcpu 1 from WFI", peer_finish());
}

void check_gic(void)
{
    for (unsigned sgi = 0; sgi < 16; sgi++)
        gic_enable(sgi, NULL);
    check_distributor();
    check_interface_registers();
    check_spi_registers();
    check_priority_registers();
    check_sgi_life();
    check_priority_order();
    check_priority_mask();
    check_binary_point();
    check_eoimode();
    check_enables();
    check_delivery();
    check_nesting();
    if (!peer_present())
        return;
    check_redistributors();
    check_peer_sgi();
    check_ping_pong();
    check_peer_spi();
    check_peer_wakes();
}
