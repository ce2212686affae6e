// SPDX-License-Identifier: BSD-3-Clause
// Every choice that a GPU is free to make is drawn here, after SIMT_ORDER: the order of the threads of a
// block, of the blocks of a grid, of the streams of a device, of the nodes of a graph.
#pragma once
#include <stddef.h>
#include <vector>

namespace simt {

std::vector<int> draw_order(size_t n); // a permutation of 0..n-1: ascending, descending or random
size_t draw_one(size_t n);             // its first element
bool draw_rarely();                    // true now and then, in random order only

} // namespace simt
