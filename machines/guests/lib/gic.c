#include "gic.h"

#include "arch.h"
#include "mmio.h"

#define MAX_INTID 288U

static gic_handler *handlers[MAX_INTID];

static void wait_rwp(void)
{
    while (mmio_read32(GICD_BASE + GICD_CTLR) & GICD_CTLR_RWP)
        ;
}

static void init_distributor(void)
{
    unsigned lines = ((mmio_read32(GICD_BASE + GICD_TYPER) & 0x1f) + 1) * 32;

    mmio_write32(GICD_BASE + GICD_CTLR, 0);
    wait_rwp();
    mmio_write32(GICD_BASE + GICD_CTLR, GICD_CTLR_ARE);
    for (unsigned intid = 32; intid < lines; intid += 32)
        mmio_write32(GICD_BASE + GIC_IGROUPR + intid / 8, ~0U);
    mmio_write32(GICD_BASE + GICD_CTLR, GICD_CTLR_ARE | GICD_CTLR_GRP1);
    wait_rwp();
}

uint64_t gic_redistributor(void)
{
    uint64_t base = GICR_BASE;

    for (;;) {
        uint64_t typer = mmio_read64(base + GICR_TYPER);
        if ((typer >> 32 & 0xff) == cpu_id() || typer & GICR_TYPER_LAST)
            return base;
        base += GICR_STRIDE;
    }
}

uint64_t gic_frame(unsigned intid)
{
    return intid < 32 ? gic_redistributor() + GICR_SGI_FRAME : GICD_BASE;
}

static void wake_redistributor(void)
{
    uint64_t waker = gic_redistributor() + GICR_WAKER;

    mmio_write32(waker, mmio_read32(waker) & ~GICR_WAKER_SLEEP);
    while (mmio_read32(waker) & GICR_WAKER_ASLEEP)
        ;
}

void gic_init_cpu(void)
{
    wake_redistributor();
    mmio_write32(gic_frame(0) + GIC_IGROUPR, ~0U);
    WRITE_SYSREG(icc_sre_el1, READ_SYSREG(icc_sre_el1) | 1);
    ISB();
    WRITE_SYSREG(icc_pmr_el1, 0xff);
    WRITE_SYSREG(icc_bpr1_el1, 0);
    WRITE_SYSREG(icc_ctlr_el1, 0);
    WRITE_SYSREG(icc_igrpen1_el1, 1);
    ISB();
}

void gic_init(void)
{
    init_distributor();
    gic_init_cpu();
}

void gic_set_priority(unsigned intid, uint8_t priority)
{
    mmio_write8(gic_frame(intid) + GIC_IPRIORITYR + intid, priority);
}

void gic_route(unsigned intid, unsigned cpu)
{
    mmio_write64(GICD_BASE + GICD_IROUTER + 8 * intid, cpu);
}

void gic_enable(unsigned intid, gic_handler *handler)
{
    if (intid < MAX_INTID)
        handlers[intid] = handler;
    gic_set_priority(intid, GIC_PRIORITY);
    if (intid >= 32)
        gic_route(intid, cpu_id());
    mmio_write32(gic_frame(intid) + GIC_ISENABLER + intid / 32 * 4, 1U << intid % 32);
}

void gic_disable(unsigned intid)
{
    mmio_write32(gic_frame(intid) + GIC_ICENABLER + intid / 32 * 4, 1U << intid % 32);
}

void gic_send_sgi(unsigned cpu, unsigned intid)
{
    /* Memory written for the receiver must be visible before it wakes. */
    DSB();
    WRITE_SYSREG(icc_sgi1r_el1, (uint64_t)intid << 24 | 1UL << cpu);
    ISB();
}

void gic_dispatch(void)
{
    unsigned intid = (unsigned)READ_SYSREG(icc_iar1_el1);

    if (intid >= 1020)
        return;
    if (intid < MAX_INTID && handlers[intid])
        handlers[intid](intid);
    WRITE_SYSREG(icc_eoir1_el1, intid);
    ISB();
}
