/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a program on the CPU machine: once without memory to measure its scratch, or for a group of matrices. */
#include "functions/host_machine.h"

static host_machine_t machine_of(const host_program_t *plan, int64_t first, int64_t count, arena_t scratch,
                                 int measuring) {
  host_machine_t machine = {.base = {plan->ops, plan->program->p, measuring},
                            .b = first,
                            .lanes = plan->group ? plan->group->lanes : 1,
                            .count = count,
                            .group = plan->group,
                            .products = plan->products,
                            .arena = scratch};
  machine.product_work = arena_take(&machine.arena, (int64_t)plan->product_work, 1);
  return machine;
}

size_t host_program_scratch(const host_program_t *plan) {
  host_machine_t machine = machine_of(plan, 0, 1, (arena_t){NULL, 0}, 1);
  plan->program->run(&machine.base, plan->program->call);
  return machine.arena.used;
}

void host_program_task(const void *argument, int64_t first, int64_t count, arena_t scratch) {
  const host_program_t *plan = argument;
  host_machine_t machine = machine_of(plan, first, count, scratch, 0);
  plan->program->run(&machine.base, plan->program->call);
}
