// Entry of programs that leave their MMU off: a secure partition at S-EL1, a payload of the normal world at EL1 or EL2.
// The image may sit on any 4 KB boundary; everything here is PC-relative. x0 goes to bare_main as it came.

#define STACK_SIZE  0x8000

// RES1 bits, I, SA; MMU and data cache off.
#define SCTLR_EL1_OFF   0x30d51818
#define SCTLR_EL2_OFF   0x30c51838
// RW: EL1 is AArch64. AMO, IMO, FMO: interrupts come to EL2.
#define HCR_RW_AMO_IMO_FMO  0x80000038

    .section .head.text, "ax"
    .global _start
_start:
    mov     x20, x0
    msr     spsel, #1
    mrs     x0, CurrentEL
    cmp     x0, #2 << 2
    b.eq    el2_setup
    ldr     w0, =SCTLR_EL1_OFF
    msr     sctlr_el1, x0
    adrp    x0, vectors
    add     x0, x0, :lo12:vectors
    msr     vbar_el1, x0
    b       common
el2_setup:
    ldr     w0, =HCR_RW_AMO_IMO_FMO
    msr     hcr_el2, x0
    ldr     w0, =SCTLR_EL2_OFF
    msr     sctlr_el2, x0
    adrp    x0, vectors_el2
    add     x0, x0, :lo12:vectors_el2
    msr     vbar_el2, x0
common:
    isb
    adrp    x0, __bss_start
    add     x0, x0, :lo12:__bss_start
    adrp    x1, __bss_end
    add     x1, x1, :lo12:__bss_end
1:  cmp     x0, x1
    b.hs    2f
    stp     xzr, xzr, [x0], #16
    b       1b

    // The R_AARCH64_RELATIVE entries (r_offset, r_info, r_addend); the image is linked at 0, so the base is _start.
2:  adrp    x0, __rela_start
    add     x0, x0, :lo12:__rela_start
    adrp    x1, __rela_end
    add     x1, x1, :lo12:__rela_end
    adrp    x2, _start
    add     x2, x2, :lo12:_start
3:  cmp     x0, x1
    b.hs    4f
    ldp     x3, x4, [x0], #16
    ldr     x5, [x0], #8
    cmp     w4, #1027               // R_AARCH64_RELATIVE
    b.ne    3b
    add     x5, x5, x2
    str     x5, [x2, x3]
    b       3b
4:  adrp    x0, stack_end
    add     x0, x0, :lo12:stack_end
    mov     sp, x0
    mov     x0, x20
    bl      bare_main
    b       .
    .ltorg

    .section .bss.stack, "aw", %nobits
    .balign 16
    .space  STACK_SIZE
stack_end:
