// vCPU entry points. The image may sit at any 2 MB-aligned address; everything here is PC-relative.

#define STACK_SHIFT 14

// MAIR: 0 Device-nGnRE, 1 Normal write-back, 2 Normal non-cacheable.
#define MAIR_VALUE      0x44ff04
// 39-bit VA from TTBR0 (T0SZ 25), 4 KB granule, inner shareable write-back walks, TTBR1 off, 40-bit IPA.
#define TCR_VALUE_LO    0x3519
#define TCR_EPD1        (1 << 7)
#define TCR_IPS_40      0x2
// RES1 bits, nTWE, nTWI, I, SA0, SA, C, M.
#define SCTLR_MMU_ON    0x30d5181d
#define SCTLR_MMU_OFF   0x30d50818

    .section .head.text, "ax"
    .global _start
_start:
    // The 64-byte arm64 Linux Image header, so that a raw copy boots in any Image loader.
    b       primary_entry
    nop
    .quad   0                       // text_offset
    .quad   __image_size
    .quad   0xa                     // little-endian, 4 KB pages, anywhere in RAM
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .word   0

primary_entry:
    mov     x20, x0
    bl      el1_setup
    adrp    x0, __bss_start
    add     x0, x0, :lo12:__bss_start
    adrp    x1, __bss_end
    add     x1, x1, :lo12:__bss_end
1:  cmp     x0, x1
    b.hs    2f
    stp     xzr, xzr, [x0], #16
    b       1b
2:  bl      relocate
    bl      set_stack
    mov     x0, x20
    bl      boot_primary
    b       .

// PSCI CPU_ON target: x0 is the context id. Touches no memory until the MMU is on,
// because the primary wrote it through its cache.
    .global secondary_entry
secondary_entry:
    mov     x20, x0
    bl      el1_setup
    bl      mmu_enable
    bl      set_stack
    mov     x0, x20
    bl      secondary_main
    bl      psci_cpu_off
    b       .

el1_setup:
    mov     x0, #SCTLR_MMU_OFF & 0xffff
    movk    x0, #SCTLR_MMU_OFF >> 16, lsl #16
    msr     sctlr_el1, x0
    msr     spsel, #1
    adrp    x0, vectors
    add     x0, x0, :lo12:vectors
    msr     vbar_el1, x0
    isb
    ret

// Each CPU owns one slice of `stacks`, chosen by MPIDR_EL1.Aff0.
set_stack:
    mrs     x0, mpidr_el1
    and     x0, x0, #7
    add     x0, x0, #1
    adrp    x1, stacks
    add     x1, x1, :lo12:stacks
    add     x0, x1, x0, lsl #STACK_SHIFT
    mov     sp, x0
    ret

// Apply the R_AARCH64_RELATIVE entries (r_offset, r_info, r_addend); the image is linked at 0, so the base is _start.
relocate:
    adrp    x0, __rela_start
    add     x0, x0, :lo12:__rela_start
    adrp    x1, __rela_end
    add     x1, x1, :lo12:__rela_end
    adrp    x2, _start
    add     x2, x2, :lo12:_start
1:  cmp     x0, x1
    b.hs    2f
    ldp     x3, x4, [x0], #16
    ldr     x5, [x0], #8
    cmp     w4, #1027               // R_AARCH64_RELATIVE
    b.ne    1b
    add     x5, x5, x2
    str     x5, [x2, x3]
    b       1b
2:  ret

// Turn on stage 1 with the tables built by mmu_init. Uses registers only.
    .global mmu_enable
mmu_enable:
    mov     x0, #MAIR_VALUE & 0xffff
    movk    x0, #MAIR_VALUE >> 16, lsl #16
    msr     mair_el1, x0
    mov     x0, #TCR_VALUE_LO
    movk    x0, #TCR_EPD1, lsl #16
    movk    x0, #TCR_IPS_40, lsl #32
    msr     tcr_el1, x0
    adrp    x0, mmu_root
    add     x0, x0, :lo12:mmu_root
    msr     ttbr0_el1, x0
    isb
    tlbi    vmalle1
    ic      iallu
    dsb     nsh
    isb
    mov     x0, #SCTLR_MMU_ON & 0xffff
    movk    x0, #SCTLR_MMU_ON >> 16, lsl #16
    msr     sctlr_el1, x0
    isb
    ret

    .section .bss.stacks, "aw", %nobits
    .balign 16
stacks:
    .space  8 << STACK_SHIFT
