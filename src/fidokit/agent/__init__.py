"""An SSH agent that serves keys on tokens: the protocol, the keys, the socket.

`core` turns requests into answers without sockets, threads or clocks of its own; `server` is the
loop around it. What it needs of tokens, of a person and of an agent behind it is in `ports`.
"""
