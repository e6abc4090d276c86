"""An SSH agent that serves keys on tokens: the protocol, the keys, the socket."""
