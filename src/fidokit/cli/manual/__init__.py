"""The man pages, made from the help that the commands print, and the examples in both."""
