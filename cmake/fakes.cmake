# Shared objects that tests load in place of backend modules and vendors' drivers.
set(fakes ${CMAKE_BINARY_DIR}/fakes)

function(hearth_fake target source folder)
  add_library(${target} MODULE ${CMAKE_SOURCE_DIR}/tests/modules/${source})
  set_target_properties(${target} PROPERTIES PREFIX "" SUFFIX "" OUTPUT_NAME ${target}
                                             LIBRARY_OUTPUT_DIRECTORY ${fakes}/${folder})
  # A vendor's library does not carry the types that Clang's check of calls looks for.
  target_link_libraries(${target} PRIVATE hearth_flags hearth_no_function_check ${ARGN})
endfunction()

hearth_fake(libhearth-fake.so fake_module.cpp modules hearth_device)
hearth_fake(libcuda.so.1 fake_cuda.cpp cuda)
hearth_fake(libhsa-runtime64.so.1 fake_hsa.cpp rocm)
add_dependencies(hardware_tests hearth libhearth-fake.so libcuda.so.1 libhsa-runtime64.so.1)
add_dependencies(scheduler_tests libhearth-fake.so)
# One object serves under several names: a vendor's second library, a module of another backend.
foreach(link "cuda/libnvidia-ml.so.1:libcuda.so.1" "rocm/libamdhip64.so:libhsa-runtime64.so.1")
  string(REPLACE ":" ";" parts ${link})
  list(GET parts 0 name)
  list(GET parts 1 object)
  get_filename_component(folder ${name} DIRECTORY)
  file(MAKE_DIRECTORY ${fakes}/${folder})
  file(CREATE_LINK ${object} ${fakes}/${name} SYMBOLIC)
endforeach()
