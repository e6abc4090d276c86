/*
 * libFuzzer's target for hidraw_nodes.c: a description of a device, a path, an ioctl.
 *
 * The library is loaded, not linked, so that a sanitizer's own functions stay in front for the
 * fuzzer; what programs call is looked up in it by name. Its first two arguments are the library and
 * an empty folder, with a short name, for the descriptions.
 *
 *     u8 path, u8 length of a tail, u8 ioctl number, u16 ioctl size, tail, description
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HEAD 5
#define NODE 90

static char described[64];
static int server;

static int (*node_open)(const char *, int, ...);
static int (*node_openat)(int, const char *, int, ...);
static int (*node_close)(int);
static ssize_t (*node_read)(int, void *, size_t);
static ssize_t (*node_write)(int, const void *, size_t);
static int (*node_ioctl)(int, unsigned long, ...);
static int (*node_access)(const char *, int);
static int (*node_stat)(const char *, struct stat *);
static int (*node_fstat)(int, struct stat *);
static FILE *(*node_fopen)(const char *, const char *);
static DIR *(*node_opendir)(const char *);
static struct dirent *(*node_readdir)(DIR *);
static int (*node_closedir)(DIR *);
static void *(*udev_new)(void);
static void *(*device_new)(void *, const char *);
static void *(*device_named)(void *, const char *, const char *);
static void *(*device_parent)(void *);
static void *(*device_unref)(void *);
static const char *(*device_sysattr)(void *, const char *);
static const char *(*device_property)(void *, const char *);
static const char *(*device_text[9])(void *);
static void *(*enumerate_new)(void *);
static int (*match_subsystem)(void *, const char *);
static void *(*enumerate_list)(void *);
static void *(*enumerate_unref)(void *);
static void *(*entry_next)(void *);
static const char *(*entry_name)(void *);

static const char *const TEXTS[9] = {"devnode", "syspath", "devpath", "sysname", "subsystem",
    "devtype", "driver", "action", "sysnum"};
static const char *const PATHS[] = {"/dev/hidraw", "/sys/class/hidraw/hidraw",
    "/sys/devices/virtual/hidraw/hidraw", "/sys/class/hidraw/hidraw90/device/uevent",
    "/sys/class/hidraw/hidraw90/device/report_descriptor", "/dev/hidraw90", "hidraw", ""};

static void *named(void *library, const char *name)
{
	void *found = dlsym(library, name);
	if (found == NULL) {
		fprintf(stderr, "%s is not there: %s\n", name, dlerror());
		exit(2);
	}
	return found;
}

#define NAMED(into, name) *(void **)&into = named(library, name)

static void look_up(void *library, void *udev)
{
	char name[64];
	NAMED(node_open, "open");
	NAMED(node_openat, "openat");
	NAMED(node_close, "close");
	NAMED(node_read, "read");
	NAMED(node_write, "write");
	NAMED(node_ioctl, "ioctl");
	NAMED(node_access, "access");
	NAMED(node_stat, "stat");
	NAMED(node_fstat, "fstat");
	NAMED(node_fopen, "fopen");
	NAMED(node_opendir, "opendir");
	NAMED(node_readdir, "readdir");
	NAMED(node_closedir, "closedir");
	NAMED(device_new, "udev_device_new_from_syspath");
	NAMED(device_named, "udev_device_new_from_subsystem_sysname");
	NAMED(device_parent, "udev_device_get_parent");
	NAMED(device_unref, "udev_device_unref");
	NAMED(device_sysattr, "udev_device_get_sysattr_value");
	NAMED(device_property, "udev_device_get_property_value");
	NAMED(enumerate_new, "udev_enumerate_new");
	NAMED(match_subsystem, "udev_enumerate_add_match_subsystem");
	NAMED(enumerate_list, "udev_enumerate_get_list_entry");
	NAMED(enumerate_unref, "udev_enumerate_unref");
	NAMED(entry_next, "udev_list_entry_get_next");
	NAMED(entry_name, "udev_list_entry_get_name");
	for (int at = 0; at < 9; at++) {
		snprintf(name, sizeof(name), "udev_device_get_%s", TEXTS[at]);
		NAMED(device_text[at], name);
	}
	*(void **)&udev_new = named(udev, "udev_new");
}

static void listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	server = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
	if (bind(server, (struct sockaddr *)&address, sizeof(address)) || listen(server, 64)) {
		perror(path);
		exit(2);
	}
}

int LLVMFuzzerInitialize(int *count, char ***words)
{
	char path[96];
	if (*count < 3)
		exit(2);
	snprintf(described, sizeof(described), "%s/hidraw%d", (*words)[2], NODE);
	snprintf(path, sizeof(path), "%s.sock", described);
	listen_at(path);
	setenv("FIDOKIT_NODES", (*words)[2], 1);
	void *udev = dlopen("libudev.so.1", RTLD_NOW | RTLD_GLOBAL);
	void *library = dlopen((*words)[1], RTLD_NOW);
	if (udev == NULL || library == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		exit(2);
	}
	look_up(library, udev);
	(*words)[2] = (*words)[0];
	*words += 2;
	*count -= 2;
	return 0;
}

/* Every byte of a text that came back is read: one that does not end is found. */
static size_t seen(const char *text)
{
	return text ? strlen(text) : 0;
}

static void by_path(const char *path)
{
	struct stat found;
	char text[2048];
	int file = node_open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (file >= 0) {
		node_fstat(file, &found);
		(void)!node_read(file, text, sizeof(text));
		node_close(file);
	}
	file = node_openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (file >= 0)
		node_close(file);
	node_access(path, R_OK);
	node_stat(path, &found);
	FILE *stream = node_fopen(path, "r");
	if (stream)
		fclose(stream);
}

/* As the kernel has it: so many bytes as the request says, and no more. */
static void by_ioctl(uint8_t number, size_t size)
{
	int file = node_open("/dev/hidraw90", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (file < 0)
		return;
	int peer = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	size &= _IOC_SIZEMASK;
	uint8_t *argument = malloc(size ? size : 1);
	memset(argument, 0xff, size ? size : 1);
	node_ioctl(file, _IOC(_IOC_READ, 'H', number, size), argument);
	free(argument);
	(void)!node_write(file, "report", 6);
	close(peer);
	char answer[64];
	(void)!node_read(file, answer, sizeof(answer));
	(void)!node_write(file, "report", 6);
	node_close(file);
}

static void tell(void *device, const char *name)
{
	for (void *one = device; one; one = device_parent(one)) {
		for (int at = 0; at < 9; at++)
			seen(device_text[at](one));
		const char *const asked[] = {"uevent", "manufacturer", "product", "serial", "idVendor",
		    "idProduct", "HID_ID", "HID_NAME", "HID_UNIQ", "DRIVER", "DEVNAME", "SUBSYSTEM", name};
		for (size_t at = 0; at < sizeof(asked) / sizeof(asked[0]); at++) {
			seen(device_sysattr(one, asked[at]));
			seen(device_property(one, asked[at]));
		}
	}
	if (device)
		device_unref(device);
}

/* Devices of ours alone: libudev's own need a libudev behind them. */
static void by_udev(void *udev, const char *tail)
{
	tell(device_new(udev, "/sys/class/hidraw/hidraw90"), tail);
	tell(device_named(udev, "hidraw", "hidraw90"), tail);
	void *all = enumerate_new(udev);
	match_subsystem(all, "hidraw");
	for (void *entry = enumerate_list(all); entry; entry = entry_next(entry))
		seen(entry_name(entry));
	enumerate_unref(all);
}

static void by_folder(void)
{
	DIR *all = node_opendir("/dev");
	if (all == NULL)
		return;
	for (struct dirent *entry = node_readdir(all); entry; entry = node_readdir(all))
		seen(entry->d_name);
	node_closedir(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void *udev;
	static unsigned times;
	char path[512], tail[256];
	if (size < HEAD)
		return -1;
	size_t length = data[1] < size - HEAD ? data[1] : size - HEAD;
	memcpy(tail, data + HEAD, length);
	tail[length] = 0;
	int file = open(described, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (write(file, data + HEAD + length, size - HEAD - length) < 0)
		abort();
	close(file);
	if (udev == NULL)
		udev = udev_new();
	snprintf(path, sizeof(path), "%s%s", PATHS[data[0] % (sizeof(PATHS) / sizeof(PATHS[0]))], tail);
	if (!strncmp(path, "/dev/hidraw", 11) || !strncmp(path, "/sys/", 5))
		by_path(path);
	by_ioctl(data[2], (size_t)data[3] | (size_t)data[4] << 8);
	by_udev(udev, tail);
	if (++times % 64 == 0)
		by_folder();
	while ((file = accept4(server, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(file);
	return 0;
}
