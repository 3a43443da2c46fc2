#include "mmu.h"

#include "arch.h"

#define DESC_VALID 1UL
#define DESC_TABLE 3UL
#define DESC_TYPE 3UL
#define DESC_ADDRESS 0x0000fffffffff000UL
#define TABLES 24U
#define GB (1UL << 30)

extern char __image_start[], __el0_start[], __rodata_start[], __data_start[], __image_end[];

__attribute__((aligned(4096))) uint64_t mmu_root[512];
static __attribute__((aligned(4096))) uint64_t tables[TABLES][512];
static unsigned tables_used;

static uint64_t level_size(unsigned level)
{
    return 1UL << (39 - 9 * level);
}

static uint64_t *next_table(uint64_t *entry)
{
    if ((*entry & DESC_TYPE) == DESC_TABLE)
        return (uint64_t *)(uintptr_t)(*entry & DESC_ADDRESS);
    if (*entry || tables_used == TABLES)
        return NULL;
    *entry = (uint64_t)(uintptr_t)tables[tables_used] | DESC_TABLE;
    DSB();
    return tables[tables_used++];
}

/* Break before make: no CPU may hold the old and the new translation at once. */
static void set_leaf(uint64_t *entry, uint64_t va, uint64_t descriptor)
{
    volatile uint64_t *slot = entry;
    bool live = *slot & DESC_VALID;

    if (live) {
        *slot = 0;
        __asm__ volatile("dsb ishst\n tlbi vaae1is, %0\n dsb ish" : : "r"(va >> 12 & 0xfffffffffffUL) : "memory");
    }
    *slot = descriptor;
    DSB();
    ISB();
}

/* The level whose leaves suit what is left to map: the largest that is aligned and fits. */
static unsigned leaf_level(uint64_t va, uint64_t pa, uint64_t size)
{
    for (unsigned level = 1; level < 3; level++)
        if (((va | pa) & (level_size(level) - 1)) == 0 && size >= level_size(level))
            return level;
    return 3;
}

static bool map_leaf(uint64_t va, uint64_t pa, uint64_t attributes, unsigned leaf)
{
    uint64_t *table = mmu_root;
    uint64_t *entry;

    for (unsigned level = 1;; level++) {
        entry = &table[va / level_size(level) % 512];
        if (level == leaf)
            break;
        table = next_table(entry);
        if (!table)
            return false;
    }
    if (leaf < 3 && (*entry & DESC_TYPE) == DESC_TABLE)
        return false;
    set_leaf(entry, va, attributes ? pa | attributes | (leaf == 3 ? DESC_TABLE : DESC_VALID) : 0);
    return true;
}

bool mmu_map(uint64_t va, uint64_t pa, uint64_t size, uint64_t attributes)
{
    while (size) {
        unsigned leaf = leaf_level(va, pa, size);
        if (!map_leaf(va, pa, attributes, leaf))
            return false;
        va += level_size(leaf);
        pa += level_size(leaf);
        size -= level_size(leaf);
    }
    return true;
}

static void map_identity(uint64_t start, uint64_t end, uint64_t attributes)
{
    if (start < end)
        mmu_map(start, start, end - start, attributes);
}

static void map_image(void)
{
    map_identity((uintptr_t)__image_start, (uintptr_t)__el0_start, MMU_CODE);
    map_identity((uintptr_t)__el0_start, (uintptr_t)__rodata_start, MMU_EL0_CODE);
    map_identity((uintptr_t)__rodata_start, (uintptr_t)__data_start, MMU_RODATA);
    map_identity((uintptr_t)__data_start, (uintptr_t)__image_end, MMU_DATA);
}

/* Secure partitions have their RAM inside the device GB. */
static void map_devices(uint64_t ram_base, uint64_t ram_end)
{
    map_identity(0, ram_base < GB ? ram_base : GB, MMU_DEVICE);
    if (ram_base < GB)
        map_identity(ram_end, GB, MMU_DEVICE);
}

void mmu_init(uint64_t ram_base, uint64_t ram_size)
{
    uint64_t ram_end = (ram_base + ram_size) & ~(PAGE_SIZE - 1);

    map_devices(ram_base, ram_end);
    map_identity(ram_base, (uintptr_t)__image_start, MMU_DATA);
    map_image();
    map_identity((uintptr_t)__image_end, ram_end, MMU_DATA);
}
