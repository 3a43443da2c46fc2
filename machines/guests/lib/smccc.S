// void smccc_hvc(struct smccc_regs *), void smccc_smc(struct smccc_regs *)

    .macro  conduit name, instruction
    .global \name
    .type   \name, %function
\name:
    stp     x29, x30, [sp, #-32]!
    mov     x29, sp
    str     x0, [sp, #16]
    mov     x30, x0
    ldp     x0, x1, [x30, #16 * 0]
    ldp     x2, x3, [x30, #16 * 1]
    ldp     x4, x5, [x30, #16 * 2]
    ldp     x6, x7, [x30, #16 * 3]
    ldp     x8, x9, [x30, #16 * 4]
    ldp     x10, x11, [x30, #16 * 5]
    ldp     x12, x13, [x30, #16 * 6]
    ldp     x14, x15, [x30, #16 * 7]
    ldp     x16, x17, [x30, #16 * 8]
    \instruction #0
    ldr     x30, [sp, #16]
    stp     x0, x1, [x30, #16 * 0]
    stp     x2, x3, [x30, #16 * 1]
    stp     x4, x5, [x30, #16 * 2]
    stp     x6, x7, [x30, #16 * 3]
    stp     x8, x9, [x30, #16 * 4]
    stp     x10, x11, [x30, #16 * 5]
    stp     x12, x13, [x30, #16 * 6]
    stp     x14, x15, [x30, #16 * 7]
    stp     x16, x17, [x30, #16 * 8]
    ldp     x29, x30, [sp], #32
    ret
    .size   \name, . - \name
    .endm

    .text
    conduit smccc_hvc, hvc
    conduit smccc_smc, smc
