/* What the device tree told this guest about the machine it runs on. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOOTARGS_SIZE 256U

struct machine {
    uint64_t ram_base;
    uint64_t ram_size;
    unsigned cpus;
    bool psci_smc;
    char bootargs[BOOTARGS_SIZE];
};

extern struct machine machine;

/* Copy the value of `key=value` from the bootargs; false and an empty string without it. */
bool bootarg_string(const char *key, char *value, size_t size);
/* The decimal value of `key=number`, or `fallback`. */
uint64_t bootarg_number(const char *key, uint64_t fallback);
bool string_equal(const char *left, const char *right);

/* Provided by the program; returning from it powers the machine off. */
void guest_main(void);

#endif
