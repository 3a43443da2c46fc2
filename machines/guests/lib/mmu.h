/* Stage 1: a 39-bit, 4 KB granule map in TTBR0_EL1, identity for everything the board has. */
#ifndef MMU_H
#define MMU_H

#include <stdbool.h>
#include <stdint.h>

/* Leaf attributes: AttrIndx [4:2], AP [7:6], SH [9:8], AF [10], PXN [53], UXN [54]. */
#define MMU_NORMAL (1UL << 2 | 3UL << 8 | 1UL << 10)
#define MMU_NONCACHEABLE (2UL << 2 | 3UL << 8 | 1UL << 10)
#define MMU_EL0 (1UL << 6)
#define MMU_RO (1UL << 7)
#define MMU_PXN (1UL << 53)
#define MMU_UXN (1UL << 54)
#define MMU_XN (MMU_PXN | MMU_UXN)

#define MMU_NONE 0UL
#define MMU_DEVICE (0UL << 2 | 1UL << 10 | MMU_XN)
#define MMU_CODE (MMU_NORMAL | MMU_RO | MMU_UXN)
#define MMU_RODATA (MMU_NORMAL | MMU_RO | MMU_XN)
#define MMU_DATA (MMU_NORMAL | MMU_XN)
#define MMU_EL0_CODE (MMU_NORMAL | MMU_RO | MMU_EL0 | MMU_PXN)
#define MMU_EL0_DATA (MMU_NORMAL | MMU_EL0 | MMU_XN)

/* The level 1 table, shared by all CPUs. */
extern uint64_t mmu_root[512];

/* Build the identity map of the machine's RAM, this image and the device GB. */
void mmu_init(uint64_t ram_base, uint64_t ram_size);
/* Switch stage 1 on for the calling CPU. */
void mmu_enable(void);

/* Map [va, va + size) to pa with 1 GB, 2 MB or 4 KB leaves; page aligned. MMU_NONE unmaps.
   False, with what came before mapped, when tables run out or a larger leaf is in the way. */
bool mmu_map(uint64_t va, uint64_t pa, uint64_t size, uint64_t attributes);

#endif
