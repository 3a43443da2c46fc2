/* Arm Firmware Framework (DEN0077A v1.2) as a partition uses it: calls, and descriptors for the TX buffer. */
#ifndef FFA_H
#define FFA_H

#include <stdbool.h>
#include <stdint.h>

#include "smccc.h"

enum ffa_function {
    FFA_ERROR = 0x84000060,
    FFA_SUCCESS_32 = 0x84000061,
    FFA_INTERRUPT = 0x84000062,
    FFA_VERSION = 0x84000063,
    FFA_FEATURES = 0x84000064,
    FFA_RX_RELEASE = 0x84000065,
    FFA_RXTX_MAP_32 = 0x84000066,
    FFA_RXTX_UNMAP = 0x84000067,
    FFA_PARTITION_INFO_GET = 0x84000068,
    FFA_ID_GET = 0x84000069,
    FFA_MSG_WAIT = 0x8400006b,
    FFA_YIELD = 0x8400006c,
    FFA_RUN = 0x8400006d,
    FFA_MSG_SEND_DIRECT_REQ_32 = 0x8400006f,
    FFA_MSG_SEND_DIRECT_RESP_32 = 0x84000070,
    FFA_MEM_DONATE_32 = 0x84000071,
    FFA_MEM_LEND_32 = 0x84000072,
    FFA_MEM_SHARE_32 = 0x84000073,
    FFA_MEM_RETRIEVE_REQ_32 = 0x84000074,
    FFA_MEM_RETRIEVE_RESP = 0x84000075,
    FFA_MEM_RELINQUISH = 0x84000076,
    FFA_MEM_RECLAIM = 0x84000077,
    FFA_MEM_FRAG_RX = 0x8400007a,
    FFA_MEM_FRAG_TX = 0x8400007b,
    FFA_NORMAL_WORLD_RESUME = 0x8400007c,
    FFA_NOTIFICATION_BITMAP_CREATE = 0x8400007d,
    FFA_NOTIFICATION_BITMAP_DESTROY = 0x8400007e,
    FFA_NOTIFICATION_BIND = 0x8400007f,
    FFA_NOTIFICATION_UNBIND = 0x84000080,
    FFA_NOTIFICATION_SET = 0x84000081,
    FFA_NOTIFICATION_GET = 0x84000082,
    FFA_NOTIFICATION_INFO_GET_32 = 0x84000083,
    FFA_RX_ACQUIRE = 0x84000084,
    FFA_SPM_ID_GET = 0x84000085,
    FFA_MSG_SEND2 = 0x84000086,
    FFA_CONSOLE_LOG_32 = 0x8400008a,
    FFA_SUCCESS_64 = 0xc4000061,
    FFA_RXTX_MAP_64 = 0xc4000066,
    FFA_MSG_SEND_DIRECT_REQ_64 = 0xc400006f,
    FFA_MSG_SEND_DIRECT_RESP_64 = 0xc4000070,
    FFA_MEM_SHARE_64 = 0xc4000073,
    FFA_MEM_RETRIEVE_REQ_64 = 0xc4000074,
    FFA_NOTIFICATION_INFO_GET_64 = 0xc4000083,
    FFA_CONSOLE_LOG_64 = 0xc400008a,
    FFA_PARTITION_INFO_GET_REGS = 0xc400008b,
    FFA_MSG_SEND_DIRECT_REQ2 = 0xc400008d,
    FFA_MSG_SEND_DIRECT_RESP2 = 0xc400008e,
};

enum ffa_status {
    FFA_OK = 0,
    FFA_NOT_SUPPORTED = -1,
    FFA_INVALID_PARAMETERS = -2,
    FFA_NO_MEMORY = -3,
    FFA_BUSY = -4,
    FFA_DENIED = -6,
    FFA_ABORTED = -8,
    FFA_NO_DATA = -9,
};

#define FFA_V1_0 0x10000U
#define FFA_V1_1 0x10001U
#define FFA_V1_2 0x10002U
#define FFA_FEATURE_NPI 1U
#define FFA_FEATURE_SRI 2U
#define FFA_FEATURE_MEI 3U
#define FFA_SPMC 0x8000U

/* Data access [1:0] and instruction access [3:2] of an endpoint access entry. */
#define FFA_RO 1U
#define FFA_RW 2U
#define FFA_NX (1U << 2)
#define FFA_X (2U << 2)
#define FFA_NORMAL_WB_ISH 0x2fU

#define FFA_ZERO 1U
#define FFA_ZERO_AFTER 4U
#define FFA_BYPASS (1U << 10)

#define FFA_MAX_RECEIVERS 4U
#define FFA_MAX_RANGES 300U

struct ffa_receiver {
    uint16_t id;
    uint8_t permissions;
    uint8_t flags;
};

struct ffa_range {
    uint64_t address;
    uint32_t pages;
};

/* A memory transaction descriptor before it is packed. */
struct ffa_region {
    /* Whose layout it gets. */
    uint32_t version;
    uint16_t sender;
    uint16_t attributes;
    uint32_t flags;
    uint64_t handle;
    uint64_t tag;
    unsigned receivers;
    struct ffa_receiver receiver[FFA_MAX_RECEIVERS];
    /* None: no composite. */
    unsigned ranges;
    struct ffa_range range[FFA_MAX_RANGES];
    /* Whose entry has the composite; 0: all of them. */
    uint16_t placed;
    /* Added to the announced page count, to be wrong on purpose. */
    uint32_t miscount;
};

/* The conduit: HVC until told otherwise. */
void ffa_use_smc(bool smc);
struct smccc_regs ffa_call_regs(struct smccc_regs regs);
struct smccc_regs ffa_call(uint32_t function, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4, uint64_t x5);
/* 0, or the code of FFA_ERROR. */
int32_t ffa_status(const struct smccc_regs *regs);
static inline uint64_t ffa_ids(uint16_t sender, uint16_t receiver)
{
    return (uint64_t)sender << 16 | receiver;
}
/* Bytes written. */
uint32_t ffa_pack_region(void *buffer, const struct ffa_region *region);
uint32_t ffa_pack_relinquish(void *buffer, uint64_t handle, uint32_t flags, uint16_t endpoint);
/* From v1.1 on. */
uint32_t ffa_pack_message(void *buffer, uint32_t version, uint16_t sender, uint16_t receiver, uint64_t payload);

#endif
