/* Loads and stores that may fault, and what the fault was. */
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "exception.h"

struct probe {
    /* The syndrome of the fault, 0 without one. */
    uint64_t esr;
    uint32_t value;
};

struct probe probe_read(uint64_t address);
struct probe probe_write(uint64_t address, uint32_t value);

/* For the handler of synchronous exceptions: whether it was a probe's, which then goes on behind its access. */
bool probe_caught(struct exception_frame *frame);

#endif
