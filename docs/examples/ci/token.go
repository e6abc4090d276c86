package main

// #include <fcntl.h>
// #include <unistd.h>
// static int start(const char *path) { return open(path, O_RDWR); }
import "C"

import (
	"bytes"
	"log"
	"unsafe"
)

// Opened by libc, as libraries with a C part do it; Go's own os.OpenFile calls the kernel.
func main() {
	key := C.start(C.CString("/dev/hidraw90"))
	if key < 0 {
		log.Fatal("no security key")
	}
	defer C.close(key)
	report := make([]byte, 65)
	copy(report, []byte{0, 255, 255, 255, 255, 0x86, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8})
	C.write(key, unsafe.Pointer(&report[0]), 65)
	answer := make([]byte, 64)
	C.read(key, unsafe.Pointer(&answer[0]), 64)
	if !bytes.Equal(answer[7:15], report[8:16]) || answer[23]&4 == 0 {
		log.Fatalf("not a FIDO2 key: %x", answer)
	}
}
