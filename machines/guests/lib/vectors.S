// EL1 exception vectors.

#include "vectors.inc"

    exception_vectors vectors, save_frame, el1
