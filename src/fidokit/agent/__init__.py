"""An SSH agent that serves keys on tokens: the protocol, the keys, the socket.

`core` turns requests into answers without sockets, threads or clocks of its own; `loop` is what
serves it. What it needs of tokens, of a person and of an agent behind it is in `core.ports`.
"""
