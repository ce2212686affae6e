// SPDX-License-Identifier: BSD-3-Clause
// Static __shared__ memory: which variables a kernel has, found by their names in the program's table of symbols.
#pragma once
#include <stddef.h>

namespace simt {

// Tells that a kernel is there, of which the variables are its own.
void note_kernel(const void *kernel);

// Bytes of the variables that stand in the kernel itself; not those of functions that it calls.
size_t static_shared_bytes(const void *kernel);

// Fills with 0xFF, which reads as NaN, what a block of the kernel may use: its own variables, and those of all functions
// that are not known as kernels.
void poison_static_shared(const void *kernel);

} // namespace simt
