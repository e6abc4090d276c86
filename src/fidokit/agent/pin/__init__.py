"""PINs in the agent: the child process that handles one, and locked memory that keeps one."""
