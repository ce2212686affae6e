/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiled against the stand-in headers and, where there is a toolkit, against its own: the values agree. */
#include <cuda_runtime_api.h>
#include <cusolverDn.h>

#define SAME(name, value) _Static_assert((int)(name) == (value), #name)

SAME(cudaErrorInvalidValue, 1);
SAME(cudaErrorMemoryAllocation, 2);
SAME(cudaErrorInvalidConfiguration, 9);
SAME(cudaErrorInsufficientDriver, 35);
SAME(cudaErrorNoDevice, 100);
SAME(cudaErrorInvalidDevice, 101);
SAME(cudaErrorInvalidResourceHandle, 400);
SAME(cudaErrorIllegalState, 401);
SAME(cudaErrorNotReady, 600);
SAME(cudaErrorNotPermitted, 800);
SAME(cudaErrorStreamCaptureUnsupported, 900);
SAME(cudaErrorStreamCaptureInvalidated, 901);
SAME(cudaErrorStreamCaptureMerge, 902);
SAME(cudaErrorStreamCaptureUnmatched, 903);
SAME(cudaErrorStreamCaptureUnjoined, 904);
SAME(cudaErrorStreamCaptureIsolation, 905);
SAME(cudaErrorStreamCaptureImplicit, 906);
SAME(cudaErrorCapturedEvent, 907);
SAME(cudaErrorStreamCaptureWrongThread, 908);
SAME(cudaMemcpyDefault, 4);
SAME(cudaMemoryTypeDevice, 2);
SAME(cudaFuncAttributeMaxDynamicSharedMemorySize, 8);
SAME(cudaDevAttrMultiProcessorCount, 16);
SAME(cudaDevAttrComputeCapabilityMajor, 75);
SAME(cudaDevAttrComputeCapabilityMinor, 76);
SAME(cudaDevAttrMaxSharedMemoryPerMultiprocessor, 81);
SAME(cudaDevAttrMaxSharedMemoryPerBlockOptin, 97);
SAME(cudaDevAttrMaxBlocksPerMultiprocessor, 106);
SAME(cudaDevAttrReservedSharedMemoryPerBlock, 111);
SAME(cudaDevAttrMemoryPoolsSupported, 115);
SAME(cudaDriverEntryPointSuccess, 0);
SAME(cudaDriverEntryPointSymbolNotFound, 1);
SAME(cudaEnableDefault, 0);
SAME(cudaStreamCaptureModeThreadLocal, 1);
SAME(cudaStreamCaptureStatusInvalidated, 2);
SAME(cudaStreamNonBlocking, 1);
SAME(cudaEventDisableTiming, 2);
SAME(CUSOLVER_STATUS_NOT_INITIALIZED, 1);
SAME(CUSOLVER_STATUS_INVALID_VALUE, 3);
SAME(CUSOLVER_STATUS_EXECUTION_FAILED, 6);
SAME(CUSOLVER_STATUS_INTERNAL_ERROR, 7);
SAME(CUSOLVER_EIG_MODE_VECTOR, 1);
SAME(CUSOLVER_DETERMINISTIC_RESULTS, 1);
SAME(sizeof(cuDoubleComplex), 16);
SAME(_Alignof(cuDoubleComplex), 16);
SAME(_Alignof(cuComplex), 8);
