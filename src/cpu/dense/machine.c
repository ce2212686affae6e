/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations of programs in the type of the operands.  Products of one matrix are those of ../products.h; groups of
 * small matrices are multiplied in lanes. */
#include "../products.h"
#include "functions/host_machine.h"

static void multiply_one(const host_machine_t *machine, const group_product_t *product) {
  products_t products = *machine->products;
  products.work = machine->product_work;
  multiply_shared(&products, product);
}

#define MULTIPLY   multiply_one
#define HOST_TABLE TYPED(cpu_machine)
#include "functions/host_table.h"
