use std::fs::OpenOptions;
use std::io::{Read, Write};

#[test]
fn a_security_key_answers() {
    let mut key = OpenOptions::new().read(true).write(true).open("/dev/hidraw90").unwrap();
    let mut report = [0u8; 65];
    report[1..16].copy_from_slice(&[255, 255, 255, 255, 0x86, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
    key.write_all(&report).unwrap();
    let mut answer = [0u8; 64];
    key.read_exact(&mut answer).unwrap();
    assert_eq!(answer[7..15], report[8..16]);
    assert!(answer[23] & 4 != 0, "it speaks FIDO2");
}
