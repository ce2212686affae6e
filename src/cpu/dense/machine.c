/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations of programs in the type of the operands.  Products of one matrix are those of ../simd/one/product.h;
 * groups of small matrices are multiplied in lanes. */
#include "../simd/one/product.h"

#define MULTIPLY(machine, product) (machine)->products->multiply(product, (machine)->product_work)
#define HOST_TABLE                 TYPED(cpu_machine)
#include "functions/host_table.h"
