/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file svdgrad.h
 * @brief Batched, differentiable singular value decomposition on CPU and CUDA.
 *
 * For every matrix of a batch, A = U diag(S) Vh with k = min(m, n) (or the leading
 * `rank` triplets), and the derivatives of that map.  Names follow numpy.linalg.svd:
 * `Vh` is returned, never `V`.  `gX` is the gradient (cotangent) of X, `dX` a tangent.
 *
 * To begin with: svdgrad_create(), svdgrad_desc_t, svdgrad_matrix_t, svdgrad_workspace_size(), svdgrad_svd() and
 * svdgrad_svd_backward(); or, where the loss is a function or a norm of A, svdgrad_matrix_function() or svdgrad_norm().
 *
 * Parameters that all compute functions have: `handle`, of svdgrad_create(); `stream`, see below; `desc`, the problem;
 * `alpha` and `beta`, factors of the gradient and of what gA held, finite; `work`, memory that the call may overwrite,
 * of `work_bytes` bytes.  All may return INVALID_ARGUMENT, WORKSPACE_TOO_SMALL, NOT_SUPPORTED or BACKEND_ERROR.
 *
 * Rules that hold for every compute function:
 *  - A call enqueues its work on `stream`, a `cudaStream_t`, and returns.  It never synchronizes,
 *    allocates, frees, or copies to the host, and can be captured in a CUDA graph unless
 *    svdgrad_is_capturable() returns 0.  (CUDA's JACOBI for min(m, n) > 672 (C128: > 576) enqueues more launches
 *    than a stream holds: outside of a graph, the call may wait for room.)  The CPU backends need
 *    NULL and have finished on return.
 *  - All operands lie in the backend's memory (device memory for CUDA).  Inputs are never written.
 *    Outputs must not overlap inputs, `work` or each other: INVALID_ARGUMENT where pointers and
 *    strides show it.  Elements of one operand between those of another are no overlap.  gA is read
 *    if beta != 0.
 *  - A non-zero status means that nothing was enqueued; BACKEND_ERROR alone may leave the
 *    outputs undefined.  Numerical trouble is reported per matrix in `info`, never as a status.
 *  - m, n or batch_count may be 0: a quick return.  An operand without elements may have any strides
 *    and pointer.  An output that has elements even then is written: with full_matrices, U of an
 *    m-by-0 matrix is the identity.
 *  - The result for one matrix is bitwise the same whatever its place in the batch, the other matrices
 *    of the batch, and the number of threads; and whatever the batch size with any algorithm but AUTO, or
 *    with svdgrad_desc_t.batch_invariant.
 *
 * Threads, processes, floating-point environment:
 *  - Any number of threads may use a handle at once.  During a setter or svdgrad_destroy() no other
 *    thread may use it.
 *  - Built-in threads belong to the process.  They start with the first call that has work for
 *    them, block all signals except those of faults, sleep between calls, and end with the
 *    last handle of a CPU backend: destroy all handles before dlclose().  svdgrad_destroy() is safe in
 *    atexit() handlers and destructors of static objects.
 *  - A process may fork at any time, also while other threads are in a call; the fork waits until
 *    each of them has done the matrix that it computes with LAPACK or the BLAS.  The child may use
 *    the handles that it inherits, or create its own; its built-in threads are new ones.  Two
 *    exceptions: where the library was compiled with SVDGRAD_OPENMP, libgomp hangs in the child;
 *    and CUDA handles do not survive a fork.
 *  - No function may be called from a signal handler; a signal may interrupt any of them.
 *  - Calls on CPU backends compute in the default floating-point environment (round to nearest, no
 *    flushing to zero, no traps), whatever the threads have set, also on a caller's pool.  Every
 *    thread's environment is restored, flags included.  (The algorithms "bidiagonal", "dqds-lanes" and "qr-lanes" take
 *    for zero what falls below the normal numbers once A is scaled to a largest entry of 1 or more.)
 *  - A call takes less than 64 KiB of stack, LAPACK's not counted; see also svdgrad_parallel_for_t.
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

/** Status of a call.  Values are ABI: never renumber, only append. */
typedef enum {
  SVDGRAD_STATUS_SUCCESS = 0,             /**< done (CPU), or enqueued (CUDA) */
  SVDGRAD_STATUS_INVALID_ARGUMENT = 1,    /**< a size, stride, pointer or enum is wrong */
  SVDGRAD_STATUS_NOT_SUPPORTED = 2,       /**< valid, but not with this backend or algorithm */
  SVDGRAD_STATUS_WORKSPACE_TOO_SMALL = 3, /**< work_bytes is less than this call needs */
  SVDGRAD_STATUS_OUT_OF_MEMORY = 4,       /**< only from svdgrad_create() */
  SVDGRAD_STATUS_BACKEND_UNAVAILABLE = 5, /**< not compiled in, or no device, or no driver */
  SVDGRAD_STATUS_BACKEND_ERROR = 6        /**< CUDA, cuSOLVER or LAPACK reported an error */
} svdgrad_status_t;

/** What computes, and in which memory the operands lie. */
typedef enum {
  SVDGRAD_BACKEND_REF = 0, /**< the reference: slow, one precision wider inside; host memory */
  SVDGRAD_BACKEND_CPU = 1, /**< host memory */
  SVDGRAD_BACKEND_CUDA = 2 /**< device memory */
} svdgrad_backend_t;
/** Element types; LAPACK s, d, c, z.  S, gS and tolerances are always the real type. */
typedef enum {
  SVDGRAD_F32 = 0, /**< float */
  SVDGRAD_F64 = 1, /**< double */
  SVDGRAD_C64 = 2, /**< float complex: real and imaginary part, 8 bytes */
  SVDGRAD_C128 = 3 /**< double complex, 16 bytes */
} svdgrad_dtype_t;
/** AUTO chooses by backend, op, dtype, m, n, rank and full_matrices; on the CPU also by batch_count, unless
 *  svdgrad_desc_t.batch_invariant is set.  JACOBI is our own kernels; VENDOR is LAPACK
 *  gesdd on the CPU and cuSOLVER (gesvdjBatched where it applies) on CUDA.  NOT_SUPPORTED on the CPU: max(m, n) >=
 *  2^31, or min(m, n) > about 23000; SVDs with full_matrices and max(m, n) >= 2^25; JACOBI if min(m, n) > 128, or if A
 *  (with full_matrices: max(m, n)^2 elements) has more than 128 KiB.  For max(m, n) >= 2^25, VENDOR uses our own QR
 *  factorization, and LAPACK for the triangular factor. */
typedef enum { SVDGRAD_ALGO_AUTO = 0, SVDGRAD_ALGO_JACOBI = 1, SVDGRAD_ALGO_VENDOR = 2 } svdgrad_algo_t;
/** How the backward pass treats 1/(s_j - s_i) when the gap is small.  eps is the machine epsilon of the real type,
 *  c = 4.  Every policy but EXACT also drops terms whose divisor s_i or s_i + s_j is <= c*eps*s_1 (minimum norm). */
typedef enum {
  SVDGRAD_GAP_DEFAULT = 0,     /**< exact, but terms with a gap <= c*eps*s_1 are dropped and reported */
  SVDGRAD_GAP_EXACT = 1,       /**< nothing is dropped; ties give Inf or NaN, as in the formula */
  SVDGRAD_GAP_MASK = 2,        /**< terms with a gap <= gap_param * s_1 are dropped */
  SVDGRAD_GAP_NOISE_FLOOR = 3, /**< DEFAULT, and drops terms with |X+Y|_ij <= 16 eps (max|gU_j| + max|gV_j|), whose
                                    gauge part is rounding noise: for gauge-invariant losses */
  SVDGRAD_GAP_LORENTZ = 4      /**< 1/x becomes x/(x^2 + (gap_param*s_1)^2): Liao et al., PRX 9, 031041 (2019) */
} svdgrad_gap_policy_t;
/** Operations, for svdgrad_workspace_size() and the other questions about a call; each is the function of its name. */
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

/** Values of `info[b]`, the same for every backend. */
#define SVDGRAD_INFO_OK            0
#define SVDGRAD_INFO_NOT_CONVERGED 1 /**< sweep limit reached; outputs are the last iterate */
#define SVDGRAD_INFO_NONFINITE     2 /**< NaN or Inf in the input; this matrix's outputs are NaN */
#define SVDGRAD_INFO_OVERFLOW                                                                                          \
  3 /**< finite input, but an output is too large for its type.  Its too large entries are Inf; all other outputs    \
         (U and Vh, where S has an Inf) are as valid as with OK.  The other codes take precedence over this one */

typedef struct svdgrad_context *svdgrad_handle_t; /**< opaque */

/** The thread pool of a framework, used instead of the built-in threads of a CPU backend.  It runs body(first, last, arg)
 *  over [0, count) in disjoint pieces of at least `grain` items where as many are left, in any order, and returns when all
 *  have run.  It is never called from within a piece.  A piece needs 256 KiB of stack, LAPACK's not counted. */
typedef void (*svdgrad_parallel_for_t)(void *pool, int64_t count, int64_t grain,
                                       void (*body)(int64_t first, int64_t last, void *arg), void *arg);

/** The problem.  Initialize with SVDGRAD_DESC_INIT, then set fields.  Append-only. */
typedef struct svdgrad_desc {
  size_t struct_size;     /**< sizeof(svdgrad_desc_t) as the caller was compiled */
  svdgrad_dtype_t dtype;  /**< type of the elements of all matrices */
  svdgrad_algo_t algo;    /**< AUTO unless there is a reason */
  int64_t m;              /**< rows of each matrix A, >= 0 */
  int64_t n;              /**< its columns, >= 0 */
  int64_t batch_count;    /**< number of matrices, >= 0 */
  int64_t rank;           /**< number of leading triplets; 0 means min(m, n) */
  int32_t full_matrices;  /**< non-zero: U is m-by-m and Vh n-by-n, gU and gVh too (then rank must be 0) */
  int32_t positive_gauge; /**< non-zero: the largest entry (by absolute value) of every column of U is positive */
  int32_t max_sweeps;     /**< Jacobi sweeps after which info says NOT_CONVERGED; 0: default */
  svdgrad_gap_policy_t gap_policy;     /**< of gradients and tangents */
  double gap_param;                    /**< of MASK and LORENTZ, relative to s_1; finite and >= 0 */
  svdgrad_parallel_for_t parallel_for; /**< CPU backends: the threads of this call; NULL: those of the handle */
  void *pool;                          /**< first argument of parallel_for */
  int32_t batch_invariant; /**< non-zero: AUTO does not look at batch_count, so that the result for one matrix has the
                                same bits in a batch of any size.  Few matrices then take as long as a full group.
                                It has no effect where algo is not AUTO.  A struct_size that ends before this field,
                                as of programs compiled before it was added, means 1 */
} svdgrad_desc_t;
#define SVDGRAD_DESC_INIT                                                                                              \
  {                                                                                                                    \
    sizeof(svdgrad_desc_t), SVDGRAD_F32, SVDGRAD_ALGO_AUTO, 0, 0, 0, 0, 0, 0, 0, SVDGRAD_GAP_DEFAULT, 0.0, NULL, NULL, \
        0                                                                                                              \
  }

/** Strided batch of matrices: element (b,i,j) is data[b*batch_stride + i*row_stride + j*col_stride].
 *  Strides count elements; the stride of an extent of 1 is ignored.  Row-major: {p, ld, 1, s}; column-major (LAPACK):
 *  {p, 1, ld, s}.  An input may have any strides: 0 (broadcast: one matrix for the whole batch), negative (flipped:
 *  `data` still points to element (0,0,0)), or such that elements share memory (sliding windows).  The strides of an
 *  output are positive, and each is at least the span of all smaller ones. */
typedef struct svdgrad_matrix {
  void *data;           /**< element (0,0,0), in the backend's memory */
  int64_t row_stride;   /**< elements from (b,i,j) to (b,i+1,j) */
  int64_t col_stride;   /**< elements from (b,i,j) to (b,i,j+1) */
  int64_t batch_stride; /**< elements from matrix b to matrix b+1 */
} svdgrad_matrix_t;
/** Strided batch of vectors: element (b,i) is data[b*batch_stride + i*stride]. */
typedef struct svdgrad_vector {
  void *data;           /**< element (0,0), in the backend's memory */
  int64_t stride;       /**< elements from (b,i) to (b,i+1) */
  int64_t batch_stride; /**< elements from vector b to vector b+1 */
} svdgrad_vector_t;

/** How far one gradient can be trusted; one per matrix, in the backend's memory. */
typedef struct svdgrad_report {
  double min_gap;        /**< smallest |s_i - s_j| / s_1 of the pairs that count; Inf if none.  These count: pairs with
                              X+Y != 0, dropped or not; and ties with X+Y = 0 and X-Y != 0, where the quotient is 0/0.
                              Other pairs with X+Y = 0 do not */
  double gauge_residual; /**< largest |Im diag(U^H gU + V^H gV)|, with full_matrices also the largest entry of
                              U2^H gU2 - (U2^H gU2)^H of the extra columns U2 (V2 alike), relative to |gU|+|gV|;
                              0 for real types without extra columns */
  double amplification;  /**< largest |X+Y|_ij / |s_i - s_j| that entered gA */
  int32_t dropped_pairs; /**< number of pairs (i, j) with a dropped term, plus number of i with dropped 1/s_i */
  int32_t flags;         /**< sum of the SVDGRAD_REPORT_ values below that hold */
} svdgrad_report_t;

/** Bits of svdgrad_report_t.flags. */
enum {
  SVDGRAD_REPORT_DROPPED = 1, /**< a term was dropped */
  SVDGRAD_REPORT_GAUGE = 2,   /**< gauge-dependent loss: the gauge residual, or X+Y at a tie, is above rounding noise */
  SVDGRAD_REPORT_CUT = 4      /**< the cut at `rank` splits a cluster of singular values */
};

SVDGRAD_API int svdgrad_version(void); /**< 10000*major + 100*minor + patch, of the library */
SVDGRAD_API const char *svdgrad_status_string(svdgrad_status_t status); /**< never NULL */
/** Text of this thread's last failure, e.g. "svdgrad_svd: U.col_stride is 3, must be >= m = 4".  Never NULL; valid
 *  until this thread's next failure. */
SVDGRAD_API const char *svdgrad_last_error_message(void);

/** Create a context.  `device` is the CUDA device; the CPU backends ignore it.  No other function allocates or may
 *  synchronize, with one exception, VENDOR on CUDA: svdgrad_workspace_size() prepares one cuSOLVER handle for the next
 *  call on a new stream; further calls on new streams, and concurrent calls of several threads on one stream, create
 *  their own.  For CUDA, every kernel is loaded onto the device here, so that no call loads any.
 *  @return OUT_OF_MEMORY, BACKEND_UNAVAILABLE (with the reason in the message) */
SVDGRAD_API svdgrad_status_t svdgrad_create(svdgrad_backend_t backend, int device, svdgrad_handle_t *handle);
SVDGRAD_API svdgrad_status_t svdgrad_destroy(svdgrad_handle_t handle); /**< NULL is a no-op */

/** CPU backends: sets the threads of all calls whose svdgrad_desc_t.parallel_for is NULL; `run` NULL restores the
 *  built-in threads.  Not while another thread uses the handle. */
SVDGRAD_API svdgrad_status_t svdgrad_set_parallel_for(svdgrad_handle_t handle, svdgrad_parallel_for_t run, void *pool);
/** Sets the number of threads of one call, the calling thread included.  0, the default: SVDGRAD_NUM_THREADS of the
 *  environment as it is now, else OMP_NUM_THREADS, else the number of processors on which the process may run.  Not
 *  while another thread uses the handle. */
SVDGRAD_API svdgrad_status_t svdgrad_set_num_threads(svdgrad_handle_t handle, int num_threads);

/** Threads of one call, the calling thread included, where svdgrad_desc_t.parallel_for is NULL; 0 where the backend has
 *  none, or OpenMP chooses. */
SVDGRAD_API int svdgrad_get_num_threads(svdgrad_handle_t handle);
/** Name of the instruction set of the kernels: "avx512", "avx2", "neon", "portable" (CPU), "cuda".  Lives as long as the
 *  library; NULL, with a message, if `handle` is NULL. */
SVDGRAD_API const char *svdgrad_instruction_set(svdgrad_handle_t handle);

/** Bytes of workspace that `op` needs for `desc`: a pure function of its arguments, at most a constant plus a fixed
 *  number for each matrix, and enough for every smaller batch; a call refuses less than its own batch needs.  `work`
 *  may have any alignment.
 *  @param[out] bytes  may be 0
 *  @return INVALID_ARGUMENT, NOT_SUPPORTED (desc->algo on this backend) */
SVDGRAD_API svdgrad_status_t svdgrad_workspace_size(svdgrad_handle_t handle, svdgrad_op_t op,
                                                    const svdgrad_desc_t *desc, size_t *bytes);
/** Name of the algorithm that the call takes (AUTO: the chosen one), e.g. "jacobi-lanes", "dqds-lanes", "qr-lanes",
 *  "bidiagonal", "lapack-gesdd", "cusolver-gesvdjBatched".  NULL, with a message, if an argument is wrong or the algorithm is not
 *  supported. */
SVDGRAD_API const char *svdgrad_algorithm_name(svdgrad_handle_t handle, svdgrad_op_t op, const svdgrad_desc_t *desc);
/** Non-zero if the call that (op, desc) describes can be captured in a CUDA graph. */
SVDGRAD_API int svdgrad_is_capturable(svdgrad_handle_t handle, svdgrad_op_t op, const svdgrad_desc_t *desc);

/** SVD of each matrix, singular values in descending order.  The columns of U and the rows of Vh are orthonormal, also
 *  at zero singular values.  S holds no negative zero.  A value too large for the type is Inf, with info
 *  SVDGRAD_INFO_OVERFLOW; U and Vh are then valid.
 *
 *  Accuracy: without U and Vh a backend may take another algorithm.  S with and without vectors agrees to c eps s_1, c
 *  a small multiple of max(m, n): small values may have no digit in common, and larger ones differ in their last bits.
 *  On the CPU, AUTO in lanes is one-sided Jacobi for values alone of less than 8 columns (min(m, n)), and with vectors of
 *  less than 12 (C64, C128), 16 (F64) or 20 (F32).  From there on it is the qd algorithm ("dqds-lanes"), for vectors QR
 *  iteration with its values ("qr-lanes"), which are right to c eps s_1 only, as the bidiagonal path is.  S of "qr-lanes"
 *  has the bits of S of "dqds-lanes".  Where small values matter, ask for SVDGRAD_ALGO_JACOBI: on the CPU, with or
 *  without vectors, each value then has a relative error of c eps if A = B D (m < n: A = D B), where B is
 *  well-conditioned and D is diagonal, with quotients of entries in the range below (J. Demmel, K. Veselic, SIAM J.
 *  Matrix Anal. Appl. 13, 1992).  Not so for a square A = D B: pass its transpose.
 *  On the CPU, JACOBI keeps the singular value of a row or column of A whose square is no normal number (below about
 *  2^-71 of the largest entry in float, 2^-685 in double), and so does AUTO where it takes the same algorithm
 *  (svdgrad_algorithm_name()); on CUDA one below 2^-103 (2^-975) of the largest entry may become 0.  LAPACK's and
 *  cuSOLVER's algorithms are right to c eps s_1 only.
 *
 *  @param[in]  A     m-by-n
 *  @param[out] S     length k (or rank), real
 *  @param[out] U     m-by-k (rank; m if full_matrices), or NULL
 *  @param[out] Vh    k-by-n (rank; n if full_matrices), or NULL;  both NULL: values only
 *  @param[out] info  batch_count status words (SVDGRAD_INFO_*)
 *  @param      work  svdgrad_workspace_size(handle, SVDGRAD_OP_SVD, ...) bytes, SVDGRAD_OP_SVDVALS if values only;
 *                    any alignment; NULL if that is 0
 *  @return INVALID_ARGUMENT, WORKSPACE_TOO_SMALL, NOT_SUPPORTED (desc->algo on this backend), or BACKEND_ERROR */
SVDGRAD_API svdgrad_status_t svdgrad_svd(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                         const svdgrad_matrix_t *A, const svdgrad_vector_t *S,
                                         const svdgrad_matrix_t *U, const svdgrad_matrix_t *Vh, int32_t *info,
                                         void *work, size_t work_bytes);

/** gA = alpha * (gradient of the loss with respect to A) + beta * gA.
 *
 *  With X = U^H gU - gU^H U, Y = V^H gV - gV^H V and
 *
 *      M_ij = ((X+Y)_ij / (s_j - s_i) + (X-Y)_ij / (s_i + s_j)) / 2 + delta_ij gS_i   (no first term for i = j),
 *      gA = U M Vh + (I - U U^H) gU S^-1 Vh + U S^-1 gV^H (I - V V^H),
 *
 *  the formula of Townsend (2016) and of Wan and Zhang (arXiv:1909.02659), with the only singular factor in one term
 *  and without s^2.  For rank < min(m, n) the last two terms also take account of the discarded singular values,
 *  exactly (Francuz, Schuch, Vanhecke, Phys. Rev. Research 7, 013237).
 *
 *  Any of gU, gS, gVh may be NULL, meaning zero.  If gU and gVh are NULL, no gap is used.  Outside the span of a U
 *  with m columns, or a Vh with n rows, there is nothing: that term with S^-1 is absent, also where EXACT gives 0/0.
 *  Complex gradients use PyTorch's convention dL/dRe + i dL/dIm.  beta = 0: gA is not read.
 *  @param[in]  A      m-by-n, needed only when rank < min(m, n); NULL (or ignored) otherwise
 *  @param[in]  S,U,Vh factors as svdgrad_svd() returned them (same shapes), in any gauge
 *  @param[in]  gS     length k (or rank), real;  gU, gVh: shapes of U and Vh
 *  @param      gA     m-by-n
 *  @param[out] report batch_count reports, or NULL
 *  @param      work   svdgrad_workspace_size(handle, SVDGRAD_OP_SVD_BACKWARD, ...) bytes */
SVDGRAD_API svdgrad_status_t svdgrad_svd_backward(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                                  const svdgrad_matrix_t *A, const svdgrad_vector_t *S,
                                                  const svdgrad_matrix_t *U, const svdgrad_matrix_t *Vh,
                                                  const svdgrad_vector_t *gS, const svdgrad_matrix_t *gU,
                                                  const svdgrad_matrix_t *gVh, double alpha, double beta,
                                                  const svdgrad_matrix_t *gA, svdgrad_report_t *report, void *work,
                                                  size_t work_bytes);

/* ---- derivatives of the SVD beyond the first backward pass ------------------------------------------------------ */

/** Tangents of the factors: with E = U^H dA V and Dm_ij = 1/(s_j - s_i) (0 for i = j), Dp_ij = 1/(s_i + s_j),
 *
 *      dS = Re diag(E),  dU = U (herm(E) Dm + skew(E) Dp) + (I - U U^H) dA V S^-1,
 *                        dV = V (herm(E) Dm - skew(E) Dp) + (I - V V^H) dA^H U S^-1    (Dm, Dp elementwise),
 *
 *  the adjoint of svdgrad_svd_backward() under the same gap policy; NOISE_FLOOR acts as DEFAULT, since there are no
 *  cotangents.  For rank < min(m, n) the last terms also take account of the discarded singular values, exactly.  With
 *  full_matrices the further columns move only as far as orthogonality requires.
 *  @param[in]  A          m-by-n, needed only when rank < min(m, n); NULL (or ignored) otherwise
 *  @param[in]  S,U,Vh     factors as svdgrad_svd() returned them, in any gauge
 *  @param[in]  dA         m-by-n
 *  @param[out] dS,dU,dVh  shapes of S, U and Vh; each may be NULL
 *  @param[out] report     batch_count reports (min_gap and amplification are those of herm(E) Dm), or NULL
 *  @param      work       svdgrad_workspace_size(handle, SVDGRAD_OP_SVD_JVP, ...) bytes */
SVDGRAD_API svdgrad_status_t svdgrad_svd_jvp(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                             const svdgrad_matrix_t *A, const svdgrad_vector_t *S,
                                             const svdgrad_matrix_t *U, const svdgrad_matrix_t *Vh,
                                             const svdgrad_matrix_t *dA, const svdgrad_vector_t *dS,
                                             const svdgrad_matrix_t *dU, const svdgrad_matrix_t *dVh,
                                             svdgrad_report_t *report, void *work, size_t work_bytes);

/** Backward pass of svdgrad_svd_backward() (alpha 1, beta 0): given ggA, the gradient of a loss with respect to its gA,
 *  the gradients with respect to its inputs.  ggS, ggU and ggVh are the JVP along ggA.
 *  gA = alpha * (gradient with respect to A, through S, U and Vh) + beta * gA.  desc->rank must be 0 (or min(m, n)),
 *  full_matrices 0.
 *  @param[in]  S,U,Vh        factors as svdgrad_svd() returned them
 *  @param[in]  gS,gU,gVh     what svdgrad_svd_backward() got; each may be NULL, meaning zero
 *  @param[in]  ggA           m-by-n
 *  @param[out] ggS,ggU,ggVh  shapes of S, U and Vh; each may be NULL
 *  @param      gA            m-by-n; NULL if not wanted
 *  @param[out] report        batch_count reports of the gaps, or NULL
 *  @param      work          svdgrad_workspace_size(handle, SVDGRAD_OP_SVD_BACKWARD_BACKWARD, ...) bytes
 *  @return NOT_SUPPORTED for rank < min(m, n) and for full_matrices */
SVDGRAD_API svdgrad_status_t svdgrad_svd_backward_backward(
    svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc, const svdgrad_vector_t *S,
    const svdgrad_matrix_t *U, const svdgrad_matrix_t *Vh, const svdgrad_vector_t *gS, const svdgrad_matrix_t *gU,
    const svdgrad_matrix_t *gVh, const svdgrad_matrix_t *ggA, const svdgrad_vector_t *ggS, const svdgrad_matrix_t *ggU,
    const svdgrad_matrix_t *ggVh, double alpha, double beta, const svdgrad_matrix_t *gA, svdgrad_report_t *report,
    void *work, size_t work_bytes);

/* ---- functions of the singular values ---------------------------------------------------------------------------- */

/** The function f(s) of svdgrad_matrix_function(); t is `param`.  No gradient divides by a gap that f cancels:
 *  gradients are exact at ties of values that f treats alike. */
typedef enum {
  SVDGRAD_FUNCTION_POLAR = 0,          /**< 1: the nearest matrix with orthonormal columns (rows) */
  SVDGRAD_FUNCTION_RANK = 1,           /**< the leading t values, others 0; t is an integer in 0..min(m, n) */
  SVDGRAD_FUNCTION_SOFT_THRESHOLD = 2, /**< max(s - t, 0), t >= 0: the proximal map of the nuclear norm */
  SVDGRAD_FUNCTION_HARD_THRESHOLD = 3, /**< s where s > t, else 0, t >= 0 */
  SVDGRAD_FUNCTION_CLIP = 4,           /**< min(s, t), t >= 0: projection on the ball of the spectral norm */
  SVDGRAD_FUNCTION_POWER = 5,          /**< s^t, t finite; 1 is the identity.  For t < 0 values <= 4 eps s_1 give 0
                                            (except under the policy EXACT) */
  SVDGRAD_FUNCTION_INVERSE = 6,        /**< 1/s where s > t s_1, else 0, t >= 0; t = 0 means
                                            max(m, n) eps, at most sqrt(eps).  The conjugate
                                            transpose of the pseudo-inverse */
  SVDGRAD_FUNCTION_ROTATION = 7, /**< 1, and det(U) det(Vh) for the last value: the nearest rotation.  Complex types:
                                            e^(i theta_j), the nearest special unitary matrix, with s_j sin theta_j the
                                            same for all j and sum theta_j = -arg det(U Vh).  m = n, form UVH */
  SVDGRAD_FUNCTION_CUSTOM = 8,   /**< the caller's f(s_i) and f'(s_i) */
  SVDGRAD_FUNCTION_SIGN = 9      /**< 1 where s > t s_1, else 0, t as for INVERSE: the partial isometry
                                            of the polar decomposition, zero on the null space of A */
} svdgrad_function_kind_t;

/** What svdgrad_matrix_function() makes of f(S). */
typedef enum {
  SVDGRAD_FORM_UVH = 0, /**< Y = U f(S) Vh, m-by-n */
  SVDGRAD_FORM_VVH = 1  /**< Y = V f(S) Vh, n-by-n: a function of A^H A, such as its square root (POWER, t = 1) or
                             inverse square root (INVERSE); a vector orthogonal to the rows of A maps to 0, or
                             to null_value times itself */
} svdgrad_form_t;

/** A function.  Initialize with SVDGRAD_FUNCTION_INIT, then set fields.  Append-only. */
typedef struct svdgrad_function {
  size_t struct_size;           /**< sizeof(svdgrad_function_t) as the caller was compiled */
  svdgrad_function_kind_t kind; /**< f */
  svdgrad_form_t form;          /**< what is made of f(S) */
  double param;                 /**< t of the kind */
  svdgrad_vector_t f;           /**< CUSTOM: f(s_i), length k, real, in the backend's memory.  It should be smooth where
                               values come close to each other */
  svdgrad_vector_t df;          /**< CUSTOM: f'(s_i), as f; only the backward pass needs it */
  double null_value; /**< form VVH: f(0), for the space orthogonal to the leading k rows of Vh: Y = V f(S) Vh +
                               null_value (I - V Vh); finite, 0 for the form UVH.  Whitening of N rows with epsilon
                               (ZCA), (A^H A / N + epsilon I)^(-1/2), is CUSTOM with
                               f = (s^2 / N + epsilon)^(-1/2), f' = -s f^3 / N and null_value = epsilon^(-1/2) */
  int32_t relative;  /**< non-zero: t of SOFT_THRESHOLD, HARD_THRESHOLD and CLIP is in units of s_1, and varies with s_1
                               in the gradient.  t of INVERSE and SIGN is always in units of s_1; 0 for other kinds */
} svdgrad_function_t;
#define SVDGRAD_FUNCTION_INIT                                                                                          \
  { sizeof(svdgrad_function_t), SVDGRAD_FUNCTION_POLAR, SVDGRAD_FORM_UVH, 0.0, {0, 0, 0}, {0, 0, 0}, 0.0, 0 }

/** Y = U f(S) Vh, or V f(S) Vh.  With desc->rank < min(m, n), of the leading triplets only.
 *  @param[in]  S,U,Vh  factors as svdgrad_svd() returned them (with full_matrices, too); U may be NULL for the form VVH
 *  @param[out] Y       m-by-n, or n-by-n
 *  @param      work    svdgrad_workspace_size(handle, SVDGRAD_OP_MATRIX_FUNCTION, ...) bytes */
SVDGRAD_API svdgrad_status_t svdgrad_matrix_function(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                                     const svdgrad_function_t *function, const svdgrad_vector_t *S,
                                                     const svdgrad_matrix_t *U, const svdgrad_matrix_t *Vh,
                                                     const svdgrad_matrix_t *Y, void *work, size_t work_bytes);

/** gA = alpha * (gradient of the loss with respect to A) + beta * gA.  For the form UVH, with P = U^H gY V,
 *
 *      f1_ij = (f(s_i) - f(s_j)) / (s_i - s_j)  (f'(s_i) at a tie),  f2_ij = (f(s_i) + f(s_j)) / (s_i + s_j),
 *      gA = U (f1 herm(P) + f2 skew(P)) Vh + (I - U U^H) gY V (f(S)/S) Vh + U (f(S)/S) U^H gY (I - V V^H)
 *
 *  (Daleckii and Krein's divided differences on the Hermitian dilation of A; Noferini, SIAM J. Matrix Anal. Appl. 38,
 *  2017).  The map gY -> gA is self-adjoint: the same call turns a tangent dA into dY, and with f = F' into the product
 *  of the Hessian of sum F(s_i) with dA.  For the form VVH, with G = herm(gY), P = V^H G V:
 *
 *      gA = 2 U (s_i f1_ij / (s_i + s_j) P) Vh + 2 U ((f(S) - null_value)/S) V^H G (I - V V^H).
 *
 *  A threshold t = tau s_1 (`relative`) varies with s_1, and gA has the additional term gs_1 u_1 v_1^H.  gs_1 is the
 *  sum of Re P_ii over the values above t, times -tau (SOFT_THRESHOLD) or +tau (CLIP); it is shared equally among
 *  values within 4 eps s_1 of s_1.  The map is then not self-adjoint.
 *  A quotient with a divisor <= c*eps*s_1 that f does not cancel is dropped and reported, except under the gap policy
 *  EXACT; MASK, NOISE_FLOOR and LORENTZ act as DEFAULT.  desc->rank must be 0 (or min(m, n)).
 *  @param[in]  S,U,Vh  factors as svdgrad_svd() returned them (with full_matrices, too)
 *  @param[in]  gY      shape of Y
 *  @param      gA      m-by-n
 *  @param[out] report  batch_count reports, or NULL: min_gap and amplification are of the divisors above that f does
 *                      not cancel; SVDGRAD_REPORT_CUT says that a threshold or cut of f splits a cluster
 *  @param      work    svdgrad_workspace_size(handle, SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD, ...) bytes
 *  @return NOT_SUPPORTED for rank < min(m, n) */
SVDGRAD_API svdgrad_status_t svdgrad_matrix_function_backward(
    svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc, const svdgrad_function_t *function,
    const svdgrad_vector_t *S, const svdgrad_matrix_t *U, const svdgrad_matrix_t *Vh, const svdgrad_matrix_t *gY,
    double alpha, double beta, const svdgrad_matrix_t *gA, svdgrad_report_t *report, void *work, size_t work_bytes);

/** The norm of svdgrad_norm(). */
typedef enum {
  SVDGRAD_NORM_NUCLEAR = 0,        /**< sum of s_i */
  SVDGRAD_NORM_SPECTRAL = 1,       /**< s_1 */
  SVDGRAD_NORM_SCHATTEN = 2,       /**< (sum of s_i^p)^(1/p), p > 0 */
  SVDGRAD_NORM_LOG_DETERMINANT = 3 /**< sum of log s_i: log |det A| where m = n */
} svdgrad_norm_kind_t;

/** Value of a norm of each matrix and, if gA is given, its gradient: gA = alpha * g * (gradient) + beta * gA.
 *  At a kink of the norm the gradient is the subgradient of least norm: NUCLEAR counts values > max(m, n) eps s_1 (at
 *  most sqrt(eps) s_1), SPECTRAL is shared equally among values within 4 eps s_1 of s_1, SCHATTEN and LOG_DETERMINANT
 *  drop negative powers of values <= 4 eps s_1 (except under the policy EXACT); a zero matrix has gradient 0.
 *
 *  LOG_DETERMINANT is also right for a matrix of full rank whose rows or columns differ widely in size.  A matrix with
 *  s_k <= 4 max(m, n) eps s_1 is solved again.  On the CPU that is done by the reference algorithm, one precision wider
 *  (always after Jacobi; after LAPACK's algorithms if min(m, n) <= 128 and m n <= 65536); on CUDA by Gaussian
 *  elimination with complete pivoting, for the value but not for the gradient.  Values below 2^-149 s_1 in float,
 *  2^-1074 s_1 in double, are 0 even then.  For larger matrices by LAPACK, values below c eps s_1 may be noise or 0,
 *  and the result a wrong number or -Inf.  For a singular matrix the result is -Inf or a large negative number.  The
 *  same holds for sign and log_abs of svdgrad_determinant().
 *  SCHATTEN, too, takes values below 2^-149 s_1 in float, 2^-1074 s_1 in double, as 0; this shows for p below about
 *  1/10.
 *
 *  @param[in]  p      exponent of SCHATTEN, finite and > 0; ignored for other norms
 *  @param[in]  A      m-by-n
 *  @param[out] value  one real number per matrix: element (b, 0)
 *  @param[in]  g      gradient of the loss with respect to `value`, one real number per matrix; NULL means 1
 *  @param      gA     m-by-n; NULL: values only
 *  @param[out] info   batch_count status words (SVDGRAD_INFO_*)
 *  @param      work   svdgrad_workspace_size(handle, SVDGRAD_OP_NORM_GRADIENT, ...) bytes, SVDGRAD_OP_NORM if gA is
 *                     NULL */
SVDGRAD_API svdgrad_status_t svdgrad_norm(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                          svdgrad_norm_kind_t kind, double p, const svdgrad_matrix_t *A,
                                          const svdgrad_vector_t *value, const svdgrad_vector_t *g, double alpha,
                                          double beta, const svdgrad_matrix_t *gA, int32_t *info, void *work,
                                          size_t work_bytes);

/** Determinant of each matrix, its sign, log |det| and, if gA is given, the gradient of a loss of these three.  m = n.
 *
 *  With A = U S Vh and d = det(U) det(Vh), |d| = 1: det = d s_1 ... s_n, sign = d (+-1 for real types), log_abs =
 *  sum log s_i.  Where a singular value is exactly 0, det and sign are 0 and log_abs is -Inf.  For n = 0: 1, 1 and 0.
 *
 *      gA = alpha * U diag(w) Vh + beta * gA,
 *      w_i = g_det conj(d) prod_{j != i} s_j + (g_log_abs + i Im(conj(sign) g_sign)) / s_i.
 *
 *  The first term is g_det times the conjugate transpose of the adjugate.  It is exact at singular matrices too, where
 *  it has rank 1 or is 0; no intermediate product over- or underflows.  The second term is dropped where s_i <= 4 eps
 *  s_1, except under the gap policy EXACT (a zero numerator gives 0 under any policy).  The errors of gA are some eps
 *  times its largest term.
 *  @param[in]  A          n-by-n
 *  @param[out] det,sign   of the element type, one per matrix: element (b, 0); det overflows to Inf; or NULL
 *  @param[out] log_abs    one real number per matrix: element (b, 0); or NULL.  One output, or gA, must be given
 *  @param[in]  g_det,g_sign,g_log_abs  gradients of the loss with respect to them (dL/dRe + i dL/dIm); NULL means 0.
 *                         For real types the sign is locally constant, and g_sign changes nothing
 *  @param      gA         n-by-n; NULL: values only
 *  @param[out] info       batch_count status words (SVDGRAD_INFO_*): OVERFLOW where det is given and infinite
 *  @param      work       svdgrad_workspace_size(handle, SVDGRAD_OP_DETERMINANT_GRADIENT, ...) bytes,
 *                         SVDGRAD_OP_DETERMINANT if gA is NULL
 *  @return INVALID_ARGUMENT for m != n, NOT_SUPPORTED for rank < n */
SVDGRAD_API svdgrad_status_t svdgrad_determinant(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                                 const svdgrad_matrix_t *A, const svdgrad_vector_t *det,
                                                 const svdgrad_vector_t *sign, const svdgrad_vector_t *log_abs,
                                                 const svdgrad_vector_t *g_det, const svdgrad_vector_t *g_sign,
                                                 const svdgrad_vector_t *g_log_abs, double alpha, double beta,
                                                 const svdgrad_matrix_t *gA, int32_t *info, void *work,
                                                 size_t work_bytes);

/* ---- the largest singular value by iteration ---------------------------------------------------------------------- */

/** `iterations` times v = A^H u / |A^H u|, u = A v / |A v|; then sigma = Re(u^H A v).  A is read iterations + 1 times.
 *  No iteration: sigma of the u and v given.  An iterate that A maps to zero stays what it was.
 *  @param[in]     A         m-by-n, of any size
 *  @param[in]     iterations  >= 0
 *  @param[in,out] u         length m, element type; the start: any vector that is not zero, or the last call's
 *  @param[in,out] v         length n, element type; read only if `iterations` or A^H u is 0
 *  @param[out]    sigma     one real number per matrix: element (b, 0)
 *  @param[out]    residual  sqrt(|A v - sigma u|^2 + |A^H u - sigma v|^2), one real number per matrix; a singular value
 *                           lies within it of sigma; or NULL
 *  @param[out]    info      batch_count status words; with a NaN or Inf in A or u, all outputs of that matrix are NaN;
 *                           OVERFLOW where sigma is infinite, being too large for its type
 *  @param         work      svdgrad_workspace_size(handle, SVDGRAD_OP_POWER_ITERATION, ...) bytes */
SVDGRAD_API svdgrad_status_t svdgrad_power_iteration(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                                     const svdgrad_matrix_t *A, int32_t iterations,
                                                     const svdgrad_vector_t *u, const svdgrad_vector_t *v,
                                                     const svdgrad_vector_t *sigma, const svdgrad_vector_t *residual,
                                                     int32_t *info, void *work, size_t work_bytes);

/** svdgrad_power_iteration(), and Y = A / sigma (Miyato et al., ICLR 2018); Y = 0 where sigma is 0.  Y is as
 *  exact where sigma overflows or is a subnormal number of few bits: what is divided by is not rounded to them.
 *  @param[out] Y     m-by-n
 *  @param      work  svdgrad_workspace_size(handle, SVDGRAD_OP_SPECTRAL_NORMALIZE, ...) bytes */
SVDGRAD_API svdgrad_status_t svdgrad_spectral_normalize(svdgrad_handle_t handle, void *stream,
                                                        const svdgrad_desc_t *desc, const svdgrad_matrix_t *A,
                                                        int32_t iterations, const svdgrad_vector_t *u,
                                                        const svdgrad_vector_t *v, const svdgrad_vector_t *sigma,
                                                        const svdgrad_vector_t *residual, const svdgrad_matrix_t *Y,
                                                        int32_t *info, void *work, size_t work_bytes);

/** gA = alpha * (gY / sigma - Re<gY, A> / sigma^2 u v^H) + beta * gA: the gradient of A / Re(u^H A v) with u and v held,
 *  which is that of A / s_1 where they have converged.  The gradient is 0 where sigma is 0.  A sigma that is infinite or
 *  subnormal is taken anew from A, u and v.
 *  @param[in] A,u,v,sigma  as svdgrad_spectral_normalize() left them
 *  @param[in] gY           m-by-n
 *  @param     gA           m-by-n
 *  @param     work         svdgrad_workspace_size(handle, SVDGRAD_OP_SPECTRAL_NORMALIZE_BACKWARD, ...) bytes */
SVDGRAD_API svdgrad_status_t svdgrad_spectral_normalize_backward(
    svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc, const svdgrad_matrix_t *A,
    const svdgrad_vector_t *u, const svdgrad_vector_t *v, const svdgrad_vector_t *sigma, const svdgrad_matrix_t *gY,
    double alpha, double beta, const svdgrad_matrix_t *gA, void *work, size_t work_bytes);
#ifdef __cplusplus
}
#endif
#endif
