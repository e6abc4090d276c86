"""One touch, many hosts: a certificate that ends soon, for a key that one process keeps."""
