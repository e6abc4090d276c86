"""Run under the preloaded library: whatever a description says, nothing is read or written astray.

Its argument is a seed; the folder is FIDOKIT_NODES. The sanitizers end the program at any misuse.
"""

import ctypes
import fcntl
import os
import random
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

FOLDER = os.environ["FIDOKIT_NODES"]
GOOD = (
    b"BUS=3\nVENDOR=1209\nPRODUCT_ID=1\nNAME=a name\nMANUFACTURER=maker\nPRODUCT=product\n"
    b"SERIAL=FK00\nDESCRIPTOR=06d0f10901a1010920150026ff007508954081020921150026ff00750895409102c0\n"
)
HIDIOCGRDESCSIZE, HIDIOCGRDESC, HIDIOCGRAWINFO = 0x80044801, 0x90044802, 0x80084803
HIDIOCGRAWNAME, HIDIOCGRAWPHYS, HIDIOCGRAWUNIQ = 0x81004804, 0x80404805, 0x80404808
TEXTS = (
    (
        b"get_devnode get_syspath get_devpath get_sysname get_subsystem get_devtype get_driver "
        b"get_action get_sysnum"
    )
    .decode()
    .split()
)


def mutated(chance: random.Random) -> bytes:
    data = bytearray(GOOD)
    for _ in range(chance.randrange(6)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(5):
            case 0:
                data[at : at + chance.randrange(20)] = b""
            case 1:
                data[at:at] = chance.randbytes(chance.randrange(40))
            case 2:
                data[at:at] = bytes([chance.randrange(256)]) * chance.randrange(9000)
            case 3:
                data[at:at] = chance.choice([b"\n", b"=", b"\0", b"DESCRIPTOR=", b"NAME=", b"ff"])
            case 4:
                data[at:at] = GOOD
    return bytes(data)


def listening(path: str) -> socket.socket:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.bind(path)
    server.listen(8)

    def serve() -> None:
        while True:
            channel, _ = server.accept()
            channel.close()

    threading.Thread(target=serve, daemon=True).start()
    return server


def by_udev(udev: Any, number: int) -> None:
    context = udev.udev_new()
    device = udev.udev_device_new_from_syspath(context, b"/sys/class/hidraw/hidraw%d" % number)
    while device:
        for name in TEXTS:
            getattr(udev, f"udev_device_{name}")(device)
        for text in (b"uevent", b"idVendor", b"product", b"serial", b"nothing"):
            udev.udev_device_get_sysattr_value(device, text)
        for text in (b"HID_ID", b"HID_NAME", b"HID_UNIQ", b"DEVNAME"):
            udev.udev_device_get_property_value(device, text)
        device = udev.udev_device_get_parent(device)


def by_files(number: int) -> None:
    assert "null" in {path.name for path in Path("/dev").iterdir()}
    for file in ("uevent", "report_descriptor"):
        with suppress(OSError):
            Path(f"/sys/class/hidraw/hidraw{number}/device/{file}").read_bytes()


def by_node(number: int) -> None:
    try:
        file = os.open(f"/dev/hidraw{number}", os.O_RDWR)
    except OSError:
        return
    for request, size in (
        (HIDIOCGRDESCSIZE, 4),
        (HIDIOCGRAWINFO, 8),
        (HIDIOCGRAWNAME, 256),
        (HIDIOCGRAWPHYS, 64),
        (HIDIOCGRAWUNIQ, 64),
    ):
        with suppress(OSError):
            fcntl.ioctl(file, request, bytearray(size))
    for size in (0, 1, 64, 4096, 0xFFFFFFFF):
        with suppress(OSError):
            fcntl.ioctl(
                file, HIDIOCGRDESC, bytearray(size.to_bytes(4, sys.byteorder) + bytes(4096))
            )
    for act in (
        lambda: os.write(file, bytes(65)),
        lambda: os.read(file, 64),
        lambda: os.fstat(file),
    ):
        with suppress(OSError):
            act()
    os.close(file)


def main() -> None:
    chance = random.Random(int(sys.argv[1]))
    udev = ctypes.CDLL("libudev.so.1")
    mine: Any = ctypes.CDLL(None)
    for name in ("udev_device_new_from_syspath", "udev_device_get_parent"):
        getattr(mine, name).restype = ctypes.c_void_p
    for name in [*(f"udev_device_{text}" for text in TEXTS), "udev_device_get_parent"]:
        getattr(mine, name).argtypes = [ctypes.c_void_p]
    for name in ("sysattr_value", "property_value"):
        getattr(mine, f"udev_device_get_{name}").argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    mine.udev_device_new_from_syspath.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    mine.udev_new = udev.udev_new
    mine.udev_new.restype = ctypes.c_void_p
    servers = [listening(f"{FOLDER}/hidraw90.sock")]
    for _ in range(int(sys.argv[2])):
        Path(FOLDER, "hidraw90").write_bytes(mutated(chance))
        by_files(90)
        by_udev(mine, 90)
        by_node(90)
    print("done", len(servers))


main()
