/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations of programs (functions/machine.h) on the reference backend. */
#ifndef SVDGRAD_REF_MACHINE_H
#define SVDGRAD_REF_MACHINE_H
#include "functions/host_machine.h"

extern const machine_ops_t *const ref_machine_ops[4]; /* by svdgrad_dtype_t */

#endif
