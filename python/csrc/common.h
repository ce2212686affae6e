/* SPDX-License-Identifier: BSD-3-Clause */
/* One table of the operations, for the borders to all frameworks.
 *
 * A framework gives arrays and attributes; the table says what each array is.  A border translates: it finds the operation
 * by its name, takes m, n and the batch from the shapes of the inputs, makes the outputs, and calls operation_run().  So a
 * new operation is one row here, and no change in any border. */
#ifndef SVDGRAD_PYTHON_COMMON_H
#define SVDGRAD_PYTHON_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <svdgrad/svdgrad.h>

/* What one matrix of the batch has of an operand; r is k = min(m, n), or the rank where that is given. */
typedef enum {
  OPERAND_A,      /* m-by-n: A, dA, gA, Y of the form UVH */
  OPERAND_S,      /* r, real */
  OPERAND_U,      /* m-by-r, m-by-m with full_matrices */
  OPERAND_VH,     /* r-by-n, n-by-n with full_matrices */
  OPERAND_Y,      /* m-by-n, n-by-n for the form VVH */
  OPERAND_LEFT,   /* m: u of the power iteration */
  OPERAND_RIGHT,  /* n: v */
  OPERAND_REAL,   /* one real number */
  OPERAND_NUMBER, /* one number of the element type */
  OPERAND_INFO,   /* one int32 (SVDGRAD_INFO_*) */
  OPERAND_REPORT, /* REPORT_BYTES uint8: a svdgrad_report_t */
  OPERAND_KINDS
} operand_kind_t;

enum { MOST_INPUTS = 8, MOST_OUTPUTS = 6, REPORT_BYTES = sizeof(svdgrad_report_t) };

/* The same for all operations; each takes what concerns it (svdgrad.h says what they mean).  All of them 0: the defaults.
 * The borders pass them as two lists, in this order. */
typedef struct attributes {
  int64_t rank, full_matrices, algo, gap_policy, kind, form, relative, iterations, batch_invariant;
  double gap_param, param, null_value;
} attributes_t;
enum { INTEGER_ATTRIBUTES = 9, REAL_ATTRIBUTES = 3 };
extern const char *const integer_attribute_names[INTEGER_ATTRIBUTES], *const real_attribute_names[REAL_ATTRIBUTES];

typedef struct dimensions {
  svdgrad_dtype_t dtype;
  int64_t m, n, batch_count;
} dimensions_t;

/* Strides count elements; rows before columns.  `data` NULL: an optional operand that is absent.  One that
 * is present and has no elements has some other pointer, `no_elements`. */
extern char no_elements[];
typedef struct operand {
  void *data;
  int64_t batch_stride, strides[2];
} operand_t;

typedef struct operation operation_t;
struct operation {
  const char *name;
  int input_count, output_count;
  operand_kind_t inputs[MOST_INPUTS], outputs[MOST_OUTPUTS];
  unsigned optional_inputs, optional_outputs; /* bit i: operand i may be absent */
  unsigned updated;                           /* bit i: output i starts as a copy of input i + 1 (u and v) */
  svdgrad_op_t (*op)(const operand_t *outputs);
  svdgrad_status_t (*run)(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                          const attributes_t *attributes, const operand_t *inputs, const operand_t *outputs, void *work,
                          size_t work_bytes);
};

extern const operation_t operations[];
extern const int operation_count;

const operation_t *operation_find(const char *name); /* NULL: there is none */

/* Number of dimensions of one matrix's part of an operand (0, 1 or 2), and their extents. */
int operand_rank(operand_kind_t kind);
void operand_extents(operand_kind_t kind, const dimensions_t *d, const attributes_t *attributes, int64_t extents[2]);
int operand_is_real(operand_kind_t kind); /* the real type of dtype, not dtype itself */

/* Takes m or n, or both, from an input whose extents are given. */
void dimensions_learn(dimensions_t *d, operand_kind_t kind, const int64_t *extents);

/* A packed array in row-major order, as all frameworks but NumPy have them. */
operand_t operand_packed(void *data, operand_kind_t kind, const dimensions_t *d, const attributes_t *attributes);

/* A pool of threads for this call (svdgrad.h); `run` NULL: the threads of the library. */
typedef struct pool {
  svdgrad_parallel_for_t run;
  void *pool;
} pool_t;

/* The handle of a device, made at the first call and kept; NULL, with a message, if there is no such backend.
 * `device` counts within a backend; the CPU has device 0. */
svdgrad_handle_t handle_of(svdgrad_backend_t backend, int device);

/* Bytes of workspace.  Depends on which optional outputs are present (`data` not NULL). */
svdgrad_status_t operation_workspace(svdgrad_backend_t backend, int device, const operation_t *operation,
                                     const dimensions_t *d, const attributes_t *attributes, const operand_t *outputs,
                                     size_t *bytes);

/* On the CPU `stream` is NULL.  svdgrad_last_error_message() has the reason of a failure. */
svdgrad_status_t operation_run(svdgrad_backend_t backend, int device, void *stream, pool_t pool,
                               const operation_t *operation, const dimensions_t *d, const attributes_t *attributes,
                               const operand_t *inputs, const operand_t *outputs, void *work, size_t work_bytes);

#endif
