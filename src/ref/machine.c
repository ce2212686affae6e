/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations of programs (functions/machine.h) on one matrix at a time, one precision wider than the operands. */
#define COMPUTE_WIDE
#define HOST_TABLE TYPED(ref_machine)
#include "functions/host_table.h"
