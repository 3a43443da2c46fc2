"""EL3: the chain of boot images, power control, and the SPMD between the two worlds. Readable Python, no guest code."""
