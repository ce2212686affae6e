/* SPDX-License-Identifier: BSD-3-Clause */
/* What a timing depends on beside the library. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H
#include <stdio.h>

double machine_seconds(void); /* monotonic */
int machine_cores(void);      /* that the library can use; 1 if it was built without threads */

/* Until the idle threads of OpenMP, which spin for a while after a call, sleep and disturb nobody. */
void machine_pause(void);

/* Keeps the BLAS on one thread for the whole run, so that the loop of LAPACK calls is not spread over the cores either
 * (the library does the same during its calls).  Where the BLAS is not a known one, the environment must see to it. */
void machine_one_blas_thread(void);

/* Date, processor, compiler and BLAS as comment lines. */
void machine_print(FILE *file);

#endif
