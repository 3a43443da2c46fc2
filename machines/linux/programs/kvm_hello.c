/*
 * A guest under Linux's KVM: a few instructions that write to a console, take an interrupt that this program raises by
 * the virtual GICv3, and turn themselves off.
 *   kvm_hello                  prints what the guest wrote, and `kvm guest off` at its end
 * Exit codes: 0 the guest turned itself off after it had its interrupt, 1 anything else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/kvm.h>

enum { OK, FAILED };

#define RAM 0x40000000UL
#define RAM_SIZE 0x100000UL
#define GICD 0x08000000UL
#define GICR 0x080a0000UL
#define SPI 32U
#define MOST_EXITS 1000
#define PC (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | 0x40)
#define IRQ_LINE ((uint32_t)KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | SPI)

/* The guest: at RAM, its vectors 0x800 above. It writes a byte to the console by w0. The interrupt is asked for by '?',
   and '!' says that it was taken. */
__asm__(".pushsection .rodata\n"
        ".balign 4\n"
        "guest: mov x1, #0x09000000\n"
        "       mov x2, #0x08000000\n"
        "       mov x3, #0x40000000\n"
        "       add x3, x3, #0x800\n"
        "       msr vbar_el1, x3\n"
        "       mov w0, #0x12\n" /* GICD_CTLR: affinity routing, group 1 */
        "       str w0, [x2]\n"
        "       mov w0, #-1\n"
        "       str w0, [x2, #0x84]\n" /* GICD_IGROUPR1 */
        "       mov w0, #1\n"
        "       str w0, [x2, #0x104]\n" /* GICD_ISENABLER1: SPI 32 */
        "       mov x0, #0xff\n"
        "       msr s3_0_c4_c6_0, x0\n" /* ICC_PMR_EL1 */
        "       mov x0, #1\n"
        "       msr s3_0_c12_c12_7, x0\n" /* ICC_IGRPEN1_EL1 */
        "       isb\n"
        "       msr daifclr, #2\n"
        "       mov w0, #'?'\n"
        "       strb w0, [x1]\n"
        "1:     wfi\n"
        "       b 1b\n"
        "       .org guest + 0xa80\n" /* IRQ from EL1 */
        "       mrs x4, s3_0_c12_c12_0\n" /* ICC_IAR1_EL1 */
        "       cmp x4, #32\n"
        "       b.ne 2f\n"
        "       mov w0, #'!'\n"
        "       strb w0, [x1]\n"
        "       msr s3_0_c12_c12_1, x4\n" /* ICC_EOIR1_EL1 */
        "2:     mov x0, #8\n"             /* PSCI SYSTEM_OFF */
        "       movk x0, #0x8400, lsl #16\n"
        "       hvc #0\n"
        "       .org guest + 0xc00\n"
        ".popsection\n");
extern const uint8_t guest[0xc00];

static struct {
    int system, vm, gic, vcpu;
    struct kvm_run *run;
} kvm;

static int failed(const char *what)
{
    fprintf(stderr, "kvm_hello: %s: %s\n", what, strerror(errno));
    return FAILED;
}

static bool give_ram(void)
{
    void *ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct kvm_userspace_memory_region region = {.guest_phys_addr = RAM, .memory_size = RAM_SIZE};

    if (ram == MAP_FAILED)
        return false;
    memcpy(ram, guest, sizeof guest);
    region.userspace_addr = (uintptr_t)ram;
    return ioctl(kvm.vm, KVM_SET_USER_MEMORY_REGION, &region) == 0;
}

static bool set_gic(uint32_t group, uint64_t attribute, uint64_t *value)
{
    struct kvm_device_attr attr = {.group = group, .attr = attribute, .addr = (uintptr_t)value};

    return ioctl(kvm.gic, KVM_SET_DEVICE_ATTR, &attr) == 0;
}

static bool make_gic(void)
{
    struct kvm_create_device device = {.type = KVM_DEV_TYPE_ARM_VGIC_V3};
    uint64_t distributor = GICD, redistributor = GICR;

    if (ioctl(kvm.vm, KVM_CREATE_DEVICE, &device))
        return false;
    kvm.gic = (int)device.fd;
    return set_gic(KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &distributor) &&
           set_gic(KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, &redistributor) &&
           set_gic(KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
}

static bool make_vcpu(void)
{
    struct kvm_vcpu_init init;
    uint64_t pc = RAM;
    struct kvm_one_reg reg = {PC, (uintptr_t)&pc};
    int size = ioctl(kvm.system, KVM_GET_VCPU_MMAP_SIZE, 0);

    kvm.vcpu = ioctl(kvm.vm, KVM_CREATE_VCPU, 0);
    if (size < 0 || kvm.vcpu < 0 || ioctl(kvm.vm, KVM_ARM_PREFERRED_TARGET, &init))
        return false;
    init.features[0] |= 1U << KVM_ARM_VCPU_PSCI_0_2;
    if (ioctl(kvm.vcpu, KVM_ARM_VCPU_INIT, &init) || ioctl(kvm.vcpu, KVM_SET_ONE_REG, &reg))
        return false;
    kvm.run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, kvm.vcpu, 0);
    return kvm.run != MAP_FAILED;
}

static bool set_line(uint32_t level)
{
    struct kvm_irq_level line = {.irq = IRQ_LINE, .level = level};

    return ioctl(kvm.vm, KVM_IRQ_LINE, &line) == 0;
}

/* Run the guest to its end; `taken` is whether it had its interrupt. */
static bool run(bool *taken)
{
    for (int i = 0; i < MOST_EXITS; i++) {
        if (ioctl(kvm.vcpu, KVM_RUN, 0))
            return false;
        if (kvm.run->exit_reason == KVM_EXIT_SYSTEM_EVENT)
            return true;
        if (kvm.run->exit_reason != KVM_EXIT_MMIO)
            break;
        putchar(kvm.run->mmio.data[0]);
        *taken = kvm.run->mmio.data[0] == '!';
        if (!set_line(!*taken))
            return false;
    }
    errno = EPROTO;
    return false;
}

int main(void)
{
    bool taken = false;

    kvm.system = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm.system < 0)
        return failed("/dev/kvm");
    kvm.vm = ioctl(kvm.system, KVM_CREATE_VM, 0);
    if (kvm.vm < 0 || !give_ram() || !make_vcpu() || !make_gic())
        return failed("making a virtual machine");
    if (!run(&taken))
        return failed("running it");
    printf("\nkvm guest off, %s its interrupt\n", taken ? "after" : "without");
    return taken ? OK : FAILED;
}
