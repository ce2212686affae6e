/* SPDX-License-Identifier: BSD-3-Clause */
/* What a test may ask of the shim beyond the CUDA runtime.  Plain C. */
#pragma once
#include <stddef.h>
#ifdef __cplusplus
extern "C" {
#endif

/* Between begin and end every call that a stream-ordered function must not make is counted, from any thread:
   allocation and release, synchronous copies, every kind of synchronisation, and work on the default stream.
   end() prints the names to stderr and returns how many calls there were. */
void simt_forbidden_begin(void);
int simt_forbidden_end(void);

size_t simt_leaked(void);          /* allocations of device memory that are not freed */
unsigned long simt_switches(void); /* changes of CUDA thread so far: a measure of the scheduler's work */
unsigned long simt_launches(void); /* kernels that have run so far */
int simt_has_context(int device);  /* whether anything has made a context on the device */
size_t simt_queued(void *stream);  /* pieces of work that the stream has been given since it was made */
size_t simt_pending(void);         /* pieces of work that are queued in all streams (SIMT_ASYNC=1) */

#ifdef __cplusplus
}
#endif
