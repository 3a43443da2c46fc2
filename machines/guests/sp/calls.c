#include "partition.h"

#define LOG_CHARACTERS 128U

struct smccc_regs ask(struct smccc_regs request)
{
    uint64_t callee = ffa_ids((uint16_t)request.x[1], 0);
    struct smccc_regs regs = ffa_call_regs(request);

    while (regs.x[0] == FFA_INTERRUPT || regs.x[0] == FFA_YIELD) {
        if (regs.x[0] == FFA_INTERRUPT)
            counters.interrupted++;
        regs = ffa_call(FFA_RUN, callee, 0, 0, 0, 0);
    }
    return regs;
}

/* Characters in x2-x17, eight in each, the first in the lowest byte. */
static void log_text(const char *text, unsigned length)
{
    struct smccc_regs regs = {{FFA_CONSOLE_LOG_64, length}};

    for (unsigned i = 0; i < length; i++)
        regs.x[2 + i / 8] |= (uint64_t)(uint8_t)text[i] << i % 8 * 8;
    ffa_call_regs(regs);
}

void log_line(const char *text)
{
    static const char end[] = "\r\n";
    unsigned length = 0;

    while (text[length] && length < LOG_CHARACTERS)
        length++;
    log_text(text, length);
    log_text(end, sizeof(end) - 1);
}
