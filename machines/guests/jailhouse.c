/* A guest that knows the Jailhouse debug console only: it greets, and says in capitals what is typed. */
#include <stdint.h>

#include "machine.h"

#define PUTC 8U
#define GETC 9U

static int64_t hypercall(uint64_t code, uint64_t argument)
{
    register uint64_t x0 __asm__("x0") = code;
    register uint64_t x1 __asm__("x1") = argument;

    __asm__ volatile("hvc #0x4a48" : "+r"(x0) : "r"(x1) : "memory");
    return (int64_t)x0;
}

static void print(const char *text)
{
    while (*text)
        hypercall(PUTC, (uint8_t)*text++);
}

void guest_main(void)
{
    int64_t typed;

    print("Hello from the Jailhouse debug console.\n> ");
    if (hypercall(0, 0) >= 0)
        print("an unknown hypercall was answered\n");
    for (;;) {
        typed = hypercall(GETC, 0);
        if (typed < 0) {
            __asm__ volatile("yield");
            continue;
        }
        if (typed >= 'a' && typed <= 'z')
            typed += 'A' - 'a';
        hypercall(PUTC, (uint64_t)typed);
        if (typed == '\r')
            print("\n> ");
    }
}
