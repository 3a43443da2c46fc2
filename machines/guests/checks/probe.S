// Pieces of the self-test that C cannot express.

    .arch   armv8-a+fp+simd
    .text

// uint64_t el0_enter(code, argument, stack): the exception handlers come back through el0_return.
    .global el0_enter
el0_enter:
    stp     x29, x30, [sp, #-96]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    msr     elr_el1, x0
    msr     spsr_el1, xzr
    msr     sp_el0, x2
    mov     x0, x1
    eret
    .global el0_return
el0_return:
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #96
    ret

// CPU_ON entry that keeps the state it found in thread-id registers, since memory is not coherent with the MMU off:
// TPIDR_EL0 = SCTLR_EL1, TPIDRRO_EL0 = DAIF | CurrentEL | SPSel.
    .global state_entry
state_entry:
    mrs     x1, sctlr_el1
    msr     tpidr_el0, x1
    mrs     x1, daif
    mrs     x2, CurrentEL
    orr     x1, x1, x2
    mrs     x2, spsel
    orr     x1, x1, x2
    msr     tpidrro_el0, x1
    b       secondary_entry

// uint64_t hvc_keeps_registers(uint64_t function): one bit for each of x4-x30 and SP (bit 31) that the call changed.
    .macro  check_register number
    sub     x0, x0, #1
    cmp     x\number, x0
    cset    x2, ne
    orr     x1, x1, x2, lsl #\number
    .endm

    .global hvc_keeps_registers
hvc_keeps_registers:
    stp     x29, x30, [sp, #-96]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    mov     x3, sp
    msr     tpidr_el1, x3
    mov     x3, #0x5a5a000000000000
    .irp    number, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
    add     x\number, x3, #\number
    .endr
    mov     x1, #0
    mov     x2, #0
    mov     x3, #0
    hvc     #0
    mov     x1, #0
    mov     x0, #0x5a5a000000000000
    add     x0, x0, #31
    .irp    number, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4
    check_register \number
    .endr
    mrs     x3, tpidr_el1
    mov     x2, sp
    cmp     x2, x3
    cset    x2, ne
    orr     x1, x1, x2, lsl #31
    mov     sp, x3
    mov     x0, x1
    b       el0_return

// void fp_fill(uint64_t seed), uint64_t fp_changed(uint64_t seed): v0-v31, FPCR and FPSR; a bit per register that differs.
    .global fp_fill
fp_fill:
    .irp    number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    add     x1, x0, #\number
    fmov    d\number, x1
    mvn     x1, x1
    mov     v\number\().d[1], x1
    .endr
    and     x1, x0, #3
    lsl     x1, x1, #22             // FPCR.RMode
    msr     fpcr, x1
    and     x1, x0, #0xf
    msr     fpsr, x1
    ret

    .global fp_changed
fp_changed:
    mov     x4, #0
    .irp    number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    add     x1, x0, #\number
    fmov    x2, d\number
    mov     x3, v\number\().d[1]
    mvn     x3, x3
    cmp     x1, x2
    ccmp    x1, x3, #0, eq
    cset    x1, ne
    orr     x4, x4, x1, lsl #\number
    .endr
    and     x1, x0, #3
    lsl     x1, x1, #22
    mrs     x2, fpcr
    cmp     x1, x2
    cset    x1, ne
    orr     x4, x4, x1, lsl #32
    and     x1, x0, #0xf
    mrs     x2, fpsr
    cmp     x1, x2
    cset    x1, ne
    orr     x4, x4, x1, lsl #33
    mov     x0, x4
    ret

// void spin_el1t_svc(void): SVC with SP_EL0 selected.
    .global svc_with_sp_el0
svc_with_sp_el0:
    mov     x1, sp
    msr     sp_el0, x1
    msr     spsel, #0
    svc     #0x77
    msr     spsel, #1
    ret

// Code that runs at EL0; each piece ends in SVC.
    .section .el0.text, "ax"

    .macro  el0 name, instruction:vararg
    .global \name
\name:
    \instruction
    svc     #0
    .endm

    el0     el0_svc, svc #0x4321
    el0     el0_brk, brk #0x99
    el0     el0_undefined, udf #0
    el0     el0_hvc, .inst 0xd4000002
    el0     el0_smc, .inst 0xd4000003
    el0     el0_read_pfr0, mrs x0, id_aa64pfr0_el1
    el0     el0_read_midr, mrs x0, midr_el1
    el0     el0_read_ctr, mrs x0, ctr_el0
    el0     el0_read_cntvct, mrs x0, cntvct_el0
    el0     el0_read_sctlr, mrs x0, sctlr_el1
    el0     el0_mask_irq, msr daifset, #2
    el0     el0_load, ldr x0, [x0]
    el0     el0_load32, ldr w0, [x0]
    el0     el0_store, str xzr, [x0]
    el0     el0_jump, br x0
    el0     el0_spin, b .
