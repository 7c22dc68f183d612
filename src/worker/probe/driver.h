#pragma once

#include <functional>
#include <string>
#include <vector>

#include "protocol/probe.h"

// What vendors' driver libraries say of themselves and their devices, without a kernel of ours. All calls go
// through libraries that are opened here at run time: tests put their own in front (LD_LIBRARY_PATH).
namespace hearth::probe {

// A vendor's library, opened under the first name and in the first place where there is one. It is never
// closed: drivers do not take that well.
class DriverLibrary {
 public:
  // Looks along the loader's path (unless the question forbids it), then in the drivers' folders.
  DriverLibrary(const std::vector<std::string>& names, const ProbeQuestion& question);

  explicit operator bool() const noexcept { return handle_ != nullptr; }
  const std::string& path() const noexcept { return path_; }        // of the file
  const std::string& trouble() const noexcept { return trouble_; }  // why there is none

  // Null where the library has no such function.
  template <class F>
  F* function(const char* name) const {
    return reinterpret_cast<F*>(symbol(name));
  }

 private:
  void* symbol(const char* name) const;

  void* handle_ = nullptr;
  std::string path_, trouble_;
};

using BeginPhase = std::function<void(const std::string&)>;

// What the driver of a backend says: `whole` gets its version, library, replies that are no success and,
// where it is of no use, outcome and cause; the list gets its devices, each with the outcome not_built.
std::vector<ProbeVerdict> ask_cuda(const ProbeQuestion& question, ProbeVerdict& whole,
                                   const BeginPhase& begin);
std::vector<ProbeVerdict> ask_rocm(const ProbeQuestion& question, ProbeVerdict& whole,
                                   const BeginPhase& begin);

}  // namespace hearth::probe
