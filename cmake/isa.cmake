# Flags per instruction set. Only the kernels in src/device/cpu/<set>/ are compiled with them; nothing else in
# hearth assumes more than the x86-64 baseline, so that one binary starts on every machine.
set(isa_flags_avx2 -mavx2 -mfma -mf16c -mbmi -mbmi2)
set(isa_flags_avx512 ${isa_flags_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd)
set(isa_flags_avx512vnni ${isa_flags_avx512} -mavx512vnni)
set(isa_flags_avx512bf16 ${isa_flags_avx512vnni} -mavx512bf16)
set(isa_flags_amx ${isa_flags_avx512bf16} -mavx512vbmi -mamx-tile -mamx-bf16 -mamx-int8)

function(hearth_isa_flags sources)
  foreach(source IN LISTS sources)
    string(REGEX MATCH "/device/cpu/([a-z0-9]+)/[^/]+\\.cpp$" matched ${source})
    set(flags isa_flags_${CMAKE_MATCH_1})
    if(matched AND DEFINED ${flags})
      # -O3: these files are the inner loops; under sanitizers it costs minutes of compiling the large ones (118 s for
      # avx512/table.cpp with Clang 14). -ffp-contract=off: fused only where an intrinsic says so.
      if(NOT HEARTH_SANITIZE)
        set(level -O3)
      elseif(source MATCHES "/(table|packed|kv)\\.cpp$")
        set(level -O1)
      else()
        set(level -O2)
      endif()
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS
                                  "${${flags}};${level};-ffp-contract=off"
                                  SKIP_PRECOMPILE_HEADERS ON)
    endif()
  endforeach()
endfunction()
