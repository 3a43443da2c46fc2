/* A flattened device tree reader for the few facts a bare-metal guest needs. */
#ifndef FDT_H
#define FDT_H

#include "machine.h"

/* Fill in RAM range, CPU count, PSCI conduit and bootargs. False when the tree is malformed or names no RAM. */
bool fdt_read(const void *fdt, struct machine *found);

#endif
