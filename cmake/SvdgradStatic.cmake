# SPDX-License-Identifier: BSD-3-Clause
# The static library: all objects joined into one, in which hidden symbols are local, so that a program that links it sees
# no name but svdgrad_*, as with the shared library.  The test `symbols` looks.
set(object "${CMAKE_CURRENT_BINARY_DIR}/svdgrad_static${CMAKE_C_OUTPUT_EXTENSION}")
set(SVDGRAD_STATIC_OBJECTS $<TARGET_OBJECTS:svdgrad_objects> ${SVDGRAD_LANES_OBJECTS} ${SVDGRAD_CUDA_OBJECTS})
if(NOT CMAKE_OBJCOPY)
  message(FATAL_ERROR "svdgrad: no objcopy for the static library; set CMAKE_OBJCOPY")
endif()
list(TRANSFORM SVDGRAD_LANES_ISAS PREPEND svdgrad_lanes_ OUTPUT_VARIABLE targets)
list(APPEND targets svdgrad_objects ${SVDGRAD_CUDA_TARGETS})
add_custom_command(OUTPUT "${object}"
  COMMAND "${CMAKE_LINKER}" -r -o "${object}" ${SVDGRAD_STATIC_OBJECTS}
  COMMAND "${CMAKE_OBJCOPY}" --localize-hidden "${object}"
  DEPENDS ${SVDGRAD_STATIC_OBJECTS}
  COMMAND_EXPAND_LISTS VERBATIM)
set_source_files_properties("${object}" PROPERTIES GENERATED TRUE EXTERNAL_OBJECT TRUE)
add_library(svdgrad_static STATIC "${object}")
add_dependencies(svdgrad_static ${targets}) # the objects are files of theirs
svdgrad_library(svdgrad_static)
target_link_libraries(svdgrad_static PRIVATE ${SVDGRAD_CUDA_DEPENDENCIES})
