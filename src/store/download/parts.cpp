#include "store/download/parts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/json.h"

namespace hearth {
namespace fs = std::filesystem;
namespace {

constexpr size_t most_parts = 4096;
constexpr uint64_t save_every_bytes = 8 << 20;
constexpr std::chrono::milliseconds save_every{500};

fs::path with_suffix(const fs::path& blob, const std::string& suffix) { return fs::path(blob) += suffix; }

struct SavedPart {
  uint64_t number = 0;
  DownloadPart part;
  std::string tag;
};

std::optional<uint64_t> number_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (!value || !value->is_int64() || value->get_int64() < 0) return std::nullopt;
  return static_cast<uint64_t>(value->get_int64());
}

std::optional<SavedPart> read_state(const fs::path& path) {
  try {
    boost::system::error_code error;
    const json::value value = json::parse(read_small_file(path, 4096), error);
    if (error || !value.is_object()) return std::nullopt;
    const json::object& object = value.get_object();
    const auto number = number_at(object, "N"), offset = number_at(object, "Offset"),
               size = number_at(object, "Size"), completed = number_at(object, "Completed");
    if (!number || !offset || !size || !completed || *completed > *size) return std::nullopt;
    const json::value* tag = object.if_contains("Tag");
    return SavedPart{
        *number, {*offset, *size, *completed}, tag && tag->is_string() ? std::string(tag->get_string()) : ""};
  } catch (const Error&) {
    return std::nullopt;
  }
}

void remove_file(const fs::path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail_on_file(path, "remove", errno);
}

}  // namespace

PartialFile::PartialFile(fs::path blob, uint64_t size, std::string tag, const Cut& cut)
    : blob_(std::move(blob)),
      size_(size),
      tag_(std::move(tag)),
      file_(Descriptor::open_or_create(with_suffix(blob_, "-partial"))) {
  if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
    throw Error(Code::busy, fmt::format("another program is downloading {}", blob_.filename().string()),
                "wait until it is done");
  }
  if (file_.size() != size_ || !load()) cut_anew(cut);
}

fs::path PartialFile::part_path(size_t index) const {
  return with_suffix(blob_, fmt::format("-partial-{}", index));
}

// All parts must be there and tile the file without gaps, else nothing is believed.
bool PartialFile::load() {
  uint64_t offset = 0;
  while (parts_.size() < most_parts) {
    const auto saved = read_state(part_path(parts_.size()));
    if (!saved || saved->number != parts_.size() || saved->part.offset != offset || saved->tag != tag_ ||
        saved->part.size > size_ - offset) {
      break;
    }
    offset += saved->part.size;
    parts_.push_back({saved->part, saved->part.completed, {}});
    if (offset == size_) return true;
  }
  parts_.clear();
  return false;
}

void PartialFile::cut_anew(const Cut& cut) {
  remove_states();
  file_.resize(0);
  file_.resize(size_);
  const uint64_t size = std::max<uint64_t>(1, std::clamp(size_ / cut.wanted, cut.smallest, cut.largest));
  parts_.clear();
  for (uint64_t offset = 0; offset < size_ || parts_.empty(); offset += size) {
    parts_.push_back({{offset, std::min(size, size_ - offset), 0}, 1, {}});
  }
  for (size_t index = 0; index < parts_.size(); ++index) save(index);
}

void PartialFile::remove_states() {
  // Files of a former cut too: their numbers have no end that we know.
  const std::string begin = blob_.filename().string() + "-partial-";
  std::vector<fs::path> states;
  for (const auto& entry : fs::directory_iterator(blob_.parent_path())) {
    if (entry.path().filename().string().starts_with(begin)) states.push_back(entry.path());
  }
  for (const fs::path& state : states) remove_file(state);
}

DownloadPart PartialFile::part(size_t index) const {
  const std::lock_guard lock(mutex_);
  return parts_[index].part;
}

uint64_t PartialFile::completed() const {
  const std::lock_guard lock(mutex_);
  uint64_t sum = 0;
  for (const Slot& slot : parts_) sum += slot.part.completed;
  return sum;
}

bool PartialFile::write(size_t index, std::string_view bytes) {
  const DownloadPart before = part(index);
  bytes =
      bytes.substr(0, static_cast<size_t>(std::min<uint64_t>(bytes.size(), before.size - before.completed)));
  file_.write_all_at(bytes, before.offset + before.completed);
  bool due = false, more = false;
  {
    const std::lock_guard lock(mutex_);
    Slot& slot = parts_[index];
    slot.part.completed += bytes.size();
    more = !slot.part.done();
    due = !more || slot.part.completed - slot.saved >= save_every_bytes ||
          std::chrono::steady_clock::now() - slot.saved_at >= save_every;
  }
  if (due) save(index);
  return more;
}

void PartialFile::save(size_t index) {
  DownloadPart part;
  {
    const std::lock_guard lock(mutex_);
    Slot& slot = parts_[index];
    if (slot.saved == slot.part.completed) return;
    slot.saved = slot.part.completed;
    slot.saved_at = std::chrono::steady_clock::now();
    part = slot.part;
  }
  json::object state{
      {"N", index}, {"Offset", part.offset}, {"Size", part.size}, {"Completed", part.completed}};
  if (!tag_.empty()) state["Tag"] = tag_;
  // One write in place: a temporary file beside it would be taken for the state of another part by Ollama.
  // The text never gets shorter while a part grows.
  Descriptor::open_or_create(part_path(index)).write_all_at(json::serialize(state) + "\n", 0);
}

void PartialFile::restart_in_one_part() {
  cut_anew({std::max<uint64_t>(size_, 1), std::max<uint64_t>(size_, 1), 1});
}

void PartialFile::finish(const fs::path& final_path) {
  file_.flush();
  // Renamed before the states go: a crash between leaves a whole blob and a few files for prune().
  if (::rename(file_.path().c_str(), final_path.c_str()) != 0) fail_on_file(final_path, "replace", errno);
  flush_folder(final_path.parent_path());
  remove_states();
}

void PartialFile::discard() {
  remove_states();
  remove_file(file_.path());
}

uint64_t partial_bytes(const fs::path& blob) {
  uint64_t sum = 0;
  std::error_code error;
  if (!fs::exists(with_suffix(blob, "-partial"), error)) return 0;
  for (size_t index = 0; index < most_parts; ++index) {
    const auto saved = read_state(with_suffix(blob, fmt::format("-partial-{}", index)));
    if (!saved) break;
    sum += saved->part.completed;
  }
  return sum;
}

}  // namespace hearth
