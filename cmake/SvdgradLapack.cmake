# SPDX-License-Identifier: BSD-3-Clause
# Finds LAPACK: the target LAPACK::LAPACK, LAPACK_LIBRARIES, SVDGRAD_LAPACK_NAMED, SVDGRAD_BLA_VENDOR.

# A LAPACK whose names have a prefix or suffix is not found by its names: the user says where it is.
set(SVDGRAD_LAPACK_NAMED 0)
if(NOT "${SVDGRAD_LAPACK_PREFIX}${SVDGRAD_LAPACK_SUFFIX}" STREQUAL "")
  if(SVDGRAD_LAPACK_SUFFIX MATCHES "64")
    message(FATAL_ERROR "SVDGRAD_LAPACK_SUFFIX=${SVDGRAD_LAPACK_SUFFIX}: a LAPACK with 64-bit integers, "
                        "must be one with 32-bit integers")
  endif()
  if(NOT LAPACK_LIBRARIES)
    message(FATAL_ERROR "SVDGRAD_LAPACK_PREFIX=${SVDGRAD_LAPACK_PREFIX}: LAPACK_LIBRARIES is not set, must name "
                        "the library with those names")
  endif()
  add_library(LAPACK::LAPACK INTERFACE IMPORTED)
  set_target_properties(LAPACK::LAPACK PROPERTIES INTERFACE_LINK_LIBRARIES "${LAPACK_LIBRARIES}")
  set(SVDGRAD_LAPACK_NAMED 1)
  set(LAPACK_FOUND 1)
endif()

# LAPACK.  OpenBLAS is tried first because FindLAPACK's own order prefers others; a BLA_VENDOR that
# the user set is taken as it is.
if(NOT LAPACK_FOUND AND NOT DEFINED BLA_VENDOR AND NOT DEFINED ENV{BLA_VENDOR})
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
