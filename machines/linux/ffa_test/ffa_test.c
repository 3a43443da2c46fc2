// SPDX-License-Identifier: GPL-2.0-or-later
/* 35 checks of the secure partitions in machines/guests/sp, through the kernel's own FF-A driver: it finds them, sends
   them requests, shares pages with them and has them share one with each other. They run when the module is inserted. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/arm_ffa.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/scatterlist.h>

#include "commands.h"

/* Words that the partitions echo. */
#define WORD3 0xaaaa
#define WORD4 0xbbbb
#define WORD5 0xcccc

#define PARTITIONS 3

static struct ffa_device *partitions[PARTITIONS];
static unsigned int passed, total;

static __printf(2, 3) void check(bool good, const char *format, ...)
{
	struct va_format text = { .fmt = format };
	va_list arguments;

	va_start(arguments, format);
	text.va = &arguments;
	pr_info("[%s] %pV\n", good ? "PASS" : "FAIL", &text);
	va_end(arguments);
	passed += good;
	total++;
}

/* The three differ in the last digit of their id, from 1. */
static struct ffa_device *partition(u16 id)
{
	return partitions[id - SP_HELLO];
}

/* A direct request, of which `data` is the answer afterwards; nothing but zeros where there is none. */
static bool ask(u16 id, struct ffa_send_direct_data *data)
{
	struct ffa_device *to = partition(id);

	if (to && !to->ops->msg_ops->sync_send_receive(to, data))
		return true;
	*data = (struct ffa_send_direct_data){};
	return false;
}

static u64 handle_in(const struct ffa_send_direct_data *data)
{
	return PACK_HANDLE((u64)data->data1, (u64)data->data2);
}

static struct ffa_send_direct_data check_echo(u16 id, unsigned int adds)
{
	struct ffa_send_direct_data data = { WORD3, WORD4, WORD5 };

	check(ask(id, &data), "DIRECT_REQ to SP 0x%04x returns success", id);
	check(data.data0 == WORD3, "SP 0x%04x echoes 0x%x in x3", id, WORD3);
	check(data.data1 == WORD4 + adds, "SP 0x%04x answers 0x%x + 0x%x in x4", id, WORD4, adds);
	return data;
}

/* A partition retrieves the page, writes to it and relinquishes it. */
static void check_store(u16 id, u64 handle, const u32 *page)
{
	struct ffa_send_direct_data data = { SP_STORE, HANDLE_LOW(handle), HANDLE_HIGH(handle), virt_to_phys(page) };

	check(ask(id, &data), "DIRECT_REQ to SP 0x%04x to store returns success", id);
	check(handle && data.data1 == HANDLE_LOW(handle) + SP_STORE_ADDS, "SP 0x%04x answers handle + 0x%x in x4", id,
	      SP_STORE_ADDS);
	check(READ_ONCE(*page) == SP_STORED, "The page shared with SP 0x%04x holds 0x%x", id, SP_STORED);
}

/* True where the page is the kernel's alone again. */
static bool check_share(u16 id, u32 *page)
{
	struct ffa_device *to = partition(id);
	struct ffa_mem_region_attributes borrower = { .receiver = id, .attrs = FFA_MEM_RW };
	struct scatterlist list;
	struct ffa_mem_ops_args arguments = { .use_txbuf = true, .attrs = &borrower, .nattrs = 1, .sg = &list };
	bool shared, back;

	clear_page(page);
	sg_init_one(&list, page, PAGE_SIZE);
	shared = to && !to->ops->mem_ops->memory_share(&arguments);
	check(shared, "MEM_SHARE with SP 0x%04x returns success", id);
	check(arguments.g_handle, "MEM_SHARE with SP 0x%04x gives a handle", id);
	check_store(id, arguments.g_handle, page);
	back = shared && !to->ops->mem_ops->memory_reclaim(arguments.g_handle, 0);
	check(back, "MEM_RECLAIM from SP 0x%04x returns success", id);
	return back || !shared;
}

static void check_store_partition(u16 id, u32 *page, bool *ours)
{
	struct ffa_send_direct_data data = check_echo(id, SP_ECHO_ADDS);

	check(data.data2 == WORD5, "SP 0x%04x echoes 0x%x in x5", id, WORD5);
	*ours &= check_share(id, page);
}

static void check_relay(void)
{
	struct ffa_send_direct_data data = { SP_RELAY_TO, SP_HELLO, WORD4, WORD5 };

	check_echo(SP_RELAY, SP_RELAY_ADDS);
	check(ask(SP_RELAY, &data), "DIRECT_REQ by way of SP 0x%04x to SP 0x%04x returns success", SP_RELAY, SP_HELLO);
	check(data.data1 == WORD4 + SP_ECHO_ADDS, "SP 0x%04x answers the relay 0x%x + 0x%x in x4", SP_HELLO, WORD4,
	      SP_ECHO_ADDS);
	check(data.data2 == WORD5, "SP 0x%04x echoes 0x%x to the relay in x5", SP_HELLO, WORD5);
}

static void check_between_partitions(void)
{
	struct ffa_send_direct_data share = { SP_SHARE_PAGE, .data4 = SP_IRQ };
	struct ffa_send_direct_data swap = { SP_SWAP };
	struct ffa_send_direct_data reclaim = { SP_RECLAIM_PAGE, ~0UL };
	bool answered;
	u64 handle;

	check(ask(SP_HELLO, &share), "DIRECT_REQ to SP 0x%04x to share a page returns success", SP_HELLO);
	handle = handle_in(&share);
	check(handle, "SP 0x%04x gives a handle", SP_HELLO);
	check(share.data3 == SP_HELLO_PAGE, "SP 0x%04x tells where its page is: 0x%x", SP_HELLO, SP_HELLO_PAGE);

	swap.data1 = share.data1;
	swap.data2 = share.data2;
	swap.data3 = share.data3;
	check(ask(SP_IRQ, &swap), "DIRECT_REQ to SP 0x%04x to retrieve it returns success", SP_IRQ);
	check(handle && swap.data1 == HANDLE_LOW(handle) + SP_SWAP_ADDS, "SP 0x%04x answers handle + 0x%x in x4", SP_IRQ,
	      SP_SWAP_ADDS);
	check(swap.data2 == SP_HELLO_WORD, "SP 0x%04x read 0x%x", SP_IRQ, SP_HELLO_WORD);

	check(ask(SP_HELLO, &reclaim), "DIRECT_REQ to SP 0x%04x to reclaim it returns success", SP_HELLO);
	answered = reclaim.data0 == SP_RECLAIM_PAGE;
	check(answered, "SP 0x%04x answers the command", SP_HELLO);
	check(answered && !reclaim.data1, "SP 0x%04x has its page back", SP_HELLO);
}

static int probe(struct ffa_device *device)
{
	unsigned int index = device->vm_id - SP_HELLO;

	if (index >= PARTITIONS)
		return -ENODEV;
	pr_info("SP 0x%04x is %pUb\n", device->vm_id, &device->uuid);
	partitions[index] = device;
	return 0;
}

static void removed(struct ffa_device *device)
{
	partitions[device->vm_id - SP_HELLO] = NULL;
}

/* What machines/guests/packages.py puts into their manifests: one word four times, its lowest byte first. */
static const struct ffa_device_id identifiers[] = {
	{ UUID_INIT(0x78563412, 0x7856, 0x3412, 0x78, 0x56, 0x34, 0x12, 0x78, 0x56, 0x34, 0x12) },
	{ UUID_INIT(0xddccbbaa, 0xddcc, 0xbbaa, 0xdd, 0xcc, 0xbb, 0xaa, 0xdd, 0xcc, 0xbb, 0xaa) },
	{ UUID_INIT(0x00112233, 0x0011, 0x2233, 0x00, 0x11, 0x22, 0x33, 0x00, 0x11, 0x22, 0x33) },
	{}
};

static struct ffa_driver driver = {
	.name = KBUILD_MODNAME,
	.probe = probe,
	.remove = removed,
	.id_table = identifiers,
};

static int __init start(void)
{
	u32 *page = (u32 *)get_zeroed_page(GFP_KERNEL);
	int failed = page ? ffa_register(&driver) : -ENOMEM;
	bool ours = true;

	if (!failed) {
		check_store_partition(SP_HELLO, page, &ours);
		check_store_partition(SP_IRQ, page, &ours);
		check_relay();
		check_between_partitions();
	}
	/* A page that somebody else still has is not the kernel's to give away. */
	if (ours)
		free_page((unsigned long)page);
	if (failed)
		return failed;
	pr_info("  Results: %u/%u PASS\n", passed, total);
	return 0;
}

static void __exit stop(void)
{
	ffa_unregister(&driver);
}

module_init(start);
module_exit(stop);

MODULE_DESCRIPTION("Checks of FF-A secure partitions");
MODULE_LICENSE("GPL");
