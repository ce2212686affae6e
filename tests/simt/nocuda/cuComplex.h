/* SPDX-License-Identifier: BSD-3-Clause */
/* Stand-in for the toolkit's header: the types alone. */
#pragma once
#include "vector_types.h"

typedef float2 cuFloatComplex;
typedef cuFloatComplex cuComplex;
typedef double2 cuDoubleComplex;
