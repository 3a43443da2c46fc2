/* What the secure partitions of this directory do when asked by a direct request: x3 is the command, x4-x7 its
   arguments. The answer has the command in x3 again, unless it says otherwise; "code" is 0 or an FF-A error code.

   Anything else is echoed with a number added to x4: 0x1000 by sp_hello and sp_irq, 0x2000 by sp_relay.
   A DIRECT_REQ2 is echoed with 0x1000 added to x4, unless x4 is SP_FUNCTION. */
#ifndef COMMANDS_H
#define COMMANDS_H

#define SP_HELLO 0x8001U
#define SP_IRQ 0x8002U
#define SP_RELAY 0x8003U

#define SP_ECHO_ADDS 0x1000U
#define SP_RELAY_ADDS 0x2000U
#define SP_WORK_ADDS 0x2000U
#define SP_STORE_ADDS 0x4000U
#define SP_SWAP_ADDS 0x5000U

/* The page that sp_hello shares, and words that are written into shared memory. */
#define SP_HELLO_PAGE 0x0e3f0000U
#define SP_STORED 0xcafefaceU
#define SP_HELLO_WORD 0xface0001U
#define SP_IRQ_WORD 0xface0002U
#define SP_TIMER_INTID 29U
/* How far sp_hello counts down when it works. */
#define SP_WORK_ROUNDS 2000000U

enum sp_command {
    /* sp_hello counts down from SP_WORK_ROUNDS, sp_irq waits for its secure timer: x4 + 0x2000; x5 of sp_irq is the INTID. */
    SP_WORK = 0xdeadbeef,

    /* sp_hello, sp_irq. x4, x5 handle, x6 where the owner has the page. Retrieve, write SP_STORED, relinquish.
       Answer: x4 = low half of the handle + 0x4000, x5 = SP_STORED, x6 = x7 = 0; x3-x7 = 0 if that failed. */
    SP_STORE = 0xabcd0001,

    /* sp_hello. x7 = receiver. Write SP_HELLO_WORD to SP_HELLO_PAGE and share it.
       Answer: x4, x5 handle, x6 = SP_HELLO_PAGE; x3-x7 = 0 if that failed. */
    SP_SHARE_PAGE = 0xabcd0002,

    /* sp_irq. x4, x5 handle of a page of sp_hello's, x6 where it is. Retrieve, read a word, write SP_IRQ_WORD,
       relinquish. Answer: x4 = low half of the handle + 0x5000, x5 = the word read; x3-x7 = 0 if that failed. */
    SP_SWAP = 0xabcd0003,

    /* sp_hello. Reclaim what SP_SHARE_PAGE shared last. Answer: x4 = code. */
    SP_RECLAIM_PAGE = 0xabcd0004,

    /* sp_relay. Ask partition x4 by a direct request with x5-x7 as x4-x6. The answer is that partition's, or x4 = code. */
    SP_RELAY_TO = 0x00ee1a00,

    /* All partitions, from here on. x4, x5 handle; x6 owner in [15:0], permissions asked for in [31:16]; x7 flags.
       Answer: x4 = code, x5 = first address, x6 = pages, x7 = ranges. */
    SP_RETRIEVE = 0xabcd0010,

    /* x4, x5 handle, x6 flags. Answer: x4 = code. */
    SP_RELINQUISH = 0xabcd0011,
    SP_RECLAIM = 0xabcd0012,

    /* x4 receiver in [15:0], permissions in [23:16], low byte of the function (share, lend, donate) in [31:24];
       x5 address, x6 pages. Answer: x4 = code, x5, x6 handle. */
    SP_SEND = 0xabcd0013,

    /* x4 address; x5 the word to write. Answer: x4 = 0, or the syndrome (ESR_EL1) of the fault; x5 the word. */
    SP_READ = 0xabcd0014,
    SP_WRITE = 0xabcd0015,

    /* Send partition x4 an indirect message with x5 as payload. Answer: x4 = code. */
    SP_MESSAGE = 0xabcd0018,

    /* The indirect message that came last. Answer: x4 = how many came, x5 = sender, x6 = payload. */
    SP_INBOX = 0xabcd0019,

    /* x4 sender, x5 bits [31:0] of the bitmap. Answer: x4 = code. */
    SP_BIND = 0xabcd001a,
    SP_UNBIND = 0xabcd001b,

    /* x4 receiver, x5 bits [31:0] of the bitmap, x6 flags. Answer: x4 = code. */
    SP_NOTIFY = 0xabcd001c,

    /* The notifications that came since the last time it was asked. Answer: x4 = code, bits [31:0] of those signalled
       by x5 partitions, x6 VMs, x7 the SPMC. */
    SP_NEWS = 0xabcd001d,

    /* Count down from x4, from 300,000 where x4 is 0. */
    SP_SPIN = 0xabcd0020,

    /* Ask partition x4[15:0] with x5-x7 as its x3-x5, counting down from 1024 * x4[31:16] before and after.
       The answer is that partition's with 1 added to x7, or x4 = code, x7 = 1. */
    SP_CALL = 0xabcd0021,

    /* Give way by FFA_YIELD, answer when run again. */
    SP_GIVE_WAY = 0xabcd0022,

    /* Fail in a way that nothing survives. No answer. */
    SP_FAIL = 0xabcd0023,

    /* Answer: x4 = notification interrupts taken, x5 = device interrupts in [15:0] and FIQs in [31:16], x6 = times it
       was run by FFA_RUN while it waited, x7 = calls that ended with FFA_INTERRUPT. */
    SP_STATE = 0xabcd0024,

    /* sp_irq. Let the secure timer interrupt after x4 ticks, by IRQ or (x5 = 1) FIQ, and answer at once. */
    SP_ALARM = 0xabcd0025,

    /* sp_irq. Answer: x4 = counter ticks between the time of the last alarm and its interrupt. */
    SP_LATENESS = 0xabcd0027,

    /* x4 of a DIRECT_REQ2: make the FF-A call in x5-x12 (its x0-x7). Answer: x0-x7 of the result in x5-x12. */
    SP_FUNCTION = 0xabcd0026,
};

#endif
