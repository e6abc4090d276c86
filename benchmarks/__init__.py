"""How fast fidokit is beside stock programs; `make bench` writes docs/benchmarks.md."""
