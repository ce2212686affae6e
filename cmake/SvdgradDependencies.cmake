# SPDX-License-Identifier: BSD-3-Clause
# Finds what the library links; sets SVDGRAD_DEPENDENCIES, SVDGRAD_HAVE_CUDA, SVDGRAD_HAVE_OPENMP.

if(SVDGRAD_LAPACK)
  include(SvdgradLapack)
  set(SVDGRAD_DEPENDENCIES LAPACK::LAPACK)
else()
  message(STATUS "svdgrad: no LAPACK, hence no SVDGRAD_ALGO_VENDOR on the CPU (SVDGRAD_LAPACK=OFF)")
  set(SVDGRAD_DEPENDENCIES)
endif()

find_package(Threads REQUIRED)
list(APPEND SVDGRAD_DEPENDENCIES Threads::Threads m)

set(SVDGRAD_HAVE_OPENMP 0)
if(SVDGRAD_OPENMP)
  find_package(OpenMP REQUIRED COMPONENTS C)
  set(SVDGRAD_HAVE_OPENMP 1)
  list(APPEND SVDGRAD_DEPENDENCIES OpenMP::OpenMP_C)
endif()

include(SvdgradFindCuda)
