// EL2 exception vectors, for a program that owns EL2.

#include "vectors.inc"

    exception_vectors vectors_el2, save_frame_el2, el2
