# SPDX-License-Identifier: BSD-3-Clause
# The static library: all objects joined into one, in which every symbol but svdgrad_* is local, so that a program that
# links it sees no other name, as with the shared library.  The test `symbols` looks.  Inline functions of C++, of the CUDA
# kernels, leave their groups: the linker would take the program's instead of ours, which are local.
set(object "${CMAKE_CURRENT_BINARY_DIR}/svdgrad_static${CMAKE_C_OUTPUT_EXTENSION}")
set(SVDGRAD_STATIC_OBJECTS $<TARGET_OBJECTS:svdgrad_objects> ${SVDGRAD_TYPED_OBJECTS} ${SVDGRAD_CUDA_OBJECTS})
if(NOT CMAKE_OBJCOPY)
  message(FATAL_ERROR "svdgrad: no objcopy for the static library; set CMAKE_OBJCOPY")
endif()
string(REGEX MATCHALL "TARGET_OBJECTS:[A-Za-z0-9_]+" targets "${SVDGRAD_STATIC_OBJECTS}")
list(TRANSFORM targets REPLACE "TARGET_OBJECTS:" "")
add_custom_command(OUTPUT "${object}"
  COMMAND "${CMAKE_LINKER}" -r $<$<BOOL:${SVDGRAD_HAVE_CUDA}>:--force-group-allocation> -o "${object}"
    ${SVDGRAD_STATIC_OBJECTS}
  COMMAND "${CMAKE_OBJCOPY}" --wildcard "--keep-global-symbol=svdgrad_*" "${object}"
  DEPENDS ${SVDGRAD_STATIC_OBJECTS}
  COMMAND_EXPAND_LISTS VERBATIM)
set_source_files_properties("${object}" PROPERTIES GENERATED TRUE EXTERNAL_OBJECT TRUE)
add_library(svdgrad_static STATIC "${object}")
add_dependencies(svdgrad_static ${targets} ${SVDGRAD_CUDA_KERNELS}) # the objects are files of theirs
svdgrad_library(svdgrad_static)
target_link_libraries(svdgrad_static PRIVATE ${SVDGRAD_CUDA_DEPENDENCIES})
