# hearth_layer(NAME DEPENDS layer... LIBS library... PRECOMPILED header...)
#
# One static library per folder of src/. Three rules are kept by construction:
#  - a dependency that is not defined yet stops the configuration, so the order of the calls is the
#    layering and a cycle cannot be written down;
#  - other layers see only the headers that lie directly in the layer's folder (a folder of links in the
#    build tree is all that is exported), so a private header of a subfolder cannot be included from outside;
#  - tests/NAME/*.cpp become one test program that links the layer, what it depends on and tests/support.
#
# Layers share one precompiled header (cmake/precompiled.h), tests another; PRECOMPILED names further outside headers for a
# layer of its own. scripts/includes.py sees to it that no file relies on them.
set(HEARTH_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
                    -Woverloaded-virtual -Werror)

define_property(GLOBAL PROPERTY HEARTH_LAYERS BRIEF_DOCS "layers in order" FULL_DOCS "layers in order")

# What a precompiled header may change: GCC 12 no longer knows which lines come from system headers, and warns about
# bounds inside them. Clang's build of the same files keeps its checks.
if(HEARTH_PRECOMPILED AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(HEARTH_PRECOMPILED_FLAGS -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -Wno-restrict
                               -Wno-maybe-uninitialized)
endif()
# Tests run once after they are built: half of -O2's compile time is saved, and who wants lines of a test in a
# debugger has the debug and sanitized builds.
set(HEARTH_TEST_FLAGS ${HEARTH_PRECOMPILED_FLAGS} "$<$<CONFIG:Release>:-O1;-g0>")
# With sanitizers the optimiser takes half of the time to compile (15 → 7 s for a test of the store), and what waits for others
# does not need it: these layers, and the tests of these, are compiled without it. What computes or is fuzzed keeps it.
set(HEARTH_PLAIN_LAYERS scheduler server cli)
set(HEARTH_PLAIN_TESTS base protocol http store hardware scheduler server cli e2e)
# What the tests of whole models spend their time in is optimised more: these layers take a tenth longer to compile, and the
# tests half of the time (decision 10).
set(HEARTH_BUSY_LAYERS base tensor device engine)
if(HEARTH_SANITIZE)
  set(HEARTH_PLAIN_FLAGS -O0)
  set(HEARTH_BUSY_FLAGS -O2)
endif()

add_library(hearth_flags INTERFACE)
target_compile_options(hearth_flags INTERFACE ${HEARTH_WARNINGS} -fvisibility=hidden -fvisibility-inlines-hidden)
if(HEARTH_SANITIZE)
  target_compile_options(hearth_flags INTERFACE -fsanitize=${HEARTH_SANITIZE} -fno-sanitize-recover=all
                                                -fno-omit-frame-pointer)
  if(HEARTH_SANITIZE MATCHES "undefined")
    # A backend module has its own copies of the types that cross its border, which this check takes for foreign ones.
    target_compile_options(hearth_flags INTERFACE -fno-sanitize=vptr)
  endif()
  target_link_options(hearth_flags INTERFACE -fsanitize=${HEARTH_SANITIZE})
endif()
# For targets that cannot have Clang's check of calls through pointers; to be linked behind hearth_flags, since the last option
# counts.
add_library(hearth_no_function_check INTERFACE)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND HEARTH_SANITIZE MATCHES "undefined")
  target_compile_options(hearth_no_function_check INTERFACE -fno-sanitize=function)
endif()

function(hearth_layer name)
  cmake_parse_arguments(L "" "" "DEPENDS;LIBS;PRECOMPILED" ${ARGN})
  foreach(dep IN LISTS L_DEPENDS)
    if(NOT TARGET hearth_${dep})
      message(FATAL_ERROR "layer '${name}' depends on '${dep}', which is not defined above it in CMakeLists.txt")
    endif()
  endforeach()
  set(dir ${CMAKE_SOURCE_DIR}/src/${name})
  set(links ${CMAKE_BINARY_DIR}/layers/${name})
  file(REMOVE_RECURSE ${links}/public)
  file(MAKE_DIRECTORY ${links}/public/${name} ${links}/private)
  file(GLOB public_headers CONFIGURE_DEPENDS ${dir}/*.h)
  foreach(header IN LISTS public_headers)
    get_filename_component(leaf ${header} NAME)
    file(CREATE_LINK ${header} ${links}/public/${name}/${leaf} SYMBOLIC)
  endforeach()
  if(NOT EXISTS ${links}/private/${name})
    file(CREATE_LINK ${dir} ${links}/private/${name} SYMBOLIC)
  endif()

  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${dir}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "/src/device/(vulkan|cuda)/")
  if(sources)
    add_library(hearth_${name} STATIC ${sources})
    target_include_directories(hearth_${name} PUBLIC ${links}/public PRIVATE ${links}/private)
    target_link_libraries(hearth_${name} PRIVATE hearth_flags)
    hearth_precompile(${name} "${L_PRECOMPILED}")
    if(HEARTH_FUZZ AND name IN_LIST HEARTH_FUZZED)
      target_compile_options(hearth_${name} PRIVATE ${HEARTH_COUNTERS})
    endif()
    set(scope PUBLIC)
  else()
    add_library(hearth_${name} INTERFACE)
    target_include_directories(hearth_${name} INTERFACE ${links}/public)
    set(scope INTERFACE)
  endif()
  foreach(dep IN LISTS L_DEPENDS)
    target_link_libraries(hearth_${name} ${scope} hearth_${dep})
  endforeach()
  target_link_libraries(hearth_${name} ${scope} ${L_LIBS})
  if(sources AND COMMAND hearth_isa_flags)
    hearth_isa_flags("${sources}")
  endif()
  if(sources)
    hearth_unite(hearth_${name})
  endif()

  set_property(GLOBAL APPEND PROPERTY HEARTH_LAYERS ${name})
  set_property(GLOBAL PROPERTY HEARTH_LAYER_DEPENDS_${name} "${L_DEPENDS}")
  if(GTest_FOUND)
    hearth_layer_tests(${name} ${links}/private)
  endif()
endfunction()

# A layer's precompiled header: its own (PRECOMPILED), or the one that all with the same flags share, or none. Kernels have
# flags of their own and include next to nothing.
function(hearth_precompile name headers)
  if(HEARTH_PLAIN_FLAGS AND name IN_LIST HEARTH_PLAIN_LAYERS)
    set(flags ${HEARTH_PLAIN_FLAGS})
    set(shared hearth_precompiled_plain)
  else()
    set(shared hearth_precompiled)
  endif()
  target_compile_options(hearth_${name} PRIVATE ${HEARTH_PRECOMPILED_FLAGS} ${flags})
  if(name IN_LIST HEARTH_BUSY_LAYERS)
    target_compile_options(hearth_${name} PRIVATE ${HEARTH_BUSY_FLAGS})
  endif()
  if(NOT HEARTH_PRECOMPILED)
    return()
  endif()
  if(headers)
    target_precompile_headers(hearth_${name} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/precompiled.h ${headers})
    return()
  endif()
  if(NOT TARGET ${shared})
    file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/empty.cpp CONTENT "")
    add_library(${shared} STATIC ${CMAKE_BINARY_DIR}/empty.cpp)
    target_link_libraries(${shared} PRIVATE hearth_flags Boost::json fmt::fmt)
    target_compile_options(${shared} PRIVATE ${HEARTH_PRECOMPILED_FLAGS} ${flags})
    target_precompile_headers(${shared} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/precompiled.h)
  endif()
  target_precompile_headers(hearth_${name} REUSE_FROM ${shared})
endfunction()

# What every test program may use; knows nothing above `base`.
function(hearth_test_support)
  if(TARGET hearth_test_support)
    return()
  endif()
  file(GLOB support CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/support/*.cpp)
  add_library(hearth_test_support STATIC ${support})
  target_include_directories(hearth_test_support PUBLIC ${CMAKE_SOURCE_DIR}/tests)
  target_compile_definitions(hearth_test_support
                             PRIVATE HEARTH_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                                     HEARTH_REFERENCE_DIR="${HEARTH_REFERENCE_DIR}"
                                     HEARTH_BINARY_DIR="${CMAKE_BINARY_DIR}")
  target_link_libraries(hearth_test_support PUBLIC hearth_base GTest::gtest GTest::gmock PRIVATE hearth_flags)
endfunction()

# Flags of the tests of a layer, and the header that those with the same flags share.
function(hearth_test_flags name)
  set(shared hearth_test_precompiled)
  if(HEARTH_PLAIN_FLAGS AND name IN_LIST HEARTH_PLAIN_TESTS)
    set(flags ${HEARTH_PLAIN_FLAGS})
    string(APPEND shared _plain)
  endif()
  target_compile_options(${name}_tests PRIVATE ${HEARTH_TEST_FLAGS} ${flags})
  hearth_unite(${name}_tests)
  if(NOT HEARTH_PRECOMPILED)
    return()
  endif()
  if(NOT TARGET ${shared})
    file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/empty_main.cpp CONTENT "int main() {}\n")
    add_executable(${shared} EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/empty_main.cpp)
    target_link_libraries(${shared} PRIVATE hearth_test_support hearth_flags)
    target_compile_options(${shared} PRIVATE ${HEARTH_TEST_FLAGS} ${flags})
    target_precompile_headers(${shared} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/precompiled.h <gmock/gmock.h> <gtest/gtest.h>)
  endif()
  target_precompile_headers(${name}_tests REUSE_FROM ${shared})
endfunction()

function(hearth_layer_tests name private)
  file(GLOB_RECURSE tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${name}/*.cpp)
  if(NOT tests)
    return()
  endif()
  hearth_test_support()
  add_executable(${name}_tests ${tests})
  foreach(test IN LISTS tests)  # the emulation of a set needs another one
    if(test MATCHES "_(avx[0-9a-z]+)\\.cpp$")
      set_source_files_properties(${test} PROPERTIES COMPILE_OPTIONS "${isa_flags_${CMAKE_MATCH_1}}" SKIP_PRECOMPILE_HEADERS ON)
    endif()
  endforeach()
  # A layer's tests may look at its private headers, and at no other layer's.
  target_include_directories(${name}_tests PRIVATE ${private})
  target_link_libraries(${name}_tests PRIVATE hearth_${name} hearth_test_support hearth_flags GTest::gtest_main)
  hearth_test_flags(${name})
  hearth_add_test(${name})
endfunction()

# Registers NAME_tests; the long ones in parts, so that several processors share them and end together.
set(HEARTH_TEST_PARTS_worker 4)
set(HEARTH_TEST_PARTS_text 2)
set(HEARTH_TEST_PARTS_convert 2)
# These start many processes of their own and wait for them by the clock: nothing else runs meanwhile.
set(HEARTH_TESTS_ALONE hardware scheduler e2e)
function(hearth_add_test name)
  if(NOT DEFINED HEARTH_TEST_PARTS_${name})
    if(name STREQUAL hardware)  # half of its time is waiting for children that hang
      add_test(NAME hardware COMMAND ${CMAKE_SOURCE_DIR}/scripts/halves $<TARGET_FILE:hardware_tests>)
    elseif(name STREQUAL scheduler)  # its random test starts no process
      add_test(NAME scheduler COMMAND scheduler_tests --gtest_filter=-PoolRandom.*)
      add_test(NAME scheduler_random COMMAND scheduler_tests --gtest_filter=PoolRandom.*)
      set_tests_properties(scheduler_random PROPERTIES COST 60)
    else()
      add_test(NAME ${name} COMMAND ${name}_tests)
    endif()
    if(name IN_LIST HEARTH_TESTS_ALONE)
      set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
    endif()
    return()
  endif()
  math(EXPR last "${HEARTH_TEST_PARTS_${name}} - 1")
  foreach(part RANGE ${last})
    add_test(NAME ${name}.${part} COMMAND ${name}_tests)
    set_tests_properties(${name}.${part} PROPERTIES COST 100 ENVIRONMENT
                         "GTEST_TOTAL_SHARDS=${HEARTH_TEST_PARTS_${name}};GTEST_SHARD_INDEX=${part}")
  endforeach()
endfunction()

# The executable, the table of layers for scripts/lint, benchmarks, fuzz targets.
function(hearth_finish)
  get_property(layers GLOBAL PROPERTY HEARTH_LAYERS)
  set(table "")
  foreach(layer IN LISTS layers)
    get_property(deps GLOBAL PROPERTY HEARTH_LAYER_DEPENDS_${layer})
    list(JOIN deps " " deps)
    string(APPEND table "${layer} <- ${deps}\n")
  endforeach()
  file(WRITE ${CMAKE_BINARY_DIR}/layers.txt "${table}")

  if(HEARTH_FUZZ)
    file(GLOB targets CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/fuzz/*.cpp)
    foreach(target IN LISTS targets)
      get_filename_component(leaf ${target} NAME_WE)
      add_executable(fuzz_${leaf} ${target})
      target_link_libraries(fuzz_${leaf} PRIVATE hearth_formats hearth_text hearth_store hearth_hardware hearth_flags)
      target_link_options(fuzz_${leaf} PRIVATE -fsanitize=fuzzer)
    endforeach()
  endif()

  if(EXISTS ${CMAKE_SOURCE_DIR}/src/cli/main.cpp)
    add_executable(hearth ${CMAKE_SOURCE_DIR}/src/cli/main.cpp)
    target_link_libraries(hearth PRIVATE hearth_cli hearth_flags)
  endif()
  if(TARGET hearth AND GTest_FOUND)
    file(GLOB e2e CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/e2e/*.cpp)
    add_executable(e2e_tests ${e2e})
    target_link_libraries(e2e_tests PRIVATE hearth_cli hearth_test_support hearth_flags GTest::gtest_main)
    add_dependencies(e2e_tests hearth)
    hearth_test_flags(e2e)
    hearth_add_test(e2e)
  endif()
  find_package(benchmark QUIET)
  file(GLOB benches CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bench/*.cpp)
  if(benchmark_FOUND AND benches AND NOT HEARTH_SANITIZE)
    foreach(bench IN LISTS benches)
      get_filename_component(leaf ${bench} NAME_WE)
      add_executable(bench_${leaf} EXCLUDE_FROM_ALL ${bench})
      target_include_directories(bench_${leaf} PRIVATE ${CMAKE_SOURCE_DIR}/src)  # kernels lie in private headers
      target_link_libraries(bench_${leaf} PRIVATE hearth_cli hearth_flags benchmark::benchmark)
    endforeach()
  endif()
endfunction()
