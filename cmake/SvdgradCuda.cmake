# SPDX-License-Identifier: BSD-3-Clause
# The CUDA backend: the module libsvdgrad_cuda.so beside the shared library, which opens it when a CUDA
# handle is first asked for; part of the static library.

# The only target of the language CUDA.  Its objects are copied and linked as files, by C, with what they
# need named below: otherwise CMake would ask every consumer of the static library for a CUDA compiler.
set(types f32 f64 c64 c128)
list(TRANSFORM types REPLACE "(.+)" "src/cuda/kernels/inst_\\1.cu" OUTPUT_VARIABLE sources)
add_library(svdgrad_cuda_kernels OBJECT ${sources})
set_target_properties(svdgrad_cuda_kernels PROPERTIES
  CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON CUDA_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
  POSITION_INDEPENDENT_CODE ON)
target_include_directories(svdgrad_cuda_kernels PRIVATE src include "${CMAKE_CURRENT_BINARY_DIR}/include")
target_compile_options(svdgrad_cuda_kernels PRIVATE -Xcompiler=-Wall,-Wextra,-fno-exceptions)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU") # so that SvdgradStatic.cmake can make static variables of templates local
  target_compile_options(svdgrad_cuda_kernels PRIVATE -Xcompiler=-fno-gnu-unique)
endif()
if(CMAKE_CUDA_COMPILER_ID STREQUAL "NVIDIA")
  target_compile_options(svdgrad_cuda_kernels PRIVATE --threads=2) # architectures at once
  if(SVDGRAD_WERROR)
    target_compile_options(svdgrad_cuda_kernels PRIVATE --Werror=all-warnings -Xcompiler=-Werror)
  endif()
endif()

set(directory "${CMAKE_CURRENT_BINARY_DIR}/cuda_kernels")
list(TRANSFORM types REPLACE "(.+)" "${directory}/inst_\\1.cu${CMAKE_CUDA_OUTPUT_EXTENSION}" OUTPUT_VARIABLE kernels)
add_custom_command(OUTPUT ${kernels}
  COMMAND "${CMAKE_COMMAND}" -E make_directory "${directory}"
  COMMAND "${CMAKE_COMMAND}" -E copy "$<TARGET_OBJECTS:svdgrad_cuda_kernels>" "${directory}"
  DEPENDS svdgrad_cuda_kernels "$<TARGET_OBJECTS:svdgrad_cuda_kernels>"
  COMMAND_EXPAND_LISTS VERBATIM)
add_custom_target(svdgrad_cuda_kernel_files DEPENDS ${kernels})
set_source_files_properties(${kernels} PROPERTIES GENERATED TRUE EXTERNAL_OBJECT TRUE)

# A function for what is compiled as C against the CUDA headers.
function(svdgrad_cuda_c target)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
  target_compile_definitions(${target} PRIVATE
    SVDGRAD_HAVE_OPENMP=0 "SVDGRAD_CUSOLVER_LIBRARY=\"libcusolver.so.${SVDGRAD_CUSOLVER_MAJOR}\"")
  target_include_directories(${target} PRIVATE src include "${CMAKE_CURRENT_BINARY_DIR}/include")
  target_include_directories(${target} SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
  svdgrad_flags(${target})
endfunction()

add_library(svdgrad_cuda_objects OBJECT
  src/cuda/cuda_backend.c
  src/cuda/cuda_backward.c
  src/cuda/cuda_choice.c
  src/cuda/cuda_device.c
  src/cuda/cuda_forward.c
  src/cuda/cuda_function.c
  src/cuda/cuda_machine.c
  src/cuda/cuda_norm.c
  src/cuda/cuda_power.c
  src/cuda/cusolver.c
  src/cuda/jacobi_blocked.c
  src/cuda/tall_svd.c
  src/cuda/vendor_svd.c)
svdgrad_cuda_c(svdgrad_cuda_objects)

# libstdc++ has the guards of the kernels' static variables.
set(SVDGRAD_CUDA_DEPENDENCIES CUDA::cudart_static ${CMAKE_DL_LIBS} Threads::Threads stdc++)

# The module has its own copy of what composes the backward pass: it calls nothing of the library but cuda_host_t.
set(map "${CMAKE_CURRENT_SOURCE_DIR}/cmake/svdgrad_cuda.map")
add_library(svdgrad_cuda SHARED
  src/cuda/cuda_module.c src/cuda/cuda_error.c src/calls.c src/functions/discarded.c src/functions/stages.c
  src/functions/matrix_function.c src/functions/svd_backward.c $<TARGET_OBJECTS:svdgrad_cuda_objects> ${kernels})
svdgrad_cuda_c(svdgrad_cuda)
set_target_properties(svdgrad_cuda PROPERTIES LINKER_LANGUAGE C VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR} BUILD_RPATH "${CUDAToolkit_LIBRARY_DIR}" LINK_DEPENDS "${map}")
target_link_libraries(svdgrad_cuda PRIVATE ${SVDGRAD_CUDA_DEPENDENCIES})
target_link_options(svdgrad_cuda PRIVATE LINKER:--as-needed "LINKER:--version-script=${map}")
if(NOT SVDGRAD_SANITIZE)
  target_link_options(svdgrad_cuda PRIVATE LINKER:--no-undefined)
endif()

target_sources(svdgrad_shared PRIVATE src/module.c)
target_include_directories(svdgrad_shared PRIVATE src)
target_link_libraries(svdgrad_shared PRIVATE ${CMAKE_DL_LIBS})
set_target_properties(svdgrad_shared PROPERTIES C_VISIBILITY_PRESET hidden)

add_library(svdgrad_cuda_linked OBJECT src/cuda/cuda_linked.c)
svdgrad_cuda_c(svdgrad_cuda_linked)
set(SVDGRAD_CUDA_OBJECTS $<TARGET_OBJECTS:svdgrad_cuda_linked> $<TARGET_OBJECTS:svdgrad_cuda_objects> ${kernels})
set(SVDGRAD_CUDA_KERNELS svdgrad_cuda_kernel_files)

# Whoever builds the library builds the module that it opens.
add_dependencies(svdgrad_cuda svdgrad_cuda_kernel_files)
add_dependencies(svdgrad_shared svdgrad_cuda)

# The static library's consumers look for this toolkit first.
cmake_path(GET CUDAToolkit_BIN_DIR PARENT_PATH SVDGRAD_CUDA_TOOLKIT)
