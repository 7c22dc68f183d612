#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "store/files/files.h"

namespace hearth {

// One byte range of a download.
struct DownloadPart {
  uint64_t offset = 0, size = 0, completed = 0;  // bytes; the first `completed` ones of the range are on disk
  bool done() const { return completed == size; }
};

// A download in progress: `BLOB-partial`, sparse and of full size, and one small JSON file per part,
// `BLOB-partial-N`, in the form that Ollama reads and writes: {"N","Offset","Size","Completed"}. `tag` names
// the version of the content at the source ("" if its digest does); another tag makes the state worthless.
class PartialFile {
 public:
  struct Cut {
    uint64_t smallest = 100'000'000, largest = 1'000'000'000;  // bytes of a part
    uint64_t wanted = 16;                                      // parts
  };

  // Opens what is there if it fits the size and the tag, else begins anew. The file is locked against other
  // programs of this kind: throws Error(busy). Throws also io, a full disk included.
  PartialFile(std::filesystem::path blob, uint64_t size, std::string tag, const Cut& cut);

  const std::filesystem::path& path() const { return file_.path(); }
  size_t count() const { return parts_.size(); }
  uint64_t size() const { return size_; }
  DownloadPart part(size_t index) const;
  uint64_t completed() const;  // bytes of all parts

  // Writes the next bytes of a part, as many as belong to it; the state is saved now and then and with
  // save(). For different parts from different threads. False when the part is complete.
  bool write(size_t index, std::string_view bytes);
  void save(size_t index);

  // Forgets all progress and goes on with a single part: the server does not serve ranges.
  void restart_in_one_part();
  // Flushes and gives the blob its final name; the state files go first.
  void finish(const std::filesystem::path& final_path);
  // Removes everything.
  void discard();

 private:
  struct Slot {
    DownloadPart part;
    uint64_t saved = 0;
    std::chrono::steady_clock::time_point saved_at{};
  };

  std::filesystem::path part_path(size_t index) const;
  bool load();
  void cut_anew(const Cut& cut);
  void remove_states();

  std::filesystem::path blob_;
  uint64_t size_;
  std::string tag_;
  Descriptor file_;
  mutable std::mutex mutex_;  // guards parts_
  std::vector<Slot> parts_;
};

// The bytes that a resumed download of this blob already has, from the state files; 0 if there is none.
uint64_t partial_bytes(const std::filesystem::path& blob);

}  // namespace hearth
