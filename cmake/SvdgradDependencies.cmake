# SPDX-License-Identifier: BSD-3-Clause
# Finds what the library links; sets SVDGRAD_DEPENDENCIES, SVDGRAD_HAVE_CUDA, SVDGRAD_HAVE_OPENMP.

# LAPACK.  OpenBLAS is tried first because FindLAPACK's own order prefers others; a BLA_VENDOR that
# the user set is taken as it is.
if(NOT DEFINED BLA_VENDOR AND NOT DEFINED ENV{BLA_VENDOR})
  set(BLA_VENDOR OpenBLAS)
  find_package(LAPACK QUIET)
  if(NOT LAPACK_FOUND)
    unset(BLA_VENDOR)
  endif()
endif()
if(NOT LAPACK_FOUND)
  find_package(LAPACK REQUIRED)
endif()
if(DEFINED BLA_VENDOR)
  set(SVDGRAD_BLA_VENDOR "${BLA_VENDOR}")
else()
  set(SVDGRAD_BLA_VENDOR "$ENV{BLA_VENDOR}")
endif()
message(STATUS "svdgrad: LAPACK is ${LAPACK_LIBRARIES}")

find_package(Threads REQUIRED)
set(SVDGRAD_DEPENDENCIES LAPACK::LAPACK Threads::Threads m)

set(SVDGRAD_HAVE_OPENMP 0)
if(SVDGRAD_OPENMP)
  find_package(OpenMP REQUIRED COMPONENTS C)
  set(SVDGRAD_HAVE_OPENMP 1)
  list(APPEND SVDGRAD_DEPENDENCIES OpenMP::OpenMP_C)
endif()

include(SvdgradFindCuda)
