/* SPDX-License-Identifier: BSD-3-Clause */
/* What we use of TensorFlow's C API (tensorflow/c/{ops,kernels,tf_tensor,tf_status,tf_datatype}.h), declared by
 * ourselves: the border is built without TensorFlow, and finds these functions in the library of it that is loaded
 * already.  All structures are opaque.  A test compares the types and values below with TensorFlow's own headers. */
#ifndef SVDGRAD_PYTHON_TF_ABI_H
#define SVDGRAD_PYTHON_TF_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifndef TF_ABI_IS_COMPARED /* a test has the headers of TensorFlow instead */
typedef struct TF_Tensor TF_Tensor;
typedef struct TSL_Status TF_Status;
typedef struct TF_KernelBuilder TF_KernelBuilder;
typedef struct TF_OpKernelConstruction TF_OpKernelConstruction;
typedef struct TF_OpKernelContext TF_OpKernelContext;
typedef struct TF_OpDefinitionBuilder TF_OpDefinitionBuilder;
typedef struct TF_ShapeHandle TF_ShapeHandle;
typedef struct TF_ShapeInferenceContext TF_ShapeInferenceContext;
typedef unsigned TF_DataType; /* an enum of theirs */
typedef unsigned TF_Code;
#endif

enum { /* TF_DataType */
       TYPE_FLOAT = 1,
       TYPE_DOUBLE = 2,
       TYPE_INT32 = 3,
       TYPE_UINT8 = 4,
       TYPE_COMPLEX64 = 8,
       TYPE_COMPLEX128 = 18
};
enum { /* TF_Code */
       CODE_OK = 0,
       CODE_INVALID_ARGUMENT = 3,
       CODE_RESOURCE_EXHAUSTED = 8,
       CODE_UNIMPLEMENTED = 12,
       CODE_INTERNAL = 13
};

/* X(result, name without TF_, parameters) */
#define TF_FUNCTIONS(X)                                                                                                \
  X(TF_Status *, NewStatus, (void))                                                                                    \
  X(void, DeleteStatus, (TF_Status *))                                                                                 \
  X(void, SetStatus, (TF_Status *, TF_Code, const char *))                                                             \
  X(TF_Code, GetCode, (const TF_Status *))                                                                             \
  X(const char *, Message, (const TF_Status *))                                                                        \
  X(void, DeleteTensor, (TF_Tensor *))                                                                                 \
  X(TF_DataType, TensorType, (const TF_Tensor *))                                                                      \
  X(int, NumDims, (const TF_Tensor *))                                                                                 \
  X(int64_t, Dim, (const TF_Tensor *, int))                                                                            \
  X(void *, TensorData, (const TF_Tensor *))                                                                           \
  X(TF_OpDefinitionBuilder *, NewOpDefinitionBuilder, (const char *))                                                  \
  X(void, RegisterOpDefinition, (TF_OpDefinitionBuilder *, TF_Status *))                                               \
  X(void, OpDefinitionBuilderAddAttr, (TF_OpDefinitionBuilder *, const char *))                                        \
  X(void, OpDefinitionBuilderAddInput, (TF_OpDefinitionBuilder *, const char *))                                       \
  X(void, OpDefinitionBuilderAddOutput, (TF_OpDefinitionBuilder *, const char *))                                      \
  X(void, OpDefinitionBuilderSetShapeInferenceFunction,                                                                \
    (TF_OpDefinitionBuilder *, void (*)(TF_ShapeInferenceContext *, TF_Status *)))                                     \
  X(TF_ShapeHandle *, NewShapeHandle, ())                                                                              \
  X(void, DeleteShapeHandle, (TF_ShapeHandle *))                                                                       \
  X(void, ShapeInferenceContextGetInput, (TF_ShapeInferenceContext *, int, TF_ShapeHandle *, TF_Status *))             \
  X(void, ShapeInferenceContextSetOutput, (TF_ShapeInferenceContext *, int, TF_ShapeHandle *, TF_Status *))            \
  X(TF_ShapeHandle *, ShapeInferenceContextVectorFromSize, (TF_ShapeInferenceContext *, size_t))                       \
  X(int64_t, ShapeInferenceContextRank, (TF_ShapeInferenceContext *, TF_ShapeHandle *))                                \
  X(int, ShapeInferenceContextRankKnown, (TF_ShapeInferenceContext *, TF_ShapeHandle *))                               \
  X(void, ShapeInferenceContextWithRankAtLeast,                                                                        \
    (TF_ShapeInferenceContext *, TF_ShapeHandle *, int64_t, TF_ShapeHandle *, TF_Status *))                            \
  X(void, ShapeInferenceContextSubshape,                                                                               \
    (TF_ShapeInferenceContext *, TF_ShapeHandle *, int64_t, int64_t, TF_ShapeHandle *, TF_Status *))                   \
  X(void, ShapeInferenceContextSetUnknownShape, (TF_ShapeInferenceContext *, TF_Status *))                             \
  X(void, ShapeInferenceContextConcatenateShapes,                                                                      \
    (TF_ShapeInferenceContext *, TF_ShapeHandle *, TF_ShapeHandle *, TF_ShapeHandle *, TF_Status *))                   \
  X(TF_KernelBuilder *, NewKernelBuilder,                                                                              \
    (const char *, const char *, void *(*)(TF_OpKernelConstruction *), void (*)(void *, TF_OpKernelContext *),         \
     void (*)(void *)))                                                                                                \
  X(void, KernelBuilder_TypeConstraint, (TF_KernelBuilder *, const char *, TF_DataType, TF_Status *))                  \
  X(void, RegisterKernelBuilder, (const char *, TF_KernelBuilder *, TF_Status *))                                      \
  X(void, GetInput, (TF_OpKernelContext *, int, TF_Tensor **, TF_Status *))                                            \
  X(TF_Tensor *, AllocateOutput, (TF_OpKernelContext *, int, TF_DataType, const int64_t *, int, size_t, TF_Status *))  \
  X(void, OpKernelContext_Failure, (TF_OpKernelContext *, TF_Status *))                                                \
  X(void, OpKernelConstruction_Failure, (TF_OpKernelConstruction *, TF_Status *))                                      \
  X(void, OpKernelConstruction_GetAttrType, (TF_OpKernelConstruction *, const char *, TF_DataType *, TF_Status *))     \
  X(void, OpKernelConstruction_GetAttrSize,                                                                            \
    (TF_OpKernelConstruction *, const char *, int32_t *, int32_t *, TF_Status *))                                      \
  X(void, OpKernelConstruction_GetAttrString, (TF_OpKernelConstruction *, const char *, char *, size_t, TF_Status *))

#define TF_POINTER(result, name, parameters) result(*name) parameters;
typedef struct tf_functions {
  TF_FUNCTIONS(TF_POINTER)
} tf_functions_t;

#endif
