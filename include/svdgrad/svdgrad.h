/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file svdgrad.h
 * @brief Batched, differentiable singular value decomposition on CPU and CUDA.
 *
 * For every matrix A of a batch: A = U diag(S) Vh, functions and norms of A, and the gradients of all of them.
 *
 * This header is the manual.  Its sections stand in the order in which one needs them: version and status; the handle;
 * operands; the problem; workspace; the SVD and its gradient; functions of the singular values; norms and determinants;
 * the largest singular value by iteration; derivatives of higher order; threads, CUDA and what a call will do.
 *
 * **A first program.**
 * The singular values of two 3 x 2 matrices, and the gradient of their sum.  Every call returns a status, which a real
 * program looks at.
 *
 * @code{.c}
 * #include <stdio.h>
 * #include <stdlib.h>
 * #include <svdgrad/svdgrad.h>
 *
 * int main(void) {
 *   double A[2][3][2] = {{{1, 0}, {0, 2}, {1, 1}}, {{1, 2}, {3, 4}, {5, 6}}}, one = 1;
 *   double S[2][2], U[2][3][2], Vh[2][2][2], gA[2][3][2];
 *   svdgrad_matrix_t a = {A, 2, 1, 6}, u = {U, 2, 1, 6}, vh = {Vh, 2, 1, 4}, ga = {gA, 2, 1, 6};
 *   svdgrad_vector_t s = {S, 1, 2}, gs = {&one, 0, 0};  // strides of 0: one number for all
 *   int32_t info[2];                                    // how each matrix went
 *   size_t forward, backward;
 *   svdgrad_handle_t handle;
 *   svdgrad_desc_t desc = SVDGRAD_DESC_INIT;
 *   desc.dtype = SVDGRAD_F64, desc.m = 3, desc.n = 2, desc.batch_count = 2;
 *   svdgrad_create(SVDGRAD_BACKEND_CPU, 0, &handle);
 *   svdgrad_workspace_size(handle, SVDGRAD_OP_SVD, &desc, &forward);
 *   svdgrad_workspace_size(handle, SVDGRAD_OP_SVD_BACKWARD, &desc, &backward);
 *   void *work = malloc(forward + backward);
 *   svdgrad_svd(handle, NULL, &desc, &a, &s, &u, &vh, info, work, forward);
 *   svdgrad_svd_backward(handle, NULL, &desc, NULL, &s, &u, &vh, &gs, NULL, NULL, 1, 0, &ga, NULL, work, backward);
 *   printf("S = %.4f %.4f, first row of gA = %.4f %.4f\n", S[1][0], S[1][1], gA[1][0][0], gA[1][0][1]);
 *   free(work);
 *   return (int)svdgrad_destroy(handle);
 * }
 * @endcode
 *
 * It prints
 *
 * @code{.txt}
 * S = 9.5255 0.5143, first row of gA = -0.5510 0.7278
 * @endcode
 *
 * **Names**
 *  - A is m-by-n.  A singular triplet is a singular value s_i with its vectors u_i and v_i.  k is the number of
 *    triplets that are computed: svdgrad_desc_t.rank, or min(m, n) where rank is 0.  s_1 >= s_2 >= ... are the singular
 *    values.  As in numpy.linalg.svd, `Vh` = V^H is returned, never V.
 *  - A tie is a group of equal singular values, a cluster a group of close ones, a gap the difference of two.  The
 *    gauge is what A does not determine: the common phase (real types: sign) of u_i and v_i; the basis at a tie, and
 *    that of the further columns with full_matrices.
 *  - `gX` is the gradient of the loss with respect to X, and has the shape of X; `dX` is a tangent of X.  For complex
 *    types gX = dL/dRe(X) + i dL/dIm(X), as in PyTorch.  A function with a gradient computes gA = alpha * (gradient) +
 *    beta * gA.
 *  - In formulas ^H is the conjugate transpose, herm(X) = (X + X^H)/2, skew(X) = (X - X^H)/2, |X| is the Frobenius
 *    norm, and eps is the machine epsilon of the real type.
 *
 * **Parameters that all compute functions have**
 *  - `handle`: of svdgrad_create().
 *  - `stream`: a `cudaStream_t` for CUDA; NULL for the CPU backends.
 *  - `desc`: the problem.
 *  - `alpha`, `beta`: factors, finite.  gA is not read where beta is 0.
 *  - `work`, `work_bytes`: memory that the call may overwrite, and its size; see svdgrad_workspace_size().
 *  - `info`: one word for each matrix, see SVDGRAD_INFO_OK; `report`: one svdgrad_report_t for each matrix, or NULL.
 *
 * **Where memory lies.**
 * The elements of all operands, `info`, `report` and `work` lie in the memory of the backend: device memory for CUDA,
 * host memory otherwise.  The structs that describe them (svdgrad_desc_t, svdgrad_matrix_t, svdgrad_vector_t,
 * svdgrad_function_t) lie in host memory, and are read before the call returns.
 *
 * **Rules for every compute function**
 *  - **Status.**  Each may return INVALID_ARGUMENT, WORKSPACE_TOO_SMALL, NOT_SUPPORTED or BACKEND_ERROR.  A status
 *    other than SUCCESS means that nothing was computed or enqueued; after BACKEND_ERROR alone the outputs are
 *    undefined.  Numerical trouble is no status: it is in `info`, for each matrix.
 *  - **Inputs** are never written.
 *  - **Outputs** must not overlap inputs, `work` or each other: INVALID_ARGUMENT where pointers and strides show it.
 *    Elements of one operand may lie between those of another.
 *  - **Sizes of 0.**  m, n and batch_count may be 0.  An operand without elements may have any pointer and strides.
 *    Outputs that have elements are written: with full_matrices, U of an m-by-0 matrix is the identity.
 *  - **The same bits.**  The result for one matrix does not depend on its place in the batch, on the other matrices, or
 *    on the number of threads.  On the CPU, with the algorithm AUTO and without svdgrad_desc_t.batch_invariant, it may
 *    depend on batch_count.  It may depend on the instruction set (svdgrad_instruction_set()).
 *  - **No allocation.**  A call allocates, frees and prints nothing.  On the CPU it has finished when it returns.  On
 *    CUDA it enqueues its work and returns, without synchronizing or copying to the host.
 *
 * Threads, forks, the floating-point environment and CUDA are in the last section.
 */
#ifndef SVDGRAD_H
#define SVDGRAD_H
#include <stddef.h>
#include <stdint.h>
#include <svdgrad/export.h>  /* generated: SVDGRAD_API */
#include <svdgrad/version.h> /* generated: SVDGRAD_VERSION_MAJOR, _MINOR, _PATCH */
#ifdef __cplusplus
extern "C" {
#endif

/* ---- version and status ------------------------------------------------------------------------------------------ */

/** Version of the library that runs: 10000*major + 100*minor + patch.  SVDGRAD_VERSION_MAJOR, _MINOR and _PATCH are
 *  those of the header. */
SVDGRAD_API int svdgrad_version(void);

/** What a call returns.  Values are ABI: never renumber, only append. */
typedef enum {
  SVDGRAD_STATUS_SUCCESS = 0,             /**< done (CPU), or enqueued (CUDA) */
  SVDGRAD_STATUS_INVALID_ARGUMENT = 1,    /**< a size, stride, pointer or enum is wrong */
  SVDGRAD_STATUS_NOT_SUPPORTED = 2,       /**< valid, but not with this backend or algorithm */
  SVDGRAD_STATUS_WORKSPACE_TOO_SMALL = 3, /**< work_bytes is less than this call needs */
  SVDGRAD_STATUS_OUT_OF_MEMORY = 4,       /**< only from svdgrad_create() */
  SVDGRAD_STATUS_BACKEND_UNAVAILABLE = 5, /**< not compiled in, or no device, or no driver */
  SVDGRAD_STATUS_BACKEND_ERROR = 6        /**< CUDA or cuSOLVER reported an error */
} svdgrad_status_t;

/** Name of a status, e.g. "success".  Never NULL, also for a number that is no status; lives as long as the library. */
SVDGRAD_API const char *svdgrad_status_string(svdgrad_status_t status);

/** What was wrong with the last call of this thread that failed: function, argument, value and bound.  For instance
 *  "svdgrad_svd: U.col_stride is 3, must be >= m = 4".  Never NULL; valid until this thread's next failure. */
SVDGRAD_API const char *svdgrad_last_error_message(void);

/* ---- the handle -------------------------------------------------------------------------------------------------- */

/** What computes, and in which memory the operands lie. */
typedef enum {
  SVDGRAD_BACKEND_REF = 0, /**< the reference: slow, one precision wider inside; host memory */
  SVDGRAD_BACKEND_CPU = 1, /**< SIMD and threads; host memory */
  SVDGRAD_BACKEND_CUDA = 2 /**< device memory */
} svdgrad_backend_t;

typedef struct svdgrad_context *svdgrad_handle_t; /**< a context of one backend; opaque */

/** Create a handle.  Any number of threads may use it at once.
 *
 *  This is the only function that allocates or may synchronize, with one exception: svdgrad_workspace_size() for VENDOR
 *  on CUDA prepares a cuSOLVER handle for the next call on a new stream.  (Further calls on new streams, and concurrent
 *  calls on one stream, create their own.)  For CUDA, every kernel is loaded onto the device here, so that no call
 *  loads any.
 *  @param[in]  backend  what computes
 *  @param[in]  device   number of the CUDA device; the CPU backends ignore it
 *  @param[out] handle   NULL on failure
 *  @return INVALID_ARGUMENT, OUT_OF_MEMORY, or BACKEND_UNAVAILABLE, with the reason in svdgrad_last_error_message() */
SVDGRAD_API svdgrad_status_t svdgrad_create(svdgrad_backend_t backend, int device, svdgrad_handle_t *handle);

/** Destroy a handle that no other thread uses; NULL is allowed.  Safe in atexit() handlers and in destructors of static
 *  objects.
 *  @return SUCCESS */
SVDGRAD_API svdgrad_status_t svdgrad_destroy(svdgrad_handle_t handle);

/* ---- operands: where matrices and vectors lie -------------------------------------------------------------------- */

/** A batch of matrices: element (b,i,j) is data[b*batch_stride + i*row_stride + j*col_stride].
 *
 *  Strides count elements, not bytes.  A stride is ignored where its extent is 1.
 *
 *  @code{.c}
 *  svdgrad_matrix_t by_rows = {data, desc.n, 1, desc.m * desc.n};     // C, NumPy
 *  svdgrad_matrix_t padded = {data, 64, 1, desc.m * 64};              // the same with a leading dimension of 64
 *  svdgrad_matrix_t by_columns = {data, 1, desc.m, desc.m * desc.n};  // Fortran, LAPACK, Julia
 *  svdgrad_matrix_t one_for_all = {data, desc.n, 1, 0};               // inputs: one matrix for the whole batch
 *  @endcode
 *
 *  An input may have any strides: 0 (broadcast), negative (flipped: `data` still points to element (0,0,0)), or such
 *  that elements share memory (sliding windows).  The strides of an output are positive, and each is at least the span
 *  of all smaller ones, so that no two elements share memory. */
typedef struct svdgrad_matrix {
  void *data;           /**< element (0,0,0), in the backend's memory */
  int64_t row_stride;   /**< elements from (b,i,j) to (b,i+1,j) */
  int64_t col_stride;   /**< elements from (b,i,j) to (b,i,j+1) */
  int64_t batch_stride; /**< elements from matrix b to matrix b+1 */
} svdgrad_matrix_t;

/** A batch of vectors: element (b,i) is data[b*batch_stride + i*stride].  Rules for strides as for matrices.  A
 *  parameter that is one number for each matrix is a vector of length 1: element (b,0). */
typedef struct svdgrad_vector {
  void *data;           /**< element (0,0), in the backend's memory */
  int64_t stride;       /**< elements from (b,i) to (b,i+1) */
  int64_t batch_stride; /**< elements from vector b to vector b+1 */
} svdgrad_vector_t;

/* ---- the problem ------------------------------------------------------------------------------------------------- */

/** Type of the elements; LAPACK's s, d, c, z.  S, its gradient, norms and tolerances always have the real type. */
typedef enum {
  SVDGRAD_F32 = 0, /**< float */
  SVDGRAD_F64 = 1, /**< double */
  SVDGRAD_C64 = 2, /**< float complex: real and imaginary part, 8 bytes */
  SVDGRAD_C128 = 3 /**< double complex, 16 bytes */
} svdgrad_dtype_t;

/** Which algorithm computes the SVD, also the one inside of norms and determinants.  svdgrad_algorithm_name() says
 *  which one a call takes.  REF has one algorithm, for AUTO and JACOBI. */
typedef enum {
  SVDGRAD_ALGO_AUTO = 0,   /**< CPU: the fastest by measurement, chosen by instruction set, operation, dtype, m, n, rank
                                and full_matrices, and by batch_count unless batch_invariant is set.  CUDA: JACOBI */
  SVDGRAD_ALGO_JACOBI = 1, /**< our own one-sided Jacobi kernels, which keep small singular values: see svdgrad_svd().
                                CPU: NOT_SUPPORTED if min(m, n) > 128, or if A has more than 128 KiB (with
                                full_matrices: max(m, n)^2 elements have) */
  SVDGRAD_ALGO_VENDOR = 2  /**< CPU: LAPACK's gesdd, or gesvd where gesdd fails (for max(m, n) >= 2^25 after a QR
                                factorization of our own); NOT_SUPPORTED if min(m, n) is above about 23000, with
                                full_matrices if max(m, n) >= 2^25, and in a library that was built without LAPACK.
                                CUDA: cuSOLVER's gesvdjBatched for min(m, n) <= 32, gesvdj or gesvd above;
                                NOT_SUPPORTED if min(m, n) > 20000 or max(m, n) >= 2^30.  REF: NOT_SUPPORTED */
} svdgrad_algo_t;

/** What a gradient does where singular values are close.  The formula of svdgrad_svd_backward() has terms with the
 *  factor 1/(s_j - s_i), for every pair (i, j).  A dropped term is taken as 0; svdgrad_report_t counts the dropped
 *  terms.  In the limits below c = 4.
 *
 *  Every policy but EXACT also drops the terms whose divisor s_i or s_i + s_j is <= c eps s_1. */
typedef enum {
  SVDGRAD_GAP_DEFAULT = 0,     /**< terms with a gap |s_i - s_j| <= c eps s_1 are dropped, others exact */
  SVDGRAD_GAP_EXACT = 1,       /**< nothing is dropped: a tie gives Inf or NaN, as in the formula */
  SVDGRAD_GAP_MASK = 2,        /**< terms with a gap <= gap_param * s_1 are dropped */
  SVDGRAD_GAP_NOISE_FLOOR = 3, /**< as DEFAULT; also drops terms that are rounding noise over a gap, those with
                                    |X+Y|_ij <= 16 eps (max|gU_j| + max|gV_j|), X and Y of svdgrad_svd_backward().  For
                                    losses that do not change when the vectors of close singular values are replaced by
                                    another basis of their span */
  SVDGRAD_GAP_LORENTZ = 4      /**< x = s_j - s_i: 1/x becomes x/(x^2 + (gap_param*s_1)^2), and 0 at a tie: Liao et al.,
                                    PRX 9, 031041 (2019) */
} svdgrad_gap_policy_t;

/** The thread pool of a program or framework, in place of the built-in threads of a CPU backend.
 *
 *  It calls body(first, last, arg) for disjoint pieces that together are [0, count), in any order, and returns when
 *  every piece has run.  Each piece has at least `grain` items where as many are left.  It is never called from within
 *  a piece.  A piece needs 256 KiB of stack, LAPACK's not counted.
 *  @param pool   svdgrad_desc_t.pool, or what svdgrad_set_parallel_for() got
 *  @param count  number of items
 *  @param grain  fewest items of a piece
 *  @param body   computes the items first, ..., last - 1
 *  @param arg    to hand on to `body` */
typedef void (*svdgrad_parallel_for_t)(void *pool, int64_t count, int64_t grain,
                                       void (*body)(int64_t first, int64_t last, void *arg), void *arg);

/** The problem.  Begin with SVDGRAD_DESC_INIT and set dtype, m, n and batch_count; all else may stay 0.  New fields are
 *  only ever appended.
 *
 *  @code{.c}
 *  svdgrad_desc_t leading = SVDGRAD_DESC_INIT;  // the 2 leading triplets of 1000 matrices of 8 rows and 6 columns
 *  leading.dtype = SVDGRAD_F32, leading.m = 8, leading.n = 6, leading.batch_count = 1000, leading.rank = 2;
 *  @endcode
 */
typedef struct svdgrad_desc {
  size_t struct_size;     /**< sizeof(svdgrad_desc_t) as the caller was compiled */
  svdgrad_dtype_t dtype;  /**< type of the elements of all matrices */
  svdgrad_algo_t algo;    /**< AUTO unless there is a reason */
  int64_t m;              /**< rows of each matrix A, >= 0 */
  int64_t n;              /**< its columns, >= 0 */
  int64_t batch_count;    /**< number of matrices, >= 0 */
  int64_t rank;           /**< number of leading triplets, 0 to min(m, n); 0 means min(m, n) */
  int32_t full_matrices;  /**< non-zero: U is m-by-m and Vh n-by-n, and so are gU and gVh; rank must be 0 then */
  int32_t positive_gauge; /**< non-zero: the entry of largest absolute value in every column of U is positive */
  int32_t max_sweeps;     /**< Jacobi sweeps after which info says NOT_CONVERGED, >= 0; 0: the default */
  svdgrad_gap_policy_t gap_policy;     /**< of gradients and tangents */
  double gap_param;                    /**< of MASK and LORENTZ, relative to s_1; finite and >= 0 */
  svdgrad_parallel_for_t parallel_for; /**< CPU backends: the threads of this call; NULL: those of the handle */
  void *pool;                          /**< first argument of parallel_for */
  int32_t batch_invariant; /**< non-zero: the result for one matrix has the same bits in a batch of any size, since AUTO
                                does not look at batch_count.  One algorithm then serves few matrices and many: a batch
                                of some size may take up to 4 times as long.  No effect where algo is not AUTO.
                                Programs compiled before this field was added have it set */
} svdgrad_desc_t;

/** Initial value of an svdgrad_desc_t: struct_size set, all else 0. */
#define SVDGRAD_DESC_INIT                                                                                              \
  {                                                                                                                    \
    sizeof(svdgrad_desc_t), SVDGRAD_F32, SVDGRAD_ALGO_AUTO, 0, 0, 0, 0, 0, 0, 0, SVDGRAD_GAP_DEFAULT, 0.0, NULL, NULL, \
        0                                                                                                              \
  }

/* ---- workspace --------------------------------------------------------------------------------------------------- */

/** Operations, for svdgrad_workspace_size() and the other questions about a call.  Each is the function of its name. */
typedef enum {
  SVDGRAD_OP_SVD = 0,
  SVDGRAD_OP_SVDVALS = 1, /**< svdgrad_svd() with U and Vh NULL */
  SVDGRAD_OP_SVD_BACKWARD = 2,
  SVDGRAD_OP_SVD_JVP = 3,
  SVDGRAD_OP_SVD_BACKWARD_BACKWARD = 4,
  SVDGRAD_OP_MATRIX_FUNCTION = 5,
  SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD = 6,
  SVDGRAD_OP_NORM = 7,          /**< svdgrad_norm() with gA NULL */
  SVDGRAD_OP_NORM_GRADIENT = 8, /**< svdgrad_norm() with gA */
  SVDGRAD_OP_POWER_ITERATION = 9,
  SVDGRAD_OP_SPECTRAL_NORMALIZE = 10,
  SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD = 11,
  SVDGRAD_OP_DETERMINANT = 12,         /**< svdgrad_determinant() with gA NULL */
  SVDGRAD_OP_DETERMINANT_GRADIENT = 13 /**< svdgrad_determinant() with gA */
} svdgrad_op_t;

/** Bytes of workspace that a call needs.  One workspace may serve many calls, one after the other.
 *
 *  The size is a pure function of the arguments, and enough for every smaller batch too.  It is at most a constant plus
 *  a fixed number of bytes for each matrix.  The call itself accepts less where its own batch needs less than a smaller
 *  one.
 *  @param[in]  handle  the handle of the call
 *  @param[in]  op      the operation of the call
 *  @param[in]  desc    the problem of the call
 *  @param[out] bytes   size of `work`, which may have any alignment, and may be NULL if this is 0
 *  @return INVALID_ARGUMENT, or NOT_SUPPORTED (see svdgrad_algo_t, and the function of `op`) */
SVDGRAD_API svdgrad_status_t svdgrad_workspace_size(svdgrad_handle_t handle, svdgrad_op_t op,
                                                    const svdgrad_desc_t *desc, size_t *bytes);

/* ---- the SVD and its gradient ------------------------------------------------------------------------------------ */

/** Values of `info[b]`, for matrix b; the same on every backend.  Of several that hold, NONFINITE and NOT_CONVERGED
 *  come before OVERFLOW. */
#define SVDGRAD_INFO_OK 0
/** The limit of sweeps, or of the iterations of another algorithm, was reached; the outputs of this matrix are the last
 *  iterate. */
#define SVDGRAD_INFO_NOT_CONVERGED 1
/** NaN or Inf in the input; the outputs of this matrix are NaN. */
#define SVDGRAD_INFO_NONFINITE 2
/** The input is finite, and an output is too large for its type.  Its too large entries are Inf; all other outputs,
 *  such as U and Vh where S has an Inf, are as valid as with OK. */
#define SVDGRAD_INFO_OVERFLOW 3

/** SVD of each matrix: A = U diag(S) Vh, singular values in descending order.
 *
 *  The columns of U and the rows of Vh are orthonormal, also at zero singular values.  S holds no negative zero.  A
 *  value too large for the type is Inf, with info SVDGRAD_INFO_OVERFLOW; U and Vh are then valid.
 *
 *  **Accuracy.**
 *  The errors of A - U diag(S) Vh and of the singular values are at most c eps s_1, c a small multiple of max(m, n).
 *  So values far below s_1 may have no correct digit.  AUTO may take one algorithm with U and Vh and another without:
 *  the two S agree to the same c eps s_1, not in their last bits.  (On the CPU, S of "qr-lanes" has the bits of S of
 *  "dqds-lanes"; see svdgrad_algorithm_name().)
 *
 *  **Where small singular values matter.**
 *  Ask for SVDGRAD_ALGO_JACOBI.  On the CPU each value then has a relative error of c eps if A = B D (m < n: A = D B),
 *  where B is well-conditioned and D is diagonal (J. Demmel, K. Veselic, SIAM J. Matrix Anal. Appl. 13, 1992).  For a
 *  square A = D B pass the transpose.  The columns (m < n: rows) of A may differ in length by any factor.  Where some
 *  are shorter than about 2^-71 (double: 2^-685) times the largest entry of A, their squares are no normal numbers: the
 *  call takes 5 to 50 times as long, and the promise does not hold if B is singular to rounding.  On CUDA a value below
 *  2^-103 (double: 2^-975) of the largest entry may become 0.
 *
 *  AUTO promises the same on the CPU where svdgrad_algorithm_name() is "jacobi-lanes".  That needs a batch of enough
 *  matrices to fill a SIMD register, a shape that is not extremely long or wide, and min(m, n) < 8 (values only), or
 *  with vectors < 12 (C64, C128), 16 (F32, F64; F32 any, where one of m and n is at least 4 times the other).
 *
 *  @param[in]  A     m-by-n
 *  @param[out] S     length k, real
 *  @param[out] U     m-by-k (m-by-m with full_matrices), or NULL
 *  @param[out] Vh    k-by-n (n-by-n with full_matrices), or NULL.  Both NULL: singular values only
 *  @param[out] info  batch_count words
 *  @param      work  svdgrad_workspace_size(handle, SVDGRAD_OP_SVD, ...) bytes; SVDGRAD_OP_SVDVALS where U and Vh are
 *                    NULL
 *  @return NOT_SUPPORTED for the sizes and libraries that svdgrad_algo_t names */
SVDGRAD_API svdgrad_status_t svdgrad_svd(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                         const svdgrad_matrix_t *A, const svdgrad_vector_t *S,
                                         const svdgrad_matrix_t *U, const svdgrad_matrix_t *Vh, int32_t *info,
                                         void *work, size_t work_bytes);

/** How far the gradient of one matrix can be trusted.  X and Y are those of svdgrad_svd_backward(). */
typedef struct svdgrad_report {
  double min_gap;        /**< smallest |s_i - s_j| / s_1 of the pairs (i, j) that the loss depends on; Inf if there is
                              none.  The relative error of the gradient is about eps / min_gap.  A pair counts if
                              (X+Y)_ij != 0, whether its term was dropped or not.  A tie also counts if (X+Y)_ij = 0 and
                              (X-Y)_ij != 0, since the quotient is 0/0 there */
  double gauge_residual; /**< how much the loss depends on the gauge: largest |Im diag(U^H gU + V^H gV)|, relative
                              to |gU| + |gV|.  With full_matrices also the largest entry of U2^H gU2 - (U2^H gU2)^H, U2
                              being the columns of U after the first min(m, n), and the same of V.  0 for real types
                              without such columns */
  double amplification;  /**< largest |X+Y|_ij / |s_i - s_j| that entered gA */
  int32_t dropped_pairs; /**< number of pairs (i, j) with a dropped term, plus number of i with a dropped 1/s_i.  For
                              rank < min(m, n), j may be a discarded singular value */
  int32_t flags;         /**< sum of the SVDGRAD_REPORT_ values below that hold */
} svdgrad_report_t;

/** Bits of svdgrad_report_t.flags. */
enum {
  SVDGRAD_REPORT_DROPPED = 1, /**< a term was dropped */
  SVDGRAD_REPORT_GAUGE = 2,   /**< the loss depends on the gauge: gauge_residual, or X+Y at a tie, is above rounding
                                   noise */
  SVDGRAD_REPORT_CUT = 4      /**< the cut at `rank` splits a cluster of singular values */
};

/** Gradient of a loss of U, S and Vh: gA = alpha * (gradient with respect to A) + beta * gA.
 *
 *  If the loss is a function of U f(S) Vh, of V f(S) Vh or of a norm of A, call svdgrad_matrix_function_backward() or
 *  svdgrad_norm() instead: they are exact where singular values are equal.  With gV = gVh^H, X = U^H gU - gU^H U and
 *  Y = V^H gV - gV^H V
 *
 *      M_ij = ((X+Y)_ij / (s_j - s_i) + (X-Y)_ij / (s_i + s_j)) / 2 + delta_ij gS_i   (no first term for i = j),
 *      gA = U M Vh + (I - U U^H) gU S^-1 Vh + U S^-1 gV^H (I - V V^H).
 *
 *  This is the formula of Townsend ("Differentiating the singular value decomposition", 2016) and of Wan and Zhang
 *  (arXiv:1909.02659), in a form without squares of singular values: 1/(s_j - s_i) is the only factor that can be
 *  infinite for s_i > 0.  For rank < min(m, n) the last two terms are replaced by terms that contain the discarded
 *  singular values, exactly (Francuz, Schuch, Vanhecke, Phys. Rev. Research 7, 013237).  With full_matrices the columns
 *  of a square U span the whole space, and the term with I - U U^H is absent; likewise that of a square Vh.
 *
 *  @code{.c}
 *  // A loss of the singular values alone: gU and gVh are NULL, and nothing is divided by a gap.
 *  svdgrad_svd_backward(handle, stream, &desc, NULL, &s, &u, &vh, &gs, NULL, NULL, 1, 0, &ga, NULL, work, work_bytes);
 *  @endcode
 *
 *  @param[in]  A          m-by-n, for rank < min(m, n); otherwise ignored, and may be NULL
 *  @param[in]  S,U,Vh     as svdgrad_svd() returned them, or in another gauge
 *  @param[in]  gS,gU,gVh  of the shapes of S, U and Vh; each may be NULL, meaning zero
 *  @param      alpha      factor of the gradient
 *  @param      beta       factor of what gA held
 *  @param      gA         m-by-n
 *  @param[out] report     batch_count reports, or NULL
 *  @param      work       svdgrad_workspace_size(handle, SVDGRAD_OP_SVD_BACKWARD, ...) bytes */
SVDGRAD_API svdgrad_status_t svdgrad_svd_backward(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                                  const svdgrad_matrix_t *A, const svdgrad_vector_t *S,
                                                  const svdgrad_matrix_t *U, const svdgrad_matrix_t *Vh,
                                                  const svdgrad_vector_t *gS, const svdgrad_matrix_t *gU,
                                                  const svdgrad_matrix_t *gVh, double alpha, double beta,
                                                  const svdgrad_matrix_t *gA, svdgrad_report_t *report, void *work,
                                                  size_t work_bytes);

/* ---- functions of the singular values ---------------------------------------------------------------------------- */

/** The function f(s) of svdgrad_matrix_function(), with t = svdgrad_function_t.param.  Gradients are exact at ties,
 *  except where the definition of f treats the equal values differently (RANK and ROTATION: a cut within a tie). */
typedef enum {
  SVDGRAD_FUNCTION_POLAR = 0,          /**< 1: the nearest matrix with orthonormal columns (m < n: rows) */
  SVDGRAD_FUNCTION_RANK = 1,           /**< s for the leading t values, others 0; t is an integer, 0 to min(m, n) */
  SVDGRAD_FUNCTION_SOFT_THRESHOLD = 2, /**< max(s - t, 0), t >= 0: the proximal map of the nuclear norm */
  SVDGRAD_FUNCTION_HARD_THRESHOLD = 3, /**< s where s > t, else 0, t >= 0 */
  SVDGRAD_FUNCTION_CLIP = 4,           /**< min(s, t), t >= 0: projection on the ball of the spectral norm */
  SVDGRAD_FUNCTION_POWER = 5,          /**< s^t, t finite; 1 is the identity.  For t < 0 a value <= 4 eps s_1 gives 0,
                                            except under the policy EXACT */
  SVDGRAD_FUNCTION_INVERSE = 6,        /**< 1/s where s > t s_1, else 0, t >= 0: the conjugate transpose of the
                                            pseudo-inverse.  t = 0 means max(m, n) eps, at most sqrt(eps) */
  SVDGRAD_FUNCTION_ROTATION = 7,       /**< 1, and det(U) det(Vh) for the last value: the nearest rotation.  Complex
                                            types: e^(i theta_j), the nearest special unitary matrix, with s_j sin
                                            theta_j the same for all j and sum theta_j = -arg det(U Vh).  m = n, form
                                            UVH */
  SVDGRAD_FUNCTION_CUSTOM = 8,         /**< the caller's f(s_i) and f'(s_i) */
  SVDGRAD_FUNCTION_SIGN = 9            /**< 1 where s > t s_1, else 0, t as for INVERSE: the partial isometry of the
                                            polar decomposition, zero on the null space of A */
} svdgrad_function_kind_t;

/** What svdgrad_matrix_function() makes of f(S). */
typedef enum {
  SVDGRAD_FORM_UVH = 0, /**< Y = U f(S) Vh, m-by-n */
  SVDGRAD_FORM_VVH = 1  /**< Y = V f(S) Vh, n-by-n: a function of A^H A, such as its square root (POWER, t = 1) or its
                             inverse square root (INVERSE).  A vector orthogonal to the rows of A maps to null_value
                             times itself */
} svdgrad_form_t;

/** A function.  Begin with SVDGRAD_FUNCTION_INIT, then set fields.  New fields are only ever appended. */
typedef struct svdgrad_function {
  size_t struct_size;           /**< sizeof(svdgrad_function_t) as the caller was compiled */
  svdgrad_function_kind_t kind; /**< f */
  svdgrad_form_t form;          /**< what is made of f(S) */
  double param;                 /**< t of the kind */
  svdgrad_vector_t f;           /**< CUSTOM: f(s_i), length k, real, in the backend's memory.  It should be smooth where
                                     values come close to each other */
  svdgrad_vector_t df;          /**< CUSTOM, backward pass: f'(s_i), as f */
  double null_value;            /**< form VVH: f(0), finite, for the space orthogonal to the leading k rows of Vh:
                                     Y = V f(S) Vh + null_value (I - V Vh).  Form UVH: 0.  Whitening of N rows with
                                     epsilon (ZCA), (A^H A / N + epsilon I)^(-1/2), is CUSTOM with f = (s^2 / N +
                                     epsilon)^(-1/2), f' = -s f^3 / N and null_value = epsilon^(-1/2) */
  int32_t relative;             /**< non-zero: t of SOFT_THRESHOLD, HARD_THRESHOLD and CLIP is in units of s_1, and the
                                     gradient takes account of that.  INVERSE and SIGN: t is in units of s_1 in any
                                     case.  Other kinds: 0 */
} svdgrad_function_t;

/** Initial value of an svdgrad_function_t: struct_size set, all else 0. */
#define SVDGRAD_FUNCTION_INIT                                                                                          \
  { sizeof(svdgrad_function_t), SVDGRAD_FUNCTION_POLAR, SVDGRAD_FORM_UVH, 0.0, {0, 0, 0}, {0, 0, 0}, 0.0, 0 }

/** A function of each matrix, from its SVD: Y = U f(S) Vh, or V f(S) Vh.  With rank < min(m, n), of the leading
 *  triplets.
 *
 *  @code{.c}
 *  svdgrad_function_t f = SVDGRAD_FUNCTION_INIT;  // every value less by a tenth of the largest, at least 0
 *  f.kind = SVDGRAD_FUNCTION_SOFT_THRESHOLD, f.param = 0.1, f.relative = 1;
 *  svdgrad_svd(handle, stream, &desc, &a, &s, &u, &vh, info, work, work_bytes);
 *  svdgrad_matrix_function(handle, stream, &desc, &f, &s, &u, &vh, &y, work, work_bytes);
 *  svdgrad_matrix_function_backward(handle, stream, &desc, &f, &s, &u, &vh, &gy, 1, 0, &ga, NULL, work, work_bytes);
 *  @endcode
 *
 *  @param[in]  function  the function, and the form of Y
 *  @param[in]  S,U,Vh    as svdgrad_svd() returned them, with full_matrices too; U may be NULL for the form VVH
 *  @param[out] Y         m-by-n; n-by-n for the form VVH
 *  @param      work      svdgrad_workspace_size(handle, SVDGRAD_OP_MATRIX_FUNCTION, ...) bytes
 *  @return INVALID_ARGUMENT where svdgrad_function_kind_t or svdgrad_function_t does not allow the function */
SVDGRAD_API svdgrad_status_t svdgrad_matrix_function(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                                     const svdgrad_function_t *function, const svdgrad_vector_t *S,
                                                     const svdgrad_matrix_t *U, const svdgrad_matrix_t *Vh,
                                                     const svdgrad_matrix_t *Y, void *work, size_t work_bytes);

/** Gradient of a loss of the Y of svdgrad_matrix_function(): gA = alpha * (gradient with respect to A) + beta * gA.
 *
 *  For the form UVH, with P = U^H gY V,
 *
 *      f1_ij = (f(s_i) - f(s_j)) / (s_i - s_j)  (f'(s_i) at a tie),  f2_ij = (f(s_i) + f(s_j)) / (s_i + s_j),
 *      gA = U (f1 herm(P) + f2 skew(P)) Vh + (I - U U^H) gY V (f(S)/S) Vh + U (f(S)/S) U^H gY (I - V V^H)
 *
 *  (Daleckii and Krein's divided differences on the Hermitian dilation of A; Noferini, SIAM J. Matrix Anal. Appl. 38,
 *  2017).  f1 and f2 multiply elementwise, and are computed without cancellation: in closed form for each kind of f;
 *  for CUSTOM f1_ij is the mean of f'(s_i) and f'(s_j) where it equals the quotient to rounding.  The map from gY to gA
 *  is self-adjoint.  So the same call turns a tangent dA into dY; and with f = F' it gives the product of the Hessian
 *  of sum F(s_i) with dA.  For the form VVH, with G = herm(gY) and P = V^H G V,
 *
 *      gA = 2 U (s_i f1_ij / (s_i + s_j) P) Vh + 2 U ((f(S) - null_value)/S) V^H G (I - V V^H).
 *
 *  A threshold t = tau s_1 (`relative`) varies with s_1: gA has the additional term gs_1 u_1 v_1^H, with gs_1 the sum
 *  of Re P_ii over the values above t, times -tau (SOFT_THRESHOLD) or +tau (CLIP).  The term is shared equally among
 *  the values within 4 eps s_1 of s_1.  With such a threshold the map is not self-adjoint.
 *
 *  Where f does not cancel a divisor and the divisor is <= 4 eps s_1, the quotient is dropped and reported, except
 *  under the gap policy EXACT; MASK, NOISE_FLOOR and LORENTZ act as DEFAULT.
 *
 *  @param[in]  function  as for svdgrad_matrix_function()
 *  @param[in]  S,U,Vh    as svdgrad_svd() returned them, with full_matrices too
 *  @param[in]  gY        of the shape of Y
 *  @param      alpha     factor of the gradient
 *  @param      beta      factor of what gA held
 *  @param      gA        m-by-n
 *  @param[out] report    batch_count reports, or NULL.  min_gap and amplification are of the divisors above that f does
 *                        not cancel; SVDGRAD_REPORT_CUT says that a threshold or cut of f splits a cluster
 *  @param      work      svdgrad_workspace_size(handle, SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD, ...) bytes
 *  @return INVALID_ARGUMENT as svdgrad_matrix_function(); NOT_SUPPORTED for rank < min(m, n) */
SVDGRAD_API svdgrad_status_t svdgrad_matrix_function_backward(
    svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc, const svdgrad_function_t *function,
    const svdgrad_vector_t *S, const svdgrad_matrix_t *U, const svdgrad_matrix_t *Vh, const svdgrad_matrix_t *gY,
    double alpha, double beta, const svdgrad_matrix_t *gA, svdgrad_report_t *report, void *work, size_t work_bytes);

/* ---- norms and determinants -------------------------------------------------------------------------------------- */

/** The norm of svdgrad_norm(). */
typedef enum {
  SVDGRAD_NORM_NUCLEAR = 0,        /**< sum of s_i */
  SVDGRAD_NORM_SPECTRAL = 1,       /**< s_1 */
  SVDGRAD_NORM_SCHATTEN = 2,       /**< (sum of s_i^p)^(1/p), p > 0 */
  SVDGRAD_NORM_LOG_DETERMINANT = 3 /**< sum of log s_i: log |det A| where m = n */
} svdgrad_norm_kind_t;

/** A norm of each matrix and, if gA is given, its gradient: gA = alpha * g * (gradient) + beta * gA.
 *
 *  The gradient is U diag(w) Vh, w_i being the derivative of the norm with respect to s_i: 1 (NUCLEAR), 1 for i = 1 and
 *  0 for others (SPECTRAL), (s_i / norm)^(p-1) (SCHATTEN), 1/s_i (LOG_DETERMINANT); see G. A. Watson, Linear Algebra
 *  Appl. 170, 1992.
 *
 *  @code{.c}
 *  // value = nuclear norm, and ga += 0.01 * its gradient
 *  svdgrad_norm(handle, stream, &desc, SVDGRAD_NORM_NUCLEAR, 0, &a, &value, NULL, 0.01, 1, &ga, info,
 *               work, work_bytes);
 *  @endcode
 *
 *  At a kink of the norm the gradient is the subgradient of least norm.  In the gradient of NUCLEAR, values up to
 *  max(m, n) eps s_1 (at most sqrt(eps) s_1) count as 0.  The gradient of SPECTRAL is shared equally among the values
 *  within 4 eps s_1 of s_1.  The gradients of SCHATTEN and LOG_DETERMINANT drop negative powers of values <= 4 eps s_1,
 *  except under the policy EXACT.  A zero matrix has gradient 0.
 *
 *  **Range.**
 *  LOG_DETERMINANT has a small error for a matrix of full rank even where its rows or columns differ widely in size: a
 *  matrix whose smallest value is <= 4 max(m, n) eps s_1 is solved a second time.  On the CPU this is done one
 *  precision wider: by a QR factorization with complete pivoting and, unless that shows a singular matrix, by Jacobi,
 *  in 10 to 200 times the time.  CPU algorithms that compute one matrix at a time ("bidiagonal", "lapack-gesdd") do it
 *  only for min(m, n) <= 128 and m n <= 65536.  On CUDA the second solution is Gaussian elimination with complete
 *  pivoting, for the value but not for the gradient.  For larger matrices, values below c eps s_1 may be noise or 0,
 *  and the result a wrong number or -Inf.  For a singular matrix the result is -Inf or a large negative number.
 *  SCHATTEN and LOG_DETERMINANT take values below 2^-149 s_1 in float, 2^-1074 s_1 in double, as 0; for SCHATTEN this
 *  changes the result for p below about 1/10.
 *
 *  @param[in]  kind   which norm
 *  @param[in]  p      exponent of SCHATTEN, finite and > 0; ignored for other norms
 *  @param[in]  A      m-by-n
 *  @param[out] value  one real number for each matrix
 *  @param[in]  g      gradient of the loss with respect to `value`, one real number for each matrix; NULL: 1 for each
 *  @param      alpha  factor of the gradient
 *  @param      beta   factor of what gA held
 *  @param      gA     m-by-n; NULL: values only
 *  @param[out] info   batch_count words
 *  @param      work   svdgrad_workspace_size(handle, SVDGRAD_OP_NORM_GRADIENT, ...) bytes; SVDGRAD_OP_NORM where gA is
 *                     NULL
 *  @return NOT_SUPPORTED for rank < min(m, n) */
SVDGRAD_API svdgrad_status_t svdgrad_norm(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                          svdgrad_norm_kind_t kind, double p, const svdgrad_matrix_t *A,
                                          const svdgrad_vector_t *value, const svdgrad_vector_t *g, double alpha,
                                          double beta, const svdgrad_matrix_t *gA, int32_t *info, void *work,
                                          size_t work_bytes);

/** Determinant of each square matrix, its sign, log |det| and, if gA is given, the gradient of a loss of these three.
 *
 *  With A = U diag(S) Vh and d = det(U) det(Vh), |d| = 1: det = d s_1 ... s_n, sign = d (+-1 for real types), log_abs =
 *  sum log s_i.  Where a singular value is exactly 0, det and sign are 0 and log_abs is -Inf.  For n = 0, det and sign
 *  are 1 and log_abs is 0.
 *
 *      gA = alpha * U diag(w) Vh + beta * gA,
 *      w_i = g_det conj(d) prod_{j != i} s_j + (g_log_abs + i Im(conj(sign) g_sign)) / s_i.
 *
 *  The first term is g_det times the conjugate transpose of the adjugate (Jacobi's formula).  It is exact at singular
 *  matrices too, where it has rank 1 or is 0; no intermediate product over- or underflows.  The second term is dropped
 *  where s_i <= 4 eps s_1, except under the gap policy EXACT (a zero numerator gives 0 under any policy).  The errors
 *  of gA are some eps times its largest term.  What svdgrad_norm() says of the range of LOG_DETERMINANT holds for sign
 *  and log_abs.
 *
 *  @param[in]  A                       n-by-n
 *  @param[out] det,sign                one number of the element type for each matrix, or NULL; det overflows to Inf
 *  @param[out] log_abs                 one real number for each matrix, or NULL.  One output, or gA, must be given
 *  @param[in]  g_det,g_sign,g_log_abs  gradients of the loss with respect to them (dL/dRe + i dL/dIm); NULL means 0.
 *                                      For real types the sign is locally constant, and g_sign changes nothing
 *  @param      alpha                   factor of the gradient
 *  @param      beta                    factor of what gA held
 *  @param      gA                      n-by-n; NULL: values only
 *  @param[out] info                    batch_count words: OVERFLOW where det is given and infinite
 *  @param      work                    svdgrad_workspace_size(handle, SVDGRAD_OP_DETERMINANT_GRADIENT, ...) bytes;
 *                                      SVDGRAD_OP_DETERMINANT where gA is NULL
 *  @return INVALID_ARGUMENT for m != n; NOT_SUPPORTED for rank < n */
SVDGRAD_API svdgrad_status_t svdgrad_determinant(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                                 const svdgrad_matrix_t *A, const svdgrad_vector_t *det,
                                                 const svdgrad_vector_t *sign, const svdgrad_vector_t *log_abs,
                                                 const svdgrad_vector_t *g_det, const svdgrad_vector_t *g_sign,
                                                 const svdgrad_vector_t *g_log_abs, double alpha, double beta,
                                                 const svdgrad_matrix_t *gA, int32_t *info, void *work,
                                                 size_t work_bytes);

/* ---- the largest singular value by iteration --------------------------------------------------------------------- */

/** Estimate of the largest singular value and its vectors, from the estimates of the last call.
 *
 *  The power method on A^H A: `iterations` times v = A^H u / |A^H u|, u = A v / |A v|; then sigma = Re(u^H A v).  A is
 *  read iterations + 1 times.  With iterations = 0, sigma is that of the u and v given.  Where A^H u or A v is 0, v or
 *  u keeps its value.  The fields rank, full_matrices, positive_gauge and gap_policy of `desc` have no effect.
 *
 *  @code{.c}
 *  // One step of a training loop: the vectors go on from where they were in the last step.
 *  svdgrad_power_iteration(handle, stream, &desc, &a, 1, &left, &right, &value, NULL, info, work, work_bytes);
 *  @endcode
 *
 *  @param[in]     A           m-by-n
 *  @param[in]     iterations  >= 0
 *  @param[in,out] u           length m, element type; to begin with any vector that is not zero
 *  @param[in,out] v           length n, element type; read only where `iterations` or A^H u is 0
 *  @param[out]    sigma       one real number for each matrix
 *  @param[out]    residual    sqrt(|A v - sigma u|^2 + |A^H u - sigma v|^2), one real number for each matrix, or NULL;
 *                             the distance from sigma to a singular value is at most this
 *  @param[out]    info        batch_count words.  With a NaN or Inf in A or u, all outputs of that matrix are NaN;
 *                             OVERFLOW where sigma, or the residual that is asked for, is too large for its type,
 *                             and Inf
 *  @param         work        svdgrad_workspace_size(handle, SVDGRAD_OP_POWER_ITERATION, ...) bytes */
SVDGRAD_API svdgrad_status_t svdgrad_power_iteration(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                                     const svdgrad_matrix_t *A, int32_t iterations,
                                                     const svdgrad_vector_t *u, const svdgrad_vector_t *v,
                                                     const svdgrad_vector_t *sigma, const svdgrad_vector_t *residual,
                                                     int32_t *info, void *work, size_t work_bytes);

/** svdgrad_power_iteration(), and Y = A / sigma (Miyato et al., ICLR 2018); Y = 0 where sigma is 0.
 *
 *  The divisor is not rounded to its type: Y is as accurate where sigma overflows, or is subnormal.  Where sigma is far
 *  below the entries of A, as it may be with iterations = 0, entries of Y may be Inf; info is OK then.
 *  @param[in]     A           m-by-n
 *  @param[in]     iterations  >= 0
 *  @param[in,out] u,v         as for svdgrad_power_iteration()
 *  @param[out]    sigma       one real number for each matrix
 *  @param[out]    residual    as for svdgrad_power_iteration(), or NULL
 *  @param[out]    Y           m-by-n
 *  @param[out]    info        as for svdgrad_power_iteration()
 *  @param         work        svdgrad_workspace_size(handle, SVDGRAD_OP_SPECTRAL_NORMALIZE, ...) bytes */
SVDGRAD_API svdgrad_status_t svdgrad_spectral_normalize(svdgrad_handle_t handle, void *stream,
                                                        const svdgrad_desc_t *desc, const svdgrad_matrix_t *A,
                                                        int32_t iterations, const svdgrad_vector_t *u,
                                                        const svdgrad_vector_t *v, const svdgrad_vector_t *sigma,
                                                        const svdgrad_vector_t *residual, const svdgrad_matrix_t *Y,
                                                        int32_t *info, void *work, size_t work_bytes);

/** Gradient of a loss of the Y of svdgrad_spectral_normalize():
 *
 *      gA = alpha * (gY / sigma - Re<gY, A> / sigma^2 u v^H) + beta * gA.
 *
 *  This is the gradient of A / Re(u^H A v) for constant u and v (Miyato et al., ICLR 2018).  Where u and v have
 *  converged it is the gradient of A / s_1.  It is 0 where sigma is 0.  Where sigma is infinite or subnormal it is
 *  computed again from A, u and v.
 *  @param[in] A,u,v,sigma  as svdgrad_spectral_normalize() left them
 *  @param[in] gY           m-by-n
 *  @param     alpha        factor of the gradient
 *  @param     beta         factor of what gA held
 *  @param     gA           m-by-n
 *  @param     work         svdgrad_workspace_size(handle, SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD, ...) bytes */
SVDGRAD_API svdgrad_status_t svdgrad_spectral_normalize_backward(
    svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc, const svdgrad_matrix_t *A,
    const svdgrad_vector_t *u, const svdgrad_vector_t *v, const svdgrad_vector_t *sigma, const svdgrad_matrix_t *gY,
    double alpha, double beta, const svdgrad_matrix_t *gA, void *work, size_t work_bytes);

/* ---- derivatives of higher order, and forward mode --------------------------------------------------------------- */

/** Forward mode (JVP): the tangents of S, U and Vh along dA; dVh = dV^H.  With E = U^H dA V, Dm_ij = 1/(s_j - s_i) (0
 *  for i = j) and Dp_ij = 1/(s_i + s_j)
 *
 *      dS = Re diag(E),  dU = U (herm(E) Dm + skew(E) Dp) + (I - U U^H) dA V S^-1,
 *                        dV = V (herm(E) Dm - skew(E) Dp) + (I - V V^H) dA^H U S^-1.
 *
 *  Dm and Dp multiply elementwise.  The map is the adjoint of svdgrad_svd_backward() under the same gap policy, and the
 *  sources are the same.  NOISE_FLOOR acts as DEFAULT: without gU and gV there is no noise level.  For rank < min(m, n)
 *  the last terms are replaced by terms that contain the discarded singular values, exactly.  With full_matrices the
 *  tangents of the further columns of U and V are the smallest that keep the columns orthonormal.
 *  @param[in]  A          m-by-n, for rank < min(m, n); otherwise ignored, and may be NULL
 *  @param[in]  S,U,Vh     as svdgrad_svd() returned them, or in another gauge
 *  @param[in]  dA         m-by-n
 *  @param[out] dS,dU,dVh  of the shapes of S, U and Vh; each may be NULL
 *  @param[out] report     batch_count reports, or NULL; min_gap and amplification are those of herm(E) Dm
 *  @param      work       svdgrad_workspace_size(handle, SVDGRAD_OP_SVD_JVP, ...) bytes */
SVDGRAD_API svdgrad_status_t svdgrad_svd_jvp(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                             const svdgrad_matrix_t *A, const svdgrad_vector_t *S,
                                             const svdgrad_matrix_t *U, const svdgrad_matrix_t *Vh,
                                             const svdgrad_matrix_t *dA, const svdgrad_vector_t *dS,
                                             const svdgrad_matrix_t *dU, const svdgrad_matrix_t *dVh,
                                             svdgrad_report_t *report, void *work, size_t work_bytes);

/** Second order: the backward pass of svdgrad_svd_backward() with alpha = 1 and beta = 0.
 *
 *  Let the loss be one of the result of svdgrad_svd_backward(), and ggA its gradient with respect to that result.  The
 *  outputs are its gradients with respect to the arguments: ggS, ggU and ggVh with respect to gS, gU and gVh (these are
 *  the tangents of svdgrad_svd_jvp() along ggA), and gA = alpha * (gradient with respect to A, through S, U and Vh) +
 *  beta * gA.  The formulas are the derivatives of those of svdgrad_svd_backward().
 *  @param[in]  S,U,Vh        as svdgrad_svd() returned them
 *  @param[in]  gS,gU,gVh     the arguments of svdgrad_svd_backward(); each may be NULL, meaning zero
 *  @param[in]  ggA           m-by-n
 *  @param[out] ggS,ggU,ggVh  of the shapes of S, U and Vh; each may be NULL
 *  @param      alpha         factor of the gradient
 *  @param      beta          factor of what gA held
 *  @param      gA            m-by-n, or NULL
 *  @param[out] report        batch_count reports, or NULL
 *  @param      work          svdgrad_workspace_size(handle, SVDGRAD_OP_SVD_BACKWARD_BACKWARD, ...) bytes
 *  @return NOT_SUPPORTED for rank < min(m, n), and for full_matrices */
SVDGRAD_API svdgrad_status_t svdgrad_svd_backward_backward(
    svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc, const svdgrad_vector_t *S,
    const svdgrad_matrix_t *U, const svdgrad_matrix_t *Vh, const svdgrad_vector_t *gS, const svdgrad_matrix_t *gU,
    const svdgrad_matrix_t *gVh, const svdgrad_matrix_t *ggA, const svdgrad_vector_t *ggS, const svdgrad_matrix_t *ggU,
    const svdgrad_matrix_t *ggVh, double alpha, double beta, const svdgrad_matrix_t *gA, svdgrad_report_t *report,
    void *work, size_t work_bytes);

/* ---- threads, CUDA, and what a call will do ---------------------------------------------------------------------- */

/** @defgroup threads Threads, processes, floating-point environment
 *  - **Threads of the caller.**  Any number of threads may use a handle at once.  During a setter or svdgrad_destroy()
 *    no other thread may use it.
 *  - **Built-in threads** belong to the process.  They start with the first call that has work for them, block all
 *    signals except those of faults, sleep between calls, and end with the last handle of a CPU backend: destroy all
 *    handles before dlclose().
 *  - **Fork.**  A process may fork at any time, also while other threads are in a call.  The fork waits for threads
 *    that compute a matrix with LAPACK (SVDGRAD_ALGO_VENDOR) until they have finished that matrix.  The child may use
 *    the handles that it inherits, or create its own; its built-in threads are new ones.  Two exceptions: where the
 *    library was compiled with SVDGRAD_OPENMP, libgomp hangs in the child; and CUDA handles do not survive a fork.
 *  - **Signals.**  No function may be called from a signal handler; a signal may interrupt any of them.
 *  - **Floating-point environment.**  Calls on CPU backends compute in the default one (round to nearest, no flushing
 *    to zero, no traps), whatever the threads have set, also on a caller's pool.  Every thread's environment is
 *    restored, flags included.  The algorithms "bidiagonal", "dqds-lanes" and "qr-lanes" scale A to a largest entry of
 *    1 or more, and then take subnormal numbers as 0.
 *  - **Stack.**  A call takes less than 64 KiB of its caller's, LAPACK's not counted. */

/** Sets the number of threads of one call, the calling thread included.  CPU backends; not while another thread uses
 *  the handle.
 *  @param[in] handle       whose calls
 *  @param[in] num_threads  >= 0.  0, the default: SVDGRAD_NUM_THREADS of the environment as it is now, else
 *                          OMP_NUM_THREADS, else the number of processors on which the process may run
 *  @return INVALID_ARGUMENT, or NOT_SUPPORTED for CUDA */
SVDGRAD_API svdgrad_status_t svdgrad_set_num_threads(svdgrad_handle_t handle, int num_threads);

/** Threads of one call, the calling thread included, where svdgrad_desc_t.parallel_for is NULL.  0 where `handle` is
 *  NULL, the backend has none, or OpenMP chooses. */
SVDGRAD_API int svdgrad_get_num_threads(svdgrad_handle_t handle);

/** Sets the thread pool of all calls whose svdgrad_desc_t.parallel_for is NULL.  CPU backends; not while another thread
 *  uses the handle.
 *  @param[in] handle  whose calls
 *  @param[in] run     runs the pieces of a call; NULL: the built-in threads
 *  @param[in] pool    first argument of `run`
 *  @return INVALID_ARGUMENT, or NOT_SUPPORTED for CUDA */
SVDGRAD_API svdgrad_status_t svdgrad_set_parallel_for(svdgrad_handle_t handle, svdgrad_parallel_for_t run, void *pool);

/** @defgroup cuda CUDA
 *  - **Streams.**  Calls on one stream run in order.  Calls on different streams need different workspaces.
 *  - **No waiting.**  A call enqueues its work and returns; it never synchronizes.  JACOBI for min(m, n) > 672 (C128: >
 *    576) enqueues more launches than a stream holds: outside of a graph, the call may wait for room.
 *  - **Graphs.**  A call can be captured unless svdgrad_is_capturable() returns 0.
 *  - **Devices.**  A handle belongs to the device that it was created for. */

/** Whether the call that (op, desc) describes can be captured in a CUDA graph.
 *  @return non-zero if so; 0 if not, on the CPU backends, and if an argument is wrong (with a message) */
SVDGRAD_API int svdgrad_is_capturable(svdgrad_handle_t handle, svdgrad_op_t op, const svdgrad_desc_t *desc);

/** Name of the algorithm that the call takes, with AUTO the chosen one.  For the SVD on the CPU: "jacobi-lanes",
 *  "dqds-lanes" and "qr-lanes" (one matrix in each SIMD lane), "bidiagonal" (one matrix at a time), "lapack-gesdd"
 *  (VENDOR).  Lives as long as the library.
 *  @return NULL, with a message, if an argument is wrong or the algorithm is not supported */
SVDGRAD_API const char *svdgrad_algorithm_name(svdgrad_handle_t handle, svdgrad_op_t op, const svdgrad_desc_t *desc);

/** Name of the instruction set of the kernels: "avx512", "avx2", "neon", "portable" (CPU), "cuda".  Lives as long as
 *  the library.
 *  @return NULL, with a message, if `handle` is NULL */
SVDGRAD_API const char *svdgrad_instruction_set(svdgrad_handle_t handle);

#ifdef __cplusplus
}
#endif
#endif
