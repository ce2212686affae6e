/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_CALL_GUARD_H
#define TEST_CALL_GUARD_H

/* "simt", "cupti", or NULL where nothing can watch the calls. */
const char *guard_kind(void);

/* Between begin and end, calls that a stream-ordered function must not make are counted, from any thread.  end() prints
 * their names and returns how many there were. */
void guard_begin(void);
int guard_end(void);

#endif
