# The Vulkan module: shaders of src/device/vulkan/shaders are compiled to SPIR-V by glslc and embedded as words. Where
# glslc or Vulkan's headers are absent the program is built without the module, and says so.
find_program(HEARTH_GLSLC glslc)
find_path(HEARTH_VULKAN_INCLUDE vulkan/vulkan.h)

if(NOT HEARTH_GLSLC OR NOT HEARTH_VULKAN_INCLUDE)
  message(WARNING "no glslc or no Vulkan headers (packages glslc and libvulkan-dev): hearth is built without the "
                  "module for GPUs (libhearth-vulkan.so)")
  return()
endif()

set(vulkan_dir ${CMAKE_SOURCE_DIR}/src/device/vulkan)
set(shader_dir ${vulkan_dir}/shaders)
set(shader_out ${CMAKE_BINARY_DIR}/shaders)
set(HEARTH_SHADERS "${CMAKE_BINARY_DIR}/shaders/kept" CACHE PATH "compiled shaders that several builds may share")
file(MAKE_DIRECTORY ${shader_out})
file(GLOB shader_headers CONFIGURE_DEPENDS ${shader_dir}/*.glsl ${shader_dir}/types/*.glsl)
set(shader_names)
set(shader_files)

# One shader from parts; `flags`, a list, are passed to glslc.
function(hearth_shader name flags)
  set(text "#version 450\n#extension GL_GOOGLE_include_directive : require\n")
  foreach(part common.glsl ${ARGN})
    string(APPEND text "#include \"${part}\"\n")
  endforeach()
  set(source ${shader_out}/${name}.comp)
  file(CONFIGURE OUTPUT ${source} CONTENT "${text}" @ONLY)
  set(words ${shader_out}/${name}.inc)
  add_custom_command(OUTPUT ${words} DEPENDS ${source} ${shader_headers}
                     COMMAND ${CMAKE_SOURCE_DIR}/scripts/shader ${HEARTH_SHADERS}/${name}.inc ${words} ${source} ${shader_dir}
                             ${HEARTH_GLSLC} --target-env=vulkan1.2 -O -mfmt=num ${flags}
                     COMMENT "shader ${name}" VERBATIM)
  set(shader_names ${shader_names} ${name} PARENT_SCOPE)
  set(shader_files ${shader_files} ${words} PARENT_SCOPE)
endfunction()

foreach(name combine gather route group mix halve attend_join)
  hearth_shader(${name} "" ${name}.glsl)
endforeach()
foreach(name norm round)
  hearth_shader(${name} "" rounded.glsl ${name}.glsl)
endforeach()
hearth_shader(heads "" cache.glsl heads.glsl)
hearth_shader(attend "" cache.glsl attend_common.glsl attend.glsl)
hearth_shader(attend_compact -DCOMPACT cache.glsl attend_common.glsl attend.glsl)
hearth_shader(attend_row_subgroup -DSUBGROUP cache.glsl attend_common.glsl attend_row.glsl)
# A file in types/ that has a decode4 is a type, with levels4 one that can be multiplied as integers; the others are what
# types share.
file(GLOB type_files CONFIGURE_DEPENDS ${shader_dir}/types/*.glsl)
foreach(file IN LISTS type_files)
  file(STRINGS ${file} decodes REGEX "^vec4 decode4")
  if(decodes)
    get_filename_component(type ${file} NAME_WE)
    hearth_shader(gemv.${type} "" product.glsl types/${type}.glsl gemv.glsl)
    hearth_shader(gemv_subgroup.${type} -DSUBGROUP product.glsl types/${type}.glsl gemv.glsl)
    hearth_shader(tile.${type} "" product.glsl types/${type}.glsl tile.glsl tile_float.glsl tile_main.glsl)
    hearth_shader(tile_matrix.${type} -DMATRIX product.glsl types/${type}.glsl tile.glsl tile_matrix.glsl)
  endif()
  file(STRINGS ${file} levels REGEX "^uint levels4")
  if(levels)
    foreach(gated IN ITEMS "" _gated)
      set(flags -DINTEGER)
      if(gated)
        list(APPEND flags -DGATED)
      endif()
      hearth_shader(gemv_integer${gated}.${type} "${flags}" product.glsl types/${type}.glsl levels16.glsl gemv.glsl)
      hearth_shader(gemv_integer_subgroup${gated}.${type} "${flags};-DSUBGROUP" product.glsl types/${type}.glsl
                    levels16.glsl gemv.glsl)
    endforeach()
    hearth_shader(tile_integer.${type} -DINTEGER product.glsl types/${type}.glsl tile.glsl tile_integer.glsl
                  tile_main.glsl)
  endif()
endforeach()

set(text "#include <array>\n\n#include \"device/vulkan/pipelines.h\"\n\nnamespace hearth::vulkan {\nnamespace {\n")
set(table)
foreach(name IN LISTS shader_names)
  string(MAKE_C_IDENTIFIER ${name} symbol)
  string(APPEND text "const uint32_t ${symbol}[] = {\n#include \"${name}.inc\"\n};\n")
  string(APPEND table "    {\"${name}\", ${symbol}},\n")
endforeach()
string(APPEND text "const Shader all[] = {\n${table}};\n}  // namespace\nstd::span<const Shader> shaders() { return all; }\n}  // namespace hearth::vulkan\n")
file(CONFIGURE OUTPUT ${shader_out}/shaders.cpp CONTENT "${text}" @ONLY)
set_source_files_properties(${shader_out}/shaders.cpp PROPERTIES OBJECT_DEPENDS "${shader_files}")

file(GLOB vulkan_sources CONFIGURE_DEPENDS ${vulkan_dir}/*.cpp)
list(FILTER vulkan_sources EXCLUDE REGEX "/entry\\.cpp$")
add_library(hearth_vulkan STATIC ${vulkan_sources} ${shader_out}/shaders.cpp)
hearth_unite(hearth_vulkan)
target_include_directories(hearth_vulkan PUBLIC ${CMAKE_BINARY_DIR}/layers/device/private PRIVATE ${shader_out})
target_include_directories(hearth_vulkan SYSTEM PUBLIC ${HEARTH_VULKAN_INCLUDE})
# Vulkan's structures are given their type and nothing else, as its documents do. The option counts only behind those of
# hearth_flags.
add_library(hearth_vulkan_flags INTERFACE)
target_compile_options(hearth_vulkan_flags INTERFACE -Wno-missing-field-initializers)
target_link_libraries(hearth_vulkan PUBLIC hearth_device ${CMAKE_DL_LIBS} PRIVATE hearth_flags hearth_vulkan_flags)

add_library(hearth_vulkan_module MODULE ${vulkan_dir}/entry.cpp)
set_target_properties(hearth_vulkan_module PROPERTIES OUTPUT_NAME hearth-vulkan)
target_link_libraries(hearth_vulkan_module PRIVATE hearth_vulkan hearth_flags hearth_vulkan_flags)
# What comes from static libraries stays inside: the program has its own of the same names.
target_link_options(hearth_vulkan_module PRIVATE -Wl,--exclude-libs,ALL)

# The kernels alone; not built unless it is asked for, like the benchmarks of bench/.
add_executable(bench_vulkan EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/bench/vulkan/kernels.cpp)
target_link_libraries(bench_vulkan PRIVATE hearth_vulkan hearth_flags hearth_vulkan_flags)

if(TARGET hearth)
  add_dependencies(hearth hearth_vulkan_module)  # found beside the program
endif()
if(GTest_FOUND)
  hearth_test_support()
  file(GLOB vulkan_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/vulkan/*.cpp)
  add_executable(vulkan_tests ${vulkan_tests} ${CMAKE_SOURCE_DIR}/tests/worker/reference.cpp)
  target_include_directories(vulkan_tests PRIVATE ${CMAKE_SOURCE_DIR}/tests/worker)
  target_link_libraries(vulkan_tests PRIVATE hearth_vulkan hearth_worker hearth_test_support hearth_flags
                        hearth_vulkan_flags GTest::gtest)
  hearth_test_flags(vulkan)
  add_dependencies(vulkan_tests hearth_vulkan_module)
  if(TARGET hearth)
    add_dependencies(vulkan_tests hearth)
  endif()
  add_test(NAME vulkan COMMAND vulkan_tests)
  set_tests_properties(vulkan PROPERTIES COST 200)  # the longest begins first
  # Once more with the kernels that need nothing of a driver: what sums differently from the others.
  add_test(NAME vulkan_plain COMMAND vulkan_tests
           --gtest_filter=VulkanOps.Linear*:VulkanOps.Exact*:VulkanOps.Mixture*:VulkanOps.Scores*:VulkanSubmissions.*)
  set_tests_properties(vulkan_plain PROPERTIES ENVIRONMENT HEARTH_VULKAN_VARIANTS=plain)
endif()
