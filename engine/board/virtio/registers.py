"""Registers of the virtio-mmio transport, version 2 (virtio 1.2, 4.2.2), and the device status (2.1)."""

from __future__ import annotations

import enum

MAGIC, VERSION, VENDOR = 0x7472_6976, 2, 0x554D_4551
CONFIG = 0x100


class Reg(enum.IntEnum):
    """Byte offsets of the registers (4.2.2)."""

    MagicValue = 0x000
    Version = 0x004
    DeviceID = 0x008
    VendorID = 0x00C
    DeviceFeatures = 0x010
    DeviceFeaturesSel = 0x014
    DriverFeatures = 0x020
    DriverFeaturesSel = 0x024
    QueueSel = 0x030
    QueueSizeMax = 0x034
    QueueSize = 0x038
    QueueReady = 0x044
    QueueNotify = 0x050
    InterruptStatus = 0x060
    InterruptACK = 0x064
    Status = 0x070
    QueueDescLow = 0x080
    QueueDescHigh = 0x084
    QueueDriverLow = 0x090
    QueueDriverHigh = 0x094
    QueueDeviceLow = 0x0A0
    QueueDeviceHigh = 0x0A4
    SHMSel = 0x0AC
    SHMLenLow = 0x0B0
    SHMLenHigh = 0x0B4
    SHMBaseLow = 0x0B8
    SHMBaseHigh = 0x0BC
    QueueReset = 0x0C0
    ConfigGeneration = 0x0FC


class Status(enum.IntFlag):
    """Device status field (2.1)."""

    ACKNOWLEDGE = 1
    DRIVER = 2
    DRIVER_OK = 4
    FEATURES_OK = 8
    DEVICE_NEEDS_RESET = 64
    FAILED = 128


USED_BUFFER, CONFIG_CHANGE = 1, 2
"""Bits of InterruptStatus."""
