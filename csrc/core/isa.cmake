# Flags that every object of _core shares, and the objects compiled once for each instruction set.

# No contraction and no relaxed floating point: the same bits on every path. Nobody reads the floating-point flags,
# and minding them keeps gcc from turning selects into vector code.
function(vcm_compile_like_core target)
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/csrc)
  target_compile_options(${target} PRIVATE -ffp-contract=off -fno-math-errno -fno-trapping-math -Wall -Wextra -Wshadow -Wconversion
                                           -Wno-sign-conversion)
  if(VCM_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(VCM_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${VCM_SANITIZE} -fno-omit-frame-pointer -g)
    if(VCM_SANITIZE MATCHES "undefined")
      target_compile_options(${target} PRIVATE -fno-sanitize-recover=undefined)
    endif()
  endif()
endfunction()

# Names, levels (0 portable, 3, 4, 5 = 4 + word compress) and flags, index by index.
set(vcm_isa_names baseline)
set(vcm_isa_levels 0)
set(vcm_isa_flags " ")
set(vcm_isa_x86 OFF)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8
   AND NOT CMAKE_OSX_ARCHITECTURES MATCHES "arm64")
  set(vcm_isa_x86 ON)
  list(APPEND vcm_isa_names v3 v4 v4_vbmi2)
  list(APPEND vcm_isa_levels 3 4 5)
  list(APPEND vcm_isa_flags "-march=x86-64-v3" "-march=x86-64-v4 -mprefer-vector-width=512"
       "-march=x86-64-v4 -mprefer-vector-width=512 -mavx512vbmi -mavx512vbmi2")
endif()

# A body sees VCM_ISA (the namespace to put everything in) and VCM_ISA_LEVEL.
function(vcm_add_isa_objects target)
  if(vcm_isa_x86)
    target_compile_definitions(${target} PRIVATE VCM_X86_LEVELS=1)
  endif()
  if(NOT ARGN)
    return()
  endif()
  set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CXX)
  foreach(name level flags IN ZIP_LISTS vcm_isa_names vcm_isa_levels vcm_isa_flags)
    separate_arguments(flags UNIX_COMMAND "${flags}")
    add_library(${target}_${name} OBJECT ${ARGN})
    vcm_compile_like_core(${target}_${name})
    # gcc 12 warns about its own AVX-512 headers (GCC bug 105593)
    target_compile_options(${target}_${name} PRIVATE ${flags} -Wno-uninitialized -Wno-maybe-uninitialized)
    target_compile_definitions(${target}_${name} PRIVATE VCM_ISA=isa_${name} VCM_ISA_LEVEL=${level})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_${name}>)
  endforeach()
endfunction()
