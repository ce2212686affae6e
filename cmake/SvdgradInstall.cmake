# SPDX-License-Identifier: BSD-3-Clause
# Headers, both libraries, CMake package and pkg-config file.
include(CMakePackageConfigHelpers)

install(FILES include/svdgrad/svdgrad.h
              "${CMAKE_CURRENT_BINARY_DIR}/include/svdgrad/export.h"
              "${CMAKE_CURRENT_BINARY_DIR}/include/svdgrad/version.h"
        DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/svdgrad")

# Two export sets: the file of the static library names LAPACK::LAPACK, and a consumer of the shared
# one should not have to find LAPACK.
set(svdgrad_cmakedir "${CMAKE_INSTALL_LIBDIR}/cmake/svdgrad")
foreach(kind shared static)
  install(TARGETS svdgrad_${kind} EXPORT svdgrad_${kind}
          LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
          ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  install(EXPORT svdgrad_${kind} NAMESPACE svdgrad:: FILE svdgrad_${kind}.cmake
          DESTINATION "${svdgrad_cmakedir}")
endforeach()
if(SVDGRAD_HAVE_CUDA) # nobody links it
  install(TARGETS svdgrad_cuda LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
endif()

configure_package_config_file(cmake/svdgradConfig.cmake.in svdgradConfig.cmake
  INSTALL_DESTINATION "${svdgrad_cmakedir}" NO_SET_AND_CHECK_MACRO)
# Until 1.0 a minor version only appends to the ABI, so that it serves who asks for an older one.
write_basic_package_version_file(svdgradConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/svdgradConfig.cmake"
              "${CMAKE_CURRENT_BINARY_DIR}/svdgradConfigVersion.cmake"
        DESTINATION "${svdgrad_cmakedir}")

# pkg-config.  Full paths of libraries become -L and -l: cmake names libopenblas.so by its path.
set(svdgrad_pc_private "")
set(svdgrad_pc_libraries)
if(SVDGRAD_LAPACK)
  list(APPEND svdgrad_pc_libraries ${LAPACK_LIBRARIES} ${BLAS_LIBRARIES})
endif()
if(SVDGRAD_HAVE_OPENMP)
  list(APPEND svdgrad_pc_libraries ${OpenMP_C_LIBRARIES})
endif()
if(SVDGRAD_HAVE_CUDA)
  list(APPEND svdgrad_pc_libraries "${CUDA_cudart_static_LIBRARY}" rt ${CMAKE_DL_LIBS} pthread stdc++)
endif()
foreach(library ${svdgrad_pc_libraries} ${CMAKE_THREAD_LIBS_INIT} m)
  if(IS_ABSOLUTE "${library}")
    cmake_path(GET library PARENT_PATH directory)
    cmake_path(GET library STEM name)
    string(REGEX REPLACE "^lib" "" name "${name}")
    if(NOT directory IN_LIST CMAKE_C_IMPLICIT_LINK_DIRECTORIES)
      list(APPEND svdgrad_pc_private "-L${directory}")
    endif()
    list(APPEND svdgrad_pc_private "-l${name}")
  elseif(library MATCHES "^-")
    list(APPEND svdgrad_pc_private "${library}")
  else()
    list(APPEND svdgrad_pc_private "-l${library}")
  endif()
endforeach()
list(REMOVE_DUPLICATES svdgrad_pc_private)
list(JOIN svdgrad_pc_private " " svdgrad_pc_private)

# The prefix is found from the .pc file's own place, so that `cmake --install --prefix` may move it.
set(svdgrad_pc_libdir "\${prefix}")
set(svdgrad_pc_includedir "\${prefix}")
cmake_path(APPEND svdgrad_pc_libdir "${CMAKE_INSTALL_LIBDIR}") # an absolute directory replaces ${prefix}
cmake_path(APPEND svdgrad_pc_includedir "${CMAKE_INSTALL_INCLUDEDIR}")
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(svdgrad_pc_prefix "${CMAKE_INSTALL_PREFIX}")
else()
  file(RELATIVE_PATH svdgrad_pc_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
  string(REGEX REPLACE "/$" "" svdgrad_pc_prefix "${svdgrad_pc_prefix}")
  set(svdgrad_pc_prefix "\${pcfiledir}/${svdgrad_pc_prefix}")
endif()
configure_file(cmake/svdgrad.pc.in svdgrad.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/svdgrad.pc"
        DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
