# SPDX-License-Identifier: BSD-3-Clause
# Typed files: plain C that is compiled once for each element type, with SVDGRAD_TYPE defined (src/base/type.h).
#
# svdgrad_typed(<name> SOURCES <files...> [DEFINITIONS <...>] [OPTIONS <...>]) makes an object library <name>_<type> of
# the files for each element type, the target <name> of all of them, and the list of their objects, <name>_OBJECTS.
#
# The types are told apart by a definition on the command line and not by generated files, so that compile_commands.json
# has entries of the sources themselves, and editors find them.  f64 comes first: editors take the first entry of a file.
if(NOT SVDGRAD_TYPES) # clang-tidy takes one of them
  set(SVDGRAD_TYPES f64 f32 c64 c128)
endif()

function(svdgrad_typed name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEFINITIONS;OPTIONS" ${ARGN})
  set(objects)
  add_custom_target(${name})
  foreach(type ${SVDGRAD_TYPES})
    set(target ${name}_${type})
    add_library(${target} OBJECT EXCLUDE_FROM_ALL ${arg_SOURCES})
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
    target_compile_definitions(${target} PRIVATE SVDGRAD_TYPE=${type} ${arg_DEFINITIONS})
    target_include_directories(${target} PRIVATE
      "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/include" "${PROJECT_BINARY_DIR}/include")
    svdgrad_flags(${target})
    target_compile_options(${target} PRIVATE ${arg_OPTIONS})
    add_dependencies(${name} ${target})
    list(APPEND objects $<TARGET_OBJECTS:${target}>)
  endforeach()
  set(${name}_OBJECTS ${objects} PARENT_SCOPE)
endfunction()
