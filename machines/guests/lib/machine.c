#include "machine.h"

#include "arch.h"
#include "fdt.h"
#include "mmu.h"
#include "psci.h"
#include "uart.h"

extern char __image_start[];

struct machine machine;

bool string_equal(const char *left, const char *right)
{
    while (*left && *left == *right) {
        left++;
        right++;
    }
    return *left == *right;
}

/* The text after `key=` in the first word that starts with it. */
static const char *find_bootarg(const char *key)
{
    const char *p = machine.bootargs;

    while (*p) {
        const char *k = key;
        while (*k && *k == *p) {
            k++;
            p++;
        }
        if (!*k && *p == '=')
            return p + 1;
        while (*p && *p != ' ')
            p++;
        while (*p == ' ')
            p++;
    }
    return NULL;
}

bool bootarg_string(const char *key, char *value, size_t size)
{
    const char *text = find_bootarg(key);
    size_t length = 0;

    while (text && text[length] && text[length] != ' ' && length + 1 < size) {
        value[length] = text[length];
        length++;
    }
    value[length] = '\0';
    return text != NULL;
}

uint64_t bootarg_number(const char *key, uint64_t fallback)
{
    const char *text = find_bootarg(key);
    uint64_t number = 0;

    if (!text || *text < '0' || *text > '9')
        return fallback;
    for (; *text >= '0' && *text <= '9'; text++)
        number = number * 10 + (uint64_t)(*text - '0');
    return number;
}

/* Without a readable device tree only the 2 MB around the image are known to be RAM. */
static void assume_minimal_machine(void)
{
    machine.ram_base = (uint64_t)(uintptr_t)__image_start;
    machine.ram_size = 2UL << 20;
    machine.cpus = 1;
}

/* Called by start.S with the MMU off; the tree is read here because it need not lie in RAM that gets mapped. */
void boot_primary(const void *fdt);
void boot_primary(const void *fdt)
{
    if (!fdt_read(fdt, &machine))
        assume_minimal_machine();
    psci_use_smc(machine.psci_smc);
    mmu_init(machine.ram_base, machine.ram_size);
    mmu_enable();
    uart_init();
    guest_main();
    psci_system_off();
}
