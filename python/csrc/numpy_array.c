/* SPDX-License-Identifier: BSD-3-Clause */
/* The border to NumPy: svdgrad._numpy.call(index, attributes, wanted, *inputs, *outputs).
 *
 * Inputs may have any strides and broadcast against each other over the batch, as NumPy's do; nothing is copied but what
 * is misaligned or in another byte order.  The GIL is released during the computation.  svdgrad/numpy.py knows the names,
 * defaults and types of NumPy; here are arrays of one type only.
 *
 * Written for the limited API, so that one module serves every Python, and for free-threaded builds without it. */
#define PY_SSIZE_T_CLEAN
#include "common.h"

#include <Python.h>
#include <limits.h>
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION    NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_OPERANDS = MOST_INPUTS + MOST_OUTPUTS, MOST_BATCH_DIMENSIONS = NPY_MAXDIMS };

/* A call: operands are the inputs, then the outputs; absent ones are NULL. */
typedef struct call {
  const operation_t *operation;
  attributes_t attributes;
  dimensions_t d;
  int type;                             /* NumPy's number of the element type */
  int count;                            /* of operands */
  PyArrayObject *arrays[MOST_OPERANDS]; /* ours: each holds a reference */
  PyArrayObject *given[MOST_OUTPUTS];   /* outputs of the caller, where `arrays` has another to be copied into them */
  int batch_rank;
  npy_intp batch[MOST_BATCH_DIMENSIONS];
} call_t;

static operand_kind_t kind_of(const call_t *call, int i) {
  const operation_t *operation = call->operation;
  return i < operation->input_count ? operation->inputs[i] : operation->outputs[i - operation->input_count];
}

static int type_of_dtype(svdgrad_dtype_t dtype) {
  static const int types[] = {NPY_FLOAT, NPY_DOUBLE, NPY_CFLOAT, NPY_CDOUBLE};
  return types[dtype];
}

static int type_of_operand(const call_t *call, int i) {
  const operand_kind_t kind = kind_of(call, i);
  if (kind == OPERAND_INFO)
    return NPY_INT32;
  if (kind == OPERAND_REPORT)
    return NPY_UINT8;
  if (operand_is_real(kind))
    return call->d.dtype == SVDGRAD_F32 || call->d.dtype == SVDGRAD_C64 ? NPY_FLOAT : NPY_DOUBLE;
  return call->type;
}

/* ---- inputs ---- */

/* A type of ours, in the order of svdgrad_dtype_t; -1: none. */
static int dtype_of_type(int type) {
  for (int dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
    if (type == type_of_dtype((svdgrad_dtype_t)dtype))
      return dtype;
  return -1;
}

/* Whether the library can read or write it where it lies: aligned, in this byte order, strides of whole elements. */
static int is_usable(PyArrayObject *array) {
  const npy_intp size = PyArray_ITEMSIZE(array);
  if (!PyArray_ISALIGNED(array) || !PyArray_ISNOTSWAPPED(array))
    return 0;
  for (int i = 0; i < PyArray_NDIM(array); i++)
    if (PyArray_STRIDE(array, i) % size != 0)
      return 0;
  return 1;
}

/* The library wants the strides of outputs positive, and each at least the span of the smaller ones.  A packed order of
 * the axes is what we accept; anything else is computed elsewhere and copied. */
static int is_usable_output(PyArrayObject *array) {
  return is_usable(array) && PyArray_ISWRITEABLE(array) &&
         (PyArray_IS_C_CONTIGUOUS(array) || PyArray_IS_F_CONTIGUOUS(array));
}

static int take_input(call_t *call, int i, PyObject *object) {
  const operation_t *operation = call->operation;
  if (object == Py_None) {
    if (operation->optional_inputs >> i & 1U)
      return 1;
    PyErr_Format(PyExc_TypeError, "svdgrad: %s: input %d is None, must be an array", operation->name, i);
    return 0;
  }
  if (!PyArray_Check(object)) {
    PyErr_Format(PyExc_TypeError, "svdgrad: %s: input %d is no array", operation->name, i);
    return 0;
  }
  PyArrayObject *array = (PyArrayObject *)object;
  if (is_usable(array)) {
    Py_INCREF(object);
    call->arrays[i] = array;
  } else {
    call->arrays[i] = (PyArrayObject *)PyArray_FromArray(array, NULL, NPY_ARRAY_CARRAY_RO | NPY_ARRAY_NOTSWAPPED);
  }
  return call->arrays[i] != NULL;
}

/* The element type is that of the first operand which has it; m and n come from the matrices. */
static int learn_type_and_dimensions(call_t *call) {
  call->type = -1;
  call->d.m = call->d.n = -1;
  for (int i = 0; i < call->operation->input_count; i++) {
    PyArrayObject *array = call->arrays[i];
    const operand_kind_t kind = call->operation->inputs[i];
    const int rank = operand_rank(kind);
    if (!array)
      continue;
    if (PyArray_NDIM(array) < rank) {
      PyErr_Format(PyExc_ValueError, "svdgrad: %s: input %d has %d dimensions, must have at least %d",
                   call->operation->name, i, PyArray_NDIM(array), rank);
      return 0;
    }
    if (call->type < 0 && !operand_is_real(kind))
      call->type = PyArray_TYPE(array);
    if (rank == 2) {
      const npy_intp *shape = PyArray_DIMS(array) + PyArray_NDIM(array) - 2;
      const int64_t extents[2] = {shape[0], shape[1]};
      dimensions_learn(&call->d, kind, extents);
    }
  }
  const int dtype = dtype_of_type(call->type);
  if (dtype < 0) {
    PyErr_Format(PyExc_TypeError, "svdgrad: %s: the arrays must be float32, float64, complex64 or complex128",
                 call->operation->name);
    return 0;
  }
  call->d.dtype = (svdgrad_dtype_t)dtype;
  return 1;
}

/* Checks type and shape of operand i, and widens the batch by it. */
static int check_operand(call_t *call, int i, int may_widen) {
  PyArrayObject *array = call->arrays[i];
  const operand_kind_t kind = kind_of(call, i);
  const int rank = operand_rank(kind), batch_rank = PyArray_NDIM(array) - rank;
  int64_t extents[2];
  operand_extents(kind, &call->d, &call->attributes, extents);
  if (PyArray_TYPE(array) != type_of_operand(call, i)) {
    PyErr_Format(PyExc_TypeError, "svdgrad: %s: operand %d has another type than the first", call->operation->name, i);
    return 0;
  }
  for (int j = 0; j < rank; j++)
    if (PyArray_DIM(array, batch_rank + j) != extents[j]) {
      PyErr_Format(PyExc_ValueError, "svdgrad: %s: operand %d has %zd entries in dimension %d, must have %lld",
                   call->operation->name, i, (Py_ssize_t)PyArray_DIM(array, batch_rank + j), j - rank,
                   (long long)extents[j]);
      return 0;
    }
  const int shift = call->batch_rank - batch_rank; /* dimensions are counted from the last one */
  if (shift < 0) {
    if (!may_widen)
      goto mismatch;
    memmove(call->batch - shift, call->batch, (size_t)call->batch_rank * sizeof *call->batch);
    memcpy(call->batch, PyArray_DIMS(array), (size_t)-shift * sizeof *call->batch);
    call->batch_rank = batch_rank;
  }
  for (int j = 0; j < batch_rank; j++) {
    npy_intp *of_call = &call->batch[call->batch_rank - batch_rank + j];
    const npy_intp of_array = PyArray_DIM(array, j);
    if (of_array == *of_call || (may_widen && of_array == 1))
      continue;
    if (!may_widen || *of_call != 1)
      goto mismatch;
    *of_call = of_array;
  }
  if (may_widen || call->batch_rank == batch_rank)
    return 1;
mismatch:
  PyErr_Format(PyExc_ValueError, "svdgrad: %s: the batch of operand %d does not fit those of the other operands",
               call->operation->name, i);
  return 0;
}

/* ---- outputs ---- */

static int overlaps_an_input(const call_t *call, PyArrayObject *output) {
  for (int i = 0; i < call->operation->input_count; i++)
    if (call->arrays[i] && PyArray_DATA(call->arrays[i])) {
      PyObject *base_in = PyArray_BASE(call->arrays[i]), *base_out = PyArray_BASE(output);
      if (call->arrays[i] == output || base_in == (PyObject *)output || base_out == (PyObject *)call->arrays[i] ||
          (base_in && base_in == base_out))
        return 1;
    }
  return 0;
}

static PyArrayObject *new_output(const call_t *call, int i) {
  npy_intp shape[NPY_MAXDIMS];
  const operand_kind_t kind = kind_of(call, i);
  const int rank = operand_rank(kind);
  int64_t extents[2];
  operand_extents(kind, &call->d, &call->attributes, extents);
  memcpy(shape, call->batch, (size_t)call->batch_rank * sizeof *shape);
  for (int j = 0; j < rank; j++)
    shape[call->batch_rank + j] = (npy_intp)extents[j];
  return (PyArrayObject *)PyArray_SimpleNew(call->batch_rank + rank, shape, type_of_operand(call, i));
}

static int take_output(call_t *call, int j, PyObject *object, int is_wanted) {
  const operation_t *operation = call->operation;
  const int i = operation->input_count + j;
  if (object == Py_None) {
    if (!is_wanted && (operation->optional_outputs >> j & 1U))
      return 1;
    call->arrays[i] = new_output(call, i);
    return call->arrays[i] != NULL;
  }
  if (!PyArray_Check(object)) {
    PyErr_Format(PyExc_TypeError, "svdgrad: %s: output %d is no array", operation->name, j);
    return 0;
  }
  PyArrayObject *array = (PyArrayObject *)object;
  Py_INCREF(object);
  call->arrays[i] = array;
  if (!check_operand(call, i, 0))
    return 0;
  if (PyArray_FailUnlessWriteable(array, "output array") < 0)
    return 0;
  if (!is_usable_output(array) || overlaps_an_input(call, array)) {
    call->given[j] = array;
    call->arrays[i] = new_output(call, i);
  }
  return call->arrays[i] != NULL;
}

static int copy_to_given_outputs(call_t *call) {
  for (int j = 0; j < call->operation->output_count; j++)
    if (call->given[j]) {
      PyArrayObject **computed = &call->arrays[call->operation->input_count + j];
      if (PyArray_CopyInto(call->given[j], *computed) < 0)
        return 0;
      Py_DECREF((PyObject *)*computed);
      *computed = call->given[j];
      call->given[j] = NULL;
    }
  return 1;
}

/* ---- the computation ---- */

/* The batch as nested loops: the last loop is the library's batch, the others are ours. */
typedef struct loops {
  int rank;
  int64_t extents[MOST_BATCH_DIMENSIONS], strides[MOST_OPERANDS][MOST_BATCH_DIMENSIONS]; /* elements */
} loops_t;

static int64_t stride_of_batch(const call_t *call, int i, int dimension) {
  PyArrayObject *array = call->arrays[i];
  const int batch_rank = PyArray_NDIM(array) - operand_rank(kind_of(call, i));
  const int own = dimension - (call->batch_rank - batch_rank);
  if (own < 0 || PyArray_DIM(array, own) == 1)
    return 0;
  return PyArray_STRIDE(array, own) / PyArray_ITEMSIZE(array);
}

/* Loop `outer` and the one inside it are one loop for every operand. */
static int can_merge(const call_t *call, const loops_t *loops, int outer) {
  for (int i = 0; i < call->count; i++)
    if (call->arrays[i] && loops->strides[i][outer] != loops->strides[i][outer + 1] * loops->extents[outer + 1])
      return 0;
  return 1;
}

static loops_t make_loops(const call_t *call) {
  loops_t loops = {.rank = 0};
  for (int dimension = 0; dimension < call->batch_rank; dimension++) {
    if (call->batch[dimension] == 1)
      continue;
    loops.extents[loops.rank] = call->batch[dimension];
    for (int i = 0; i < call->count; i++)
      if (call->arrays[i])
        loops.strides[i][loops.rank] = stride_of_batch(call, i, dimension);
    loops.rank++;
    if (loops.rank >= 2 && can_merge(call, &loops, loops.rank - 2)) {
      const int last = --loops.rank;
      loops.extents[last - 1] *= loops.extents[last];
      for (int i = 0; i < call->count; i++)
        loops.strides[i][last - 1] = loops.strides[i][last];
    }
  }
  return loops;
}

static operand_t operand_of(const call_t *call, const loops_t *loops, int i) {
  operand_t operand = {NULL, 0, {0, 0}};
  PyArrayObject *array = call->arrays[i];
  if (!array)
    return operand;
  const int rank = operand_rank(kind_of(call, i)), first = PyArray_NDIM(array) - rank;
  const npy_intp size = PyArray_ITEMSIZE(array);
  operand.data = PyArray_SIZE(array) ? PyArray_DATA(array) : no_elements;
  operand.batch_stride = loops->rank ? loops->strides[i][loops->rank - 1] : 0;
  for (int j = 0; j < rank; j++)
    operand.strides[j] = PyArray_STRIDE(array, first + j) / size;
  return operand;
}

/* Runs the operation once for each place of the outer loops. */
static svdgrad_status_t run_loops(const call_t *call, const loops_t *loops, operand_t *operands, void *work,
                                  size_t work_bytes) {
  int64_t place[MOST_BATCH_DIMENSIONS] = {0};
  for (;;) {
    const svdgrad_status_t status =
        operation_run(SVDGRAD_BACKEND_CPU, 0, NULL, (pool_t){NULL, NULL}, call->operation, &call->d, &call->attributes,
                      operands, operands + call->operation->input_count, work, work_bytes);
    if (status)
      return status;
    int loop = loops->rank - 2;
    for (; loop >= 0; loop--) {
      const int is_last = place[loop] + 1 == loops->extents[loop];
      const int64_t step = is_last ? -place[loop] : 1;
      place[loop] += step;
      for (int i = 0; i < call->count; i++)
        if (call->arrays[i])
          operands[i].data =
              (char *)operands[i].data + step * loops->strides[i][loop] * PyArray_ITEMSIZE(call->arrays[i]);
      if (!is_last)
        break;
    }
    if (loop < 0)
      return SVDGRAD_STATUS_SUCCESS;
  }
}

static PyObject *raise_status(const operation_t *operation, svdgrad_status_t status) {
  PyObject *type = status == SVDGRAD_STATUS_INVALID_ARGUMENT ? PyExc_ValueError
                   : status == SVDGRAD_STATUS_NOT_SUPPORTED  ? PyExc_NotImplementedError
                   : status == SVDGRAD_STATUS_OUT_OF_MEMORY  ? PyExc_MemoryError
                                                             : PyExc_RuntimeError;
  PyErr_Format(type, "svdgrad: %s: %s", operation->name, svdgrad_last_error_message());
  return NULL;
}

/* 1 where all went well.  The matrices of an empty batch are still checked by the library. */
static int compute(call_t *call) {
  const loops_t loops = make_loops(call);
  operand_t operands[MOST_OPERANDS];
  size_t work_bytes = 0;
  int64_t outer = 1;
  for (int i = 0; i < call->count; i++)
    operands[i] = operand_of(call, &loops, i);
  for (int loop = 0; loop < loops.rank - 1; loop++)
    outer *= loops.extents[loop];
  call->d.batch_count = loops.rank ? loops.extents[loops.rank - 1] : 1;
  if (outer == 0)
    call->d.batch_count = 0;
  const operand_t *outputs = operands + call->operation->input_count;
  svdgrad_status_t status =
      operation_workspace(SVDGRAD_BACKEND_CPU, 0, call->operation, &call->d, &call->attributes, outputs, &work_bytes);
  if (status) {
    raise_status(call->operation, status);
    return 0;
  }
  void *work = work_bytes ? malloc(work_bytes) : NULL;
  if (work_bytes && !work) {
    PyErr_NoMemory();
    return 0;
  }
  if (outer > 0) {
    Py_BEGIN_ALLOW_THREADS status = run_loops(call, &loops, operands, work, work_bytes);
    Py_END_ALLOW_THREADS
  }
  free(work);
  if (status)
    raise_status(call->operation, status);
  return status == SVDGRAD_STATUS_SUCCESS;
}

/* ---- the function ---- */

/* Sum of 1 << info over the values of info that occur. */
static long infos_of(const call_t *call) {
  long infos = 0;
  for (int j = 0; j < call->operation->output_count; j++)
    if (call->operation->outputs[j] == OPERAND_INFO) {
      PyArrayObject *array = call->arrays[call->operation->input_count + j];
      const npy_intp count = PyArray_SIZE(array);
      const int32_t *info = PyArray_DATA(array);
      for (npy_intp b = 0; b < count; b++)
        infos |= 1L << info[b];
    }
  return infos & ~1L;
}

static PyObject *result_of(call_t *call) {
  const int first = call->operation->input_count, outputs = call->operation->output_count;
  PyObject *result = PyTuple_New(outputs + 1);
  if (!result)
    return NULL;
  for (int j = 0; j < outputs; j++) {
    PyObject *item = call->arrays[first + j] ? (PyObject *)call->arrays[first + j] : Py_None;
    if (item == Py_None)
      Py_INCREF(item);
    call->arrays[first + j] = NULL; /* its reference goes to the tuple */
    PyTuple_SetItem(result, j, item);
  }
  PyTuple_SetItem(result, outputs, PyLong_FromLong(0));
  return result;
}

static int take_operation(call_t *call, PyObject *const *args, Py_ssize_t count) {
  char *bytes = NULL;
  Py_ssize_t length = 0;
  const long index = PyLong_AsLong(args[0]);
  if (index == -1 && PyErr_Occurred())
    return 0;
  if (index < 0 || index >= operation_count) {
    PyErr_Format(PyExc_ValueError, "svdgrad: operation %ld, must be in 0..%d", index, operation_count - 1);
    return 0;
  }
  call->operation = &operations[index];
  call->count = call->operation->input_count + call->operation->output_count;
  if (count != 3 + call->count) {
    PyErr_Format(PyExc_TypeError, "svdgrad: %s: %zd operands, must be %d", call->operation->name, count - 3,
                 call->count);
    return 0;
  }
  if (PyBytes_AsStringAndSize(args[1], &bytes, &length) < 0)
    return 0;
  if (length != (Py_ssize_t)sizeof call->attributes) {
    PyErr_Format(PyExc_ValueError, "svdgrad: attributes of %zd bytes, must be %zu", length, sizeof call->attributes);
    return 0;
  }
  memcpy(&call->attributes, bytes, sizeof call->attributes);
  return 1;
}

static int take_operands(call_t *call, PyObject *const *args) {
  const int inputs = call->operation->input_count, outputs = call->operation->output_count;
  const long wanted = PyLong_AsLong(args[2]);
  if (wanted == -1 && PyErr_Occurred())
    return 0;
  for (int i = 0; i < inputs; i++)
    if (!take_input(call, i, args[3 + i]))
      return 0;
  if (!learn_type_and_dimensions(call))
    return 0;
  for (int i = 0; i < inputs; i++)
    if (call->arrays[i] && !check_operand(call, i, 1))
      return 0;
  for (int j = 0; j < outputs; j++)
    if (!take_output(call, j, args[3 + inputs + j], (int)(wanted >> j & 1)))
      return 0;
  return 1;
}

static PyObject *call_operation(PyObject *module, PyObject *const *args, Py_ssize_t count) {
  (void)module;
  call_t call = {.batch_rank = 0};
  PyObject *result = NULL;
  if (count < 3) {
    PyErr_SetString(PyExc_TypeError, "svdgrad: call(index, attributes, wanted, *inputs, *outputs)");
    return NULL;
  }
  if (take_operation(&call, args, count) && take_operands(&call, args) && compute(&call)) {
    const long infos = infos_of(&call);
    result = copy_to_given_outputs(&call) ? result_of(&call) : NULL;
    if (result)
      PyTuple_SetItem(result, call.operation->output_count, PyLong_FromLong(infos));
  }
  for (int i = 0; i < MOST_OPERANDS; i++)
    Py_XDECREF((PyObject *)call.arrays[i]);
  for (int j = 0; j < MOST_OUTPUTS; j++)
    Py_XDECREF((PyObject *)call.given[j]);
  return result;
}

/* algorithm(op, dtype, m, n): name of the algorithm that AUTO takes. */
static PyObject *algorithm(PyObject *module, PyObject *args) {
  (void)module;
  svdgrad_desc_t desc = SVDGRAD_DESC_INIT;
  int dtype, op;
  long long m, n;
  if (!PyArg_ParseTuple(args, "iiLL", &op, &dtype, &m, &n))
    return NULL;
  const svdgrad_handle_t handle = handle_of(SVDGRAD_BACKEND_CPU, 0);
  desc.dtype = (svdgrad_dtype_t)dtype, desc.m = m, desc.n = n, desc.batch_count = 1;
  const char *name = handle ? svdgrad_algorithm_name(handle, (svdgrad_op_t)op, &desc) : NULL;
  if (!name) {
    PyErr_SetString(PyExc_ValueError, svdgrad_last_error_message());
    return NULL;
  }
  return PyUnicode_FromString(name);
}

/* backend_error(backend): why there is no such backend; "" where there is one. */
static PyObject *backend_error(PyObject *module, PyObject *argument) {
  (void)module;
  const long backend = PyLong_AsLong(argument);
  if (backend == -1 && PyErr_Occurred())
    return NULL;
  const int is_backend = backend >= SVDGRAD_BACKEND_REF && backend <= SVDGRAD_BACKEND_CUDA;
  if (is_backend && handle_of((svdgrad_backend_t)backend, 0))
    return PyUnicode_FromString("");
  return PyUnicode_FromString(is_backend ? svdgrad_last_error_message() : "there is no such backend");
}

/* For `python -m svdgrad`; None where the library does not run on this processor. */
static PyObject *isa(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  const svdgrad_handle_t handle = handle_of(SVDGRAD_BACKEND_CPU, 0);
  if (!handle)
    Py_RETURN_NONE;
  return PyUnicode_FromString(svdgrad_instruction_set(handle));
}

static PyObject *threads(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  return PyLong_FromLong(svdgrad_get_num_threads(handle_of(SVDGRAD_BACKEND_CPU, 0)));
}

static PyObject *operation_names(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  PyObject *names = PyTuple_New(operation_count);
  for (int i = 0; names && i < operation_count; i++)
    PyTuple_SetItem(names, i, PyUnicode_FromString(operations[i].name));
  return names;
}

static PyMethodDef methods[] = {
    {"call", (PyCFunction)(void (*)(void))call_operation, METH_FASTCALL,
     "call(index, attributes, wanted, *inputs, *outputs) -> (*outputs, infos)\n\n"
     "index: place in operations(); attributes: struct attributes of common.h, as bytes; wanted: bit j set if output "
     "j,\n"
     "given as None, is to be computed; infos: sum of 1 << info over the values of info that are not 0."},
    {"isa", isa, METH_NOARGS, "Name of the instruction set of the CPU kernels."},
    {"threads", threads, METH_NOARGS, "Number of threads of a call."},
    {"operations", operation_names, METH_NOARGS, "Names of the operations."},
    {"algorithm", algorithm, METH_VARARGS, "algorithm(op, dtype, m, n): name of the algorithm that AUTO takes."},
    {"backend_error", backend_error, METH_O,
     "backend_error(backend): why there is no such backend, '' where there is."},
    {NULL, NULL, 0, NULL},
};

static int start(PyObject *module) {
  if (PyArray_ImportNumPyAPI() < 0)
    return -1;
  return PyModule_AddIntConstant(module, "version", svdgrad_version());
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)start},
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_numpy", NULL, 0, methods, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__numpy(void) { return PyModuleDef_Init(&definition); }
