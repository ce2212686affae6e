# SPDX-License-Identifier: BSD-3-Clause
# svdgrad_flags(target): warnings, sanitizers and code generation of this project's own targets.
# Flags are PRIVATE, so that nothing of this reaches a consumer.
include(CheckCCompilerFlag)

# Complex products without the C99 rules for Inf and NaN, which cost a call of __muldc3 each.
check_c_compiler_flag(-fcx-limited-range SVDGRAD_HAS_CX_LIMITED_RANGE)

set(SVDGRAD_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes
    -Wmissing-prototypes)

function(svdgrad_flags target)
  target_compile_options(${target} PRIVATE ${SVDGRAD_WARNINGS})
  if(SVDGRAD_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(SVDGRAD_HAS_CX_LIMITED_RANGE)
    target_compile_options(${target} PRIVATE -fcx-limited-range)
  endif()
  if(SVDGRAD_SANITIZE)
    list(JOIN SVDGRAD_SANITIZE "," names)
    # -fno-sanitize-recover: undefined behaviour must fail a test, not only print.
    target_compile_options(${target} PRIVATE -fsanitize=${names} -fno-sanitize-recover=all
                                             -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${names})
  endif()
endfunction()
