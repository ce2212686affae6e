/* SPDX-License-Identifier: BSD-3-Clause */
/* What kernels ask of shared and global memory, counted (recorder.cpp). */
#ifndef SVDGRAD_TESTS_SIMT_TRACE_RECORDER_H
#define SVDGRAD_TESTS_SIMT_TRACE_RECORDER_H
#ifdef __cplusplus
extern "C" {
#endif

/* From here on launches are counted, from zero. */
void recorder_start(void);

/* A line for each kernel since then, with tabs between: problem, kernel, launches, wavefronts of shared memory, ideal
 * ones, sectors of global memory, ideal ones, accesses that are not aligned to their size. */
void recorder_print(const char *problem);

/* A line for each instruction that is not ideal: address in the program, and the four counts. */
void recorder_print_instructions(void);

#ifdef __cplusplus
}
#endif
#endif
