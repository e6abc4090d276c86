"""What this machine has: device nodes and their permissions, OpenSSH, daemons, udev rules."""
