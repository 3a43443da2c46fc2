/* GICv3 with the system-register CPU interface, one security state as seen from EL1, Group 1 only. */
#ifndef GIC_H
#define GIC_H

#include <stdbool.h>
#include <stdint.h>

#define GICD_BASE 0x08000000UL
#define GICR_BASE 0x080a0000UL
#define GICR_STRIDE 0x20000UL
#define GICR_SGI_FRAME 0x10000UL

enum gic_register {
    GICD_CTLR = 0x0000,
    GICD_TYPER = 0x0004,
    GICD_IIDR = 0x0008,
    /* Per-interrupt registers have the same offsets in the distributor and in a redistributor's SGI frame. */
    GIC_IGROUPR = 0x0080,
    GIC_ISENABLER = 0x0100,
    GIC_ICENABLER = 0x0180,
    GIC_ISPENDR = 0x0200,
    GIC_ICPENDR = 0x0280,
    GIC_ISACTIVER = 0x0300,
    GIC_ICACTIVER = 0x0380,
    GIC_IPRIORITYR = 0x0400,
    GIC_ICFGR = 0x0c00,
    GICD_IROUTER = 0x6000,
    GICD_PIDR2 = 0xffe8,
    GICR_TYPER = 0x0008,
    GICR_WAKER = 0x0014,
};

#define GICD_CTLR_GRP1 (1U << 1)
#define GICD_CTLR_ARE (1U << 4)
#define GICD_CTLR_RWP (1U << 31)
#define GICR_WAKER_SLEEP (1U << 1)
#define GICR_WAKER_ASLEEP (1U << 2)
#define GICR_TYPER_LAST (1UL << 4)

#define GIC_SPURIOUS 1023U
#define GIC_PRIORITY 0xa0U
#define SGI1R_IRM (1UL << 40)

typedef void gic_handler(unsigned intid);

/* Distributor and the calling CPU. */
void gic_init(void);
/* The calling CPU's redistributor and CPU interface. */
void gic_init_cpu(void);

/* The frame that holds an interrupt's registers: the distributor, or the calling CPU's SGI frame below 32. */
uint64_t gic_frame(unsigned intid);
/* The calling CPU's redistributor. */
uint64_t gic_redistributor(void);

void gic_enable(unsigned intid, gic_handler *handler);
void gic_disable(unsigned intid);
void gic_set_priority(unsigned intid, uint8_t priority);
/* SPIs only. */
void gic_route(unsigned intid, unsigned cpu);
void gic_send_sgi(unsigned cpu, unsigned intid);

/* Acknowledge, call the handler, end the interrupt. */
void gic_dispatch(void);

#endif
