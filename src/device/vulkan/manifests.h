#pragma once

#include <string>

namespace hearth::vulkan {

// The Vulkan drivers that are installed and cannot be loaded, with the linker's reason: "nvidia_icd.json
// names libGLX_nvidia.so.0, and libX11.so.6 is missing" is what a container without X11's libraries has.
// Loaders pass over such drivers in silence. Reads the manifests where the loader looks for them
// (VK_DRIVER_FILES and VK_ICD_FILENAMES, else icd.d of the system's folders); empty where all of them load,
// or there is none.
std::string drivers_that_do_not_load();

}  // namespace hearth::vulkan
