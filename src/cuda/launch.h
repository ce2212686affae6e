/* SPDX-License-Identifier: BSD-3-Clause */
/* The border between the C host code and the kernels: what each launcher gets, and the table of them per element type.
 * A launcher enqueues on `stream` and returns the CUDA error of the launch.
 *
 * Kernels work on packed arrays of the whole batch: matrix b of an r-by-c array begins at b * r * c, column-major.
 * "Tall" is A, or A^H where m < n, so that rows >= columns always; its factors are X (left, rows) and Y (right). */
#ifndef SVDGRAD_CUDA_LAUNCH_H
#define SVDGRAD_CUDA_LAUNCH_H
#include "functions/forms.h"

#include <cuda_runtime_api.h>
#include <svdgrad/svdgrad.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What prepare_kernel found out about a matrix. */
enum { CUDA_MATRIX_FINE = 0, CUDA_MATRIX_NONFINITE = 1 };

typedef struct prepare_args {
  svdgrad_matrix_t A; /* m-by-n, the caller's */
  int64_t batch_count, rows, columns;
  int transposed;      /* m < n */
  int scaled_exponent; /* the largest entry gets this exponent */
  void *tall;          /* rows-by-columns */
  int32_t *exponent;   /* per matrix: the tall one is 2^-exponent A */
  int32_t *state;      /* per matrix: CUDA_MATRIX_* */
  int64_t parts;       /* blocks that share a matrix */
  void *largest;       /* scratch for one real of each part; NULL if there is one */
} prepare_args_t;

typedef struct qr_args {
  int64_t batch_count, rows, columns;
  void *A;        /* in: rows-by-columns; out: reflectors below the diagonal, R above, columns where they were */
  void *tau;      /* columns */
  int32_t *order; /* columns, out: the QR is that of A with its columns in this order, by descending norm; NULL: of A */
  void *R;        /* out: columns-by-columns, R with zeros below the diagonal, or, if lower, R^H */
  int lower;
} qr_args_t;

typedef struct apply_q_args {
  int64_t batch_count, rows, columns, wanted;
  void *A; /* A, tau, order of qr */
  const void *tau;
  const int32_t *order;
  const void *small; /* columns-by-columns; its conjugate transpose if adjoint */
  int adjoint;
  void *X;          /* rows-by-wanted: Q diag(small, I) */
  int64_t x_stride; /* elements between the X of one matrix and the next */
} apply_q_args_t;

/* The SVD of small matrices straight from the caller's A to the caller's factors: scaling, completion, gauge and info
 * included. */
typedef struct direct_args {
  int64_t batch_count, rows, columns;
  int transposed, positive_gauge; /* transposed: the tall matrix is A^H */
  int max_sweeps;
  int64_t k, u_cols, vh_rows;
  svdgrad_matrix_t A, U, Vh; /* the caller's; U and Vh with data NULL if not wanted */
  svdgrad_vector_t S;
  int32_t *info;
  void *work;        /* jacobi_skinny: rows-by-columns */
  int32_t *exponent; /* per matrix, out: S is stored times 2^-exponent (src/backend.h); NULL: as it is */
} direct_args_t;

/* Where the smallest singular value is rounding noise or lost, the product of all of them from A (kernels/full_rank.cuh):
 * S of which the product is right, with those in doubt alike, or a logarithm. */
typedef struct full_rank_args {
  int64_t batch_count, rows, columns;
  int transposed;          /* the tall matrix, rows-by-columns, is A^H */
  svdgrad_matrix_t A;      /* the caller's */
  void *work;              /* rows-by-columns; NULL: in shared memory */
  svdgrad_vector_t S;      /* in and out */
  const int32_t *exponent; /* per matrix: the values are 2^exponent S */
  svdgrad_matrix_t U, Vh;  /* in and out, of a square A: det(U Vh) gets the phase of det(A); or data NULL */
  svdgrad_vector_t value;  /* in: -Inf where in doubt; out: the sum of the logarithms; data NULL: S is looked at */
} full_rank_args_t;

/* A norm and its gradient straight from the caller's A, of matrices that jacobi_thread or jacobi_warp solves. */
typedef struct norm_args {
  direct_args_t svd; /* without U, Vh and S */
  svdgrad_norm_kind_t kind;
  double p;                  /* of SCHATTEN */
  svdgrad_vector_t value, g; /* the caller's; g with data NULL means 1 */
  svdgrad_matrix_t gA;
  double alpha, beta;
} norm_args_t;

/* One-sided Jacobi on square matrices: A W has orthogonal columns, neither sorted nor normalized. */
typedef struct rotate_args {
  int64_t batch_count, n;
  void *A;             /* n-by-n, in place */
  void *W;             /* n-by-n, out; NULL: not wanted */
  int32_t *left;       /* per matrix, out: pairs rotated in the last sweep, 0 if it converged */
  int32_t *sweeps;     /* per matrix, out: sweeps done, 1 if nothing was rotated; or NULL */
  const int32_t *skip; /* per matrix: leave it alone if non-zero; or NULL */
  int max_sweeps;
  int64_t rows; /* the tolerance is sqrt(rows) eps; 0: n */
} rotate_args_t;

/* Blocked Jacobi: what one step of one sweep gets (jacobi_blocked.h). */
enum { CUDA_PANEL_COLUMNS = 32 }; /* at most */
typedef struct blocked_args {
  int64_t batch_count, n;
  int64_t columns; /* of a pair of panels, at most */
  int64_t step;    /* counted from the first of the first sweep */
  int panels;
  void *A, *W;         /* as in rotate_args */
  void *R;             /* per pair of the step, columns-by-columns: out of factor, destroyed by jacobi_panels */
  const void *V;       /* per pair, columns-by-columns: out of jacobi_panels */
  int32_t *left;       /* per pair: rotated columns; end: of all steps of the sweep */
  int32_t *idle;       /* per pair: non-zero if its matrix is done */
  int32_t *done;       /* per matrix: converged, or skipped */
  const int32_t *skip; /* as in rotate_args, and so are total, its left, and sweeps */
  int32_t *total, *sweeps;
} blocked_args_t;

typedef struct normalize_args {
  int64_t batch_count, n;
  const void *L, *W;    /* n-by-n: what rotation made; W NULL: only S */
  const int32_t *order; /* n, of qr */
  void *norms;          /* n, scratch */
  void *S, *X, *Y;      /* n descending, n-by-n; Y's columns are zero where S is */
} normalize_args_t;

typedef struct complete_args {
  int64_t batch_count, rows, columns, wanted; /* columns of X that may be good, and that are to be orthonormal */
  void *X;       /* rows-by-wanted; columns that belong to a negligible S, and those beyond `columns`, are replaced */
  const void *S; /* columns, descending */
  void *reflectors, *tau; /* scratch: rows-by-columns, columns */
  int trust_null;         /* non-zero: a column is good unless its S is exactly 0 (our own kernels) */
} complete_args_t;

typedef struct store_args {
  int64_t batch_count, rows, columns, wanted;
  int64_t k, u_cols, vh_rows, m, n;
  int transposed, positive_gauge;
  void *X, *Y; /* positive_gauge: changed */
  const void *S;
  int64_t x_stride, y_stride; /* elements between the X of one matrix and the next, the Y */
  int conjugate_y;            /* Y holds Y^H */
  const int32_t *exponent, *state;
  int scaled_exponent;    /* as in prepare_args */
  const int32_t *failed;  /* per matrix: non-zero if it did not converge */
  svdgrad_matrix_t U, Vh; /* the caller's; data NULL if not wanted */
  svdgrad_vector_t S_out;
  int32_t *exponent_out; /* per matrix, out: S is stored times 2^-exponent (src/backend.h); NULL: as it is */
  int32_t *info;
} store_args_t;

/* C = alpha op(A) op(B) + beta C for every matrix of the batch, op(A) m-by-k, op(B) k-by-n; strides in elements. */
typedef enum cuda_operation { CUDA_PLAIN, CUDA_HERMITIAN } cuda_operation_t;
typedef struct gemm_args {
  int64_t batch_count, m, n, k;
  cuda_operation_t op_a, op_b;
  double alpha, beta;
  const void *A, *B;
  void *C;
  int64_t lda, ldb, ldc, stride_a, stride_b, stride_c;
} gemm_args_t;

/* The backward pass of one matrix inside one block, by some lanes of a warp, or by one thread. */
typedef struct fused_args {
  int64_t batch_count, m, n, k;
  svdgrad_matrix_t U, Vh, gU, gVh, gA; /* the caller's; gU and gVh may have data NULL */
  svdgrad_vector_t S, gS;              /* gS may have data NULL */
  double alpha, beta, gap_param;
  svdgrad_gap_policy_t gap_policy;
  svdgrad_report_t *report; /* or NULL */
} fused_args_t;

/* m or n is 0: identities for what full_matrices asks for, info OK, reports of no gap. */
typedef struct empty_args {
  int64_t batch_count, u_cols, vh_rows;
  svdgrad_matrix_t U, Vh;   /* data NULL: nothing to do */
  int32_t *info;            /* or NULL */
  svdgrad_report_t *report; /* or NULL */
} empty_args_t;

/* Operations of programs (src/functions/machine.h); tensors and real numbers are packed arrays of the whole batch. */
typedef struct transfer_args {
  int64_t batch_count;
  svdgrad_matrix_t matrix; /* outside of the program; load: data NULL means zero */
  machine_operation_t op;
  tensor_t X;
  double alpha, beta; /* store */
} transfer_args_t;

typedef struct transfer_reals_args {
  int64_t batch_count;
  svdgrad_vector_t vector; /* as above */
  reals_t x;
  int32_t *exponent;   /* load, per matrix, out: x are singular values, normalized by 2^-exponent; or NULL */
  const int32_t *told; /* per matrix: the values are 2^told times those in `vector`; or NULL: 0 */
} transfer_reals_args_t;

/* Transfers that do not depend on each other: one launch for all. */
typedef enum cuda_transfer_kind { CUDA_LOAD, CUDA_STORE, CUDA_LOAD_REALS, CUDA_STORE_REALS } cuda_transfer_kind_t;
typedef struct cuda_transfer {
  cuda_transfer_kind_t kind;
  union {
    transfer_args_t matrix;
    transfer_reals_args_t reals;
  } of;
} cuda_transfer_t;
enum { CUDA_TRANSFERS = 12 }; /* at most: arguments of a kernel have 4 KiB */
typedef struct cuda_transfers {
  int count;
  cuda_transfer_t at[CUDA_TRANSFERS];
} cuda_transfers_t;

/* In place. */
typedef struct tensor_args {
  int64_t batch_count;
  tensor_t X;
  reals_t factor;          /* scale_columns */
  reals_t step;            /* scale_columns_in_steps: the second one; or none */
  const int32_t *exponent; /* normalize */
  double value;            /* add_identity */
  tensor_t column;         /* scale_columns_by */
  tensor_t phase;          /* determinant_phase: out, 1-by-1 */
} tensor_args_t;

typedef struct form_args {
  int64_t batch_count;
  int64_t parts; /* blocks that share a matrix; the launcher fills it in */
  svdgrad_gap_policy_t gap_policy;
  double gap_param;
  union {
    backward_form_t backward;
    jvp_form_t jvp;
    svd_backward_backward_form_t svd_backward_backward;
    function_form_t function; /* values and pairs */
    norm_form_t norm;
    determinant_form_t determinant;
  } form;
} form_args_t;

/* A function of the SVD, or its backward pass, of one matrix by one team, from the caller's operands to the caller's. */
typedef struct function_args {
  form_args_t form; /* of it the numbers of form.function: nothing of a program */
  int64_t m, n, k;
  svdgrad_matrix_t U, Vh, Y, gA; /* Y: out, or the cotangent */
  svdgrad_vector_t S, f, df;     /* f and df of CUSTOM */
  double alpha, beta;
  svdgrad_report_t *report; /* or NULL */
} function_args_t;

/* Power iteration by passes over chunks of rows (kernels/power.cuh).  A matrix moves; A^H u is zero, so that u and v stay;
 * A is zero; A or the start has a NaN or Inf. */
enum { CUDA_POWER_MOVES, CUDA_POWER_STUCK, CUDA_POWER_ZERO, CUDA_POWER_NONFINITE };
/* The shares of more chunks than this are summed up in a launch of their own, in so many runs. */
enum { CUDA_POWER_RUNS = 8 };
typedef struct power_args {
  int64_t batch_count, m, n, chunk_rows, chunks;
  svdgrad_matrix_t A, Y;                  /* the caller's; Y with data NULL if not wanted */
  svdgrad_vector_t u, v, sigma, residual; /* the caller's; residual with data NULL if not wanted */
  int32_t *info;
  int32_t iterations;
  int first_pass, last_pass;
  void *w_parts, *largest_parts;    /* of every chunk: n; one real */
  void *y, *w, *v_work;             /* m: A v; n: A^H y, or A^H u; n: v */
  int32_t *exponent, *state;        /* per matrix: A is scaled by 2^-exponent after the first pass; CUDA_POWER_* */
  int32_t *u_exponent, *v_exponent; /* per matrix: the start is scaled by 2^-exponent, nearly always 1 */
  void *sigma_value; /* per matrix, one real: sigma = value 2^exponent, not rounded to an end of the range */
  int32_t *sigma_exponent;
} power_args_t;

typedef struct normalize_gradient_args {
  int64_t batch_count, m, n, chunk_rows, chunks;
  svdgrad_matrix_t A, gY, gA;
  svdgrad_vector_t u, v, sigma;
  double alpha, beta;
  void *along_parts, *sigma_parts; /* of every chunk: one real each */
} normalize_gradient_args_t;

typedef struct cuda_kernels {
  size_t element_size, real_size;
  int scaled_exponent;
  cudaError_t (*load)(size_t shared_bytes); /* all kernels, onto the current device; most memory of a block there */
  int warp_limit, panels_limit;             /* most rows of jacobi_warp, most columns of jacobi_panels */
  cudaError_t (*prepare)(const prepare_args_t *args, cudaStream_t stream);
  cudaError_t (*qr)(const qr_args_t *args, cudaStream_t stream);
  cudaError_t (*apply_q)(const apply_q_args_t *args, cudaStream_t stream);
  cudaError_t (*jacobi_thread)(const direct_args_t *args, cudaStream_t stream);
  cudaError_t (*jacobi_skinny)(const direct_args_t *args, cudaStream_t stream);
  cudaError_t (*jacobi_warp)(const direct_args_t *args, cudaStream_t stream);
  cudaError_t (*norm_thread)(const norm_args_t *args, cudaStream_t stream);
  cudaError_t (*norm_warp)(const norm_args_t *args, cudaStream_t stream);
  size_t (*panels_shared_bytes)(int64_t n); /* of one block, with vectors */
  cudaError_t (*jacobi_panels)(const rotate_args_t *args, cudaStream_t stream);
  cudaError_t (*blocked_begin)(const blocked_args_t *args, cudaStream_t stream);
  cudaError_t (*blocked_factor)(const blocked_args_t *args, cudaStream_t stream);
  cudaError_t (*blocked_update)(const blocked_args_t *args, cudaStream_t stream);
  cudaError_t (*blocked_end)(const blocked_args_t *args, cudaStream_t stream);
  cudaError_t (*normalize)(const normalize_args_t *args, cudaStream_t stream);
  cudaError_t (*complete)(const complete_args_t *args, cudaStream_t stream);
  cudaError_t (*store)(const store_args_t *args, cudaStream_t stream);
  cudaError_t (*full_rank)(const full_rank_args_t *args, cudaStream_t stream);
  cudaError_t (*gemm)(const gemm_args_t *args, cudaStream_t stream);
  size_t (*fused_shared_bytes)(int64_t k);
  cudaError_t (*backward_fused)(const fused_args_t *args, cudaStream_t stream);
  int backward_thread_limit; /* most rows and columns of backward_thread */
  cudaError_t (*backward_thread)(const fused_args_t *args, cudaStream_t stream);
  int backward_warp_columns, backward_warp_rows; /* most of min(m, n), of max(m, n) */
  cudaError_t (*backward_warp)(const fused_args_t *args, cudaStream_t stream);
  cudaError_t (*empty)(const empty_args_t *args, cudaStream_t stream);
  int function_rows;                                            /* most rows and columns of a function in one launch */
  size_t (*function_shared_bytes)(const function_args_t *args); /* of one block, at most */
  cudaError_t (*function)(const function_args_t *args, cudaStream_t stream);
  cudaError_t (*function_backward)(const function_args_t *args, cudaStream_t stream);
  cudaError_t (*program_transfer)(const cuda_transfers_t *transfers, cudaStream_t stream);
  cudaError_t (*program_scale)(const tensor_args_t *args, cudaStream_t stream);
  cudaError_t (*program_scale_by)(const tensor_args_t *args, cudaStream_t stream);
  cudaError_t (*program_add_identity)(const tensor_args_t *args, cudaStream_t stream);
  cudaError_t (*program_normalize)(const tensor_args_t *args, cudaStream_t stream);
  cudaError_t (*program_phase)(const tensor_args_t *args, cudaStream_t stream);
  cudaError_t (*form_backward)(const form_args_t *args, cudaStream_t stream);
  cudaError_t (*form_jvp)(const form_args_t *args, cudaStream_t stream);
  cudaError_t (*form_second)(const form_args_t *args, cudaStream_t stream);
  cudaError_t (*form_outside)(const form_args_t *args, cudaStream_t stream);
  cudaError_t (*form_values)(const form_args_t *args, cudaStream_t stream);
  cudaError_t (*form_pairs)(const form_args_t *args, cudaStream_t stream);
  cudaError_t (*form_norm)(const form_args_t *args, cudaStream_t stream);
  cudaError_t (*form_determinant)(const form_args_t *args, cudaStream_t stream);
  cudaError_t (*power_begin)(const power_args_t *args, cudaStream_t stream);
  cudaError_t (*power_pass)(const power_args_t *args, cudaStream_t stream);
  cudaError_t (*power_collect)(const power_args_t *args, cudaStream_t stream);
  cudaError_t (*power_start)(const power_args_t *args, cudaStream_t stream);
  cudaError_t (*power_finish)(const power_args_t *args, cudaStream_t stream);
  cudaError_t (*power_clear)(const power_args_t *args, cudaStream_t stream);
  cudaError_t (*power_quotient)(const power_args_t *args, cudaStream_t stream);
  cudaError_t (*normalize_along)(const normalize_gradient_args_t *args, cudaStream_t stream);
  cudaError_t (*normalize_gradient)(const normalize_gradient_args_t *args, cudaStream_t stream);
} cuda_kernels_t;

extern const cuda_kernels_t svdgrad_cuda_kernels_f32, svdgrad_cuda_kernels_f64, svdgrad_cuda_kernels_c64,
    svdgrad_cuda_kernels_c128;

#ifdef __cplusplus
}
#endif
#endif
