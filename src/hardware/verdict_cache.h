#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/verdict.h"

// What probes found, kept between runs: a small JSON file per backend and device. And the attempts: each is
// on the disk before its child starts, so that a device which takes the machine down is not tried at every
// start.
namespace hearth {

// What a verdict holds for besides its device: another value of any of them asks for a new probe.
struct VerdictCircumstances {
  std::string driver;  // fingerprint of the files that make up the driver (driver_fingerprint)
  std::string kernel;  // release
  std::string build;   // of hearth
  friend bool operator==(const VerdictCircumstances&, const VerdictCircumstances&) = default;
};

struct CachedVerdict {
  ProbeVerdict verdict;
  bool fresh = false;  // the circumstances are still the same
  std::string stale;   // what changed, where they are not: "the kernel (6.1 → 6.2)"
};

// An attempt that nobody finished.
struct UnfinishedAttempt {
  std::filesystem::path file;
  std::string phase_hint;   // what was to be tried: "vulkan vulkan0 (0000:03:00.0)"
  int64_t begun = 0;        // seconds since 1970
  bool other_boot = false;  // the machine was started anew since
  int times = 1;
  // In the same start of the machine only a process ended, by its user's hand perhaps: that is allowed once.
  bool forbids() const noexcept { return other_boot || times > 1; }
};

class VerdictCache {
 public:
  // `folder` is made when something is written. `boot`: what tells this start of the machine from others
  // (/proc/sys/kernel/random/boot_id).
  VerdictCache(std::filesystem::path folder, std::string boot);

  // All verdicts that can be read; `notes` gets a line for each file that is none (and is ignored).
  std::vector<ProbeVerdict> all(std::vector<std::string>& notes) const;
  std::optional<CachedVerdict> find(const std::string& backend, const std::string& key,
                                    const VerdictCircumstances& now, std::vector<std::string>& notes) const;
  // Written beside and renamed. A folder that cannot be written to is a note, no error.
  void store(const ProbeVerdict& verdict, const VerdictCircumstances& now,
             std::vector<std::string>& notes) const;

  // An earlier attempt that nobody finished and that speaks against another one.
  std::optional<UnfinishedAttempt> forbidding(const std::string& backend, const std::string& key) const;

  // The file of an attempt, locked; removed when the attempt ends in whatever way this process lives to see.
  class Attempt {
   public:
    Attempt(std::filesystem::path file, int descriptor) : file_(std::move(file)), descriptor_(descriptor) {}
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;
    ~Attempt();

   private:
    std::filesystem::path file_;
    int descriptor_;
  };

  struct Begun {
    std::unique_ptr<Attempt> attempt;             // null where it must not be tried:
    std::optional<UnfinishedAttempt> unfinished;  // an earlier one ended the machine, or twice its process
    bool elsewhere = false;                       // another process is at it
  };
  // Records an attempt (fsync) unless an earlier one speaks against it; `again` tries nevertheless. Where
  // nothing can be written the attempt is made unrecorded, with a note.
  Begun begin(const std::string& backend, const std::string& key, const std::string& what, bool again,
              std::vector<std::string>& notes) const;

  const std::filesystem::path& folder() const noexcept { return folder_; }

 private:
  static Begun made(const std::filesystem::path& file, int descriptor);  // -1: nothing is written of it
  std::filesystem::path file_of(const std::string& backend, const std::string& key,
                                const char* extension) const;

  std::filesystem::path folder_;
  std::string boot_;
};

// Path, size and time of change of the files that a backend's driver consists of (loader library, ICD files
// and the libraries they name, vendor libraries, kernel modules' versions, our module), as one short text.
// Opens no library. `root` replaces "/" in tests.
std::string driver_fingerprint(const std::string& backend, const std::vector<std::string>& module_folders,
                               const std::string& root = "");

// Size and time of change of the running program: another build is another one.
std::string program_fingerprint(const std::string& program = "/proc/self/exe");

}  // namespace hearth
