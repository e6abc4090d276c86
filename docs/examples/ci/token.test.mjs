import assert from "node:assert"
import { closeSync, openSync, readSync, writeSync } from "node:fs"
import test from "node:test"

// CTAPHID_INIT: broadcast channel, command 0x86, 8 bytes of nonce.
test("a security key answers", () => {
  const key = openSync("/dev/hidraw90", "r+")
  const nonce = [1, 2, 3, 4, 5, 6, 7, 8]
  const report = Buffer.alloc(65)
  report.set([0, 0xff, 0xff, 0xff, 0xff, 0x86, 0, 8, ...nonce])
  writeSync(key, report)
  const answer = Buffer.alloc(64)
  readSync(key, answer, 0, 64, null)
  closeSync(key)
  assert.deepEqual([...answer.subarray(7, 15)], nonce)
  assert.ok(answer[23] & 0x04, "it speaks FIDO2")
})
