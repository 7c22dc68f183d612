# The sanitized build compiles the files of a folder up to eight at a time: most of what it spends is the instrumented code
# of the same standard templates, once per file. All other builds compile file by file, so that each file is known to stand
# alone.
option(HEARTH_UNITE "compile the files of a folder together" OFF)
set(HEARTH_UNITED 8)
# Files, and folders of files, whose own names (in their anonymous namespace) are those of another file in the folder.
# "Redefinition", "ambiguous" or "shadows" in this build only: give one of the two a better name, or put the file here.
# src/worker/builtin.cpp has definitions of its own.
set(HEARTH_ALONE
    src/cli/debug.cpp
    src/cli/plan.cpp
    src/cli/serve.cpp
    src/convert/huggingface/tensors.cpp
    src/device/cpu/latent_stages.cpp
    src/device/cpu/packer.cpp
    src/device/cpu/picture_stages.cpp
    src/device/cpu/portable/table.cpp
    src/device/cpu/project.cpp
    src/device/cpu/project_stages.cpp
    src/device/cpu/workspace.cpp
    src/device/vulkan/pipeline_file.cpp
    src/device/vulkan/product.cpp
    src/device/vulkan/trial_attention.cpp
    src/engine/sampler.cpp
    src/hardware/rules/nvidia_driver.cpp
    src/hardware/tables/intel.cpp
    src/hardware/tables/nvidia.cpp
    src/hardware/view/live_system.cpp
    src/hardware/view/recorded_system.cpp
    src/hardware/view/recorder.cpp
    src/model/arch/lfm2.cpp
    src/model/arch/llama.cpp
    src/model/arch/mixtures.cpp
    src/model/arch/qwen35.cpp
    src/protocol/probe.cpp
    src/server/dialects/openai/responses.cpp
    src/server/models/describe.cpp
    src/server/routes
    src/tensor/types
    src/text/grammar/regex.cpp
    src/text/template/jinja/text_methods.cpp
    src/worker/builtin.cpp
    src/worker/chat.cpp
    src/worker/probe.cpp
    tests/convert/quantize_test.cpp
    tests/device/cpu_kernels_packed_test.cpp
    tests/device/cpu_kernels_state_test.cpp
    tests/device/latent_test.cpp
    tests/e2e/server_test.cpp
    tests/engine/sampler_reference_test.cpp
    tests/formats/gguf_test.cpp
    tests/hardware/probe_faults_test.cpp
    tests/server/ollama_test.cpp
    tests/store/docker_registry_test.cpp
    tests/vulkan/matrix_test.cpp
    tests/vulkan/submission_test.cpp
    tests/worker/convert_test.cpp)

function(hearth_unite target)
  if(NOT HEARTH_UNITE)
    return()
  endif()
  get_target_property(sources ${target} SOURCES)
  set(folders)
  foreach(source IN LISTS sources)
    file(RELATIVE_PATH path ${CMAKE_SOURCE_DIR} ${source})
    get_source_file_property(own_flags ${source} COMPILE_OPTIONS)
    get_filename_component(folder ${path} DIRECTORY)
    cmake_path(IS_PREFIX CMAKE_BINARY_DIR ${source} generated)
    if(generated OR path IN_LIST HEARTH_ALONE OR folder IN_LIST HEARTH_ALONE OR own_flags)
      continue()
    endif()
    string(MAKE_C_IDENTIFIER ${folder} folder)
    list(APPEND folders ${folder})
    list(APPEND files_${folder} ${source})
  endforeach()
  list(REMOVE_DUPLICATES folders)
  foreach(folder IN LISTS folders)
    list(SORT files_${folder})
    list(LENGTH files_${folder} count)
    math(EXPR groups "(${count} + ${HEARTH_UNITED} - 1) / ${HEARTH_UNITED}")
    math(EXPR size "(${count} + ${groups} - 1) / ${groups}")
    set(i 0)
    foreach(source IN LISTS files_${folder})
      math(EXPR group "${i} / ${size}")
      math(EXPR i "${i} + 1")
      set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${folder}_${group})
    endforeach()
  endforeach()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
endfunction()
