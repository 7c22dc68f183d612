#include "hardware/verdict_cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/error.h"
#include "base/file.h"

namespace hearth {
namespace {

namespace fs = std::filesystem;

constexpr int format_version = 1;
constexpr uintmax_t largest_file = 1 << 20;

uint64_t fnv(std::string_view text) {
  uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

int64_t now_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string string_of(const json::object& o, const char* key) {
  return json::value_to<std::string>(o.at(key));
}

struct Entry {
  ProbeVerdict verdict;
  VerdictCircumstances circumstances;
};

// Throws on anything that is no entry.
Entry read_entry(const fs::path& file) {
  if (!fs::is_regular_file(file) || fs::file_size(file) > largest_file)
    throw Error(Code::corrupt_file, "it is no small file", "delete it");
  const Json parsed = json::parse(read_file(file));
  const json::object& o = parsed.as_object();
  if (o.at("format").to_number<int>() != format_version)
    throw Error(Code::corrupt_file, "it is of another version", "delete it");
  return {decode_verdict(o.at("verdict")),
          {string_of(o, "driver"), string_of(o, "kernel"), string_of(o, "build")}};
}

std::string difference(const VerdictCircumstances& then, const VerdictCircumstances& now) {
  if (then.kernel != now.kernel) return fmt::format("the kernel ({} → {})", then.kernel, now.kernel);
  if (then.driver != now.driver) return "the driver's files";
  return then.build != now.build ? "hearth itself" : "";
}

std::string explain(const std::exception& e) {
  const auto* error = dynamic_cast<const Error*>(&e);
  return error != nullptr ? error->message : e.what();
}

bool write_all(int descriptor, std::string_view text) {
  return ::ftruncate(descriptor, 0) == 0 &&
         ::pwrite(descriptor, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()) &&
         ::fsync(descriptor) == 0;
}

// The name in the folder must survive too.
void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

// What an earlier attempt left; a file that is no record counts as one of an unknown start.
UnfinishedAttempt read_attempt(const fs::path& file, int descriptor, const std::string& boot) {
  UnfinishedAttempt a{file, {}, 0, true, 1};
  std::string text(4096, '\0');
  const ssize_t got = ::pread(descriptor, text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  try {
    const Json parsed = json::parse(text);
    const json::object& o = parsed.as_object();
    a.phase_hint = string_of(o, "what");
    a.begun = o.at("begun").to_number<int64_t>();
    a.times = std::clamp(o.at("times").to_number<int>(), 1, 1000);
    a.other_boot = string_of(o, "boot") != boot;
  } catch (const std::exception&) {
  }
  return a;
}

}  // namespace

VerdictCache::VerdictCache(fs::path folder, std::string boot)
    : folder_(std::move(folder)), boot_(std::move(boot)) {}

fs::path VerdictCache::file_of(const std::string& backend, const std::string& key,
                               const char* extension) const {
  std::string name = backend + "-" + key;
  for (char& c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == ':';
    if (!plain) c = '_';
  }
  return folder_ /
         fmt::format("{}-{:08x}{}", name.substr(0, 80), fnv(backend + "\n" + key) & 0xffffffff, extension);
}

std::vector<ProbeVerdict> VerdictCache::all(std::vector<std::string>& notes) const {
  std::vector<fs::path> files;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder_, none)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<ProbeVerdict> found;
  for (const fs::path& file : files) {
    try {
      found.push_back(read_entry(file).verdict);
    } catch (const std::exception& e) {
      notes.push_back(fmt::format("{} is ignored: {}", file.string(), explain(e)));
    }
  }
  return found;
}

std::optional<CachedVerdict> VerdictCache::find(const std::string& backend, const std::string& key,
                                                const VerdictCircumstances& now,
                                                std::vector<std::string>& notes) const {
  const fs::path file = file_of(backend, key, ".json");
  std::error_code none;
  if (!fs::exists(file, none)) return std::nullopt;
  try {
    Entry entry = read_entry(file);
    if (entry.verdict.backend != backend || entry.verdict.key != key)
      throw Error(Code::corrupt_file, "it is about another device", "delete it");
    std::string stale = difference(entry.circumstances, now);
    return CachedVerdict{std::move(entry.verdict), stale.empty(), std::move(stale)};
  } catch (const std::exception& e) {
    notes.push_back(fmt::format("{} is ignored: {}", file.string(), explain(e)));
    return std::nullopt;
  }
}

void VerdictCache::store(const ProbeVerdict& verdict, const VerdictCircumstances& now,
                         std::vector<std::string>& notes) const {
  const json::object entry{{"format", format_version},
                           {"driver", now.driver},
                           {"kernel", now.kernel},
                           {"build", now.build},
                           {"verdict", encode(verdict)}};
  try {
    fs::create_directories(folder_);
    write_file_atomic(file_of(verdict.backend, verdict.key, ".json"), json::serialize(entry) + "\n");
  } catch (const std::exception& e) {
    notes.push_back(fmt::format("the verdict cannot be kept: {}", explain(e)));
  }
}

std::optional<UnfinishedAttempt> VerdictCache::forbidding(const std::string& backend,
                                                          const std::string& key) const {
  const fs::path file = file_of(backend, key, ".attempt");
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor < 0) return std::nullopt;
  std::optional<UnfinishedAttempt> found;
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) {  // else it goes on
    const UnfinishedAttempt earlier = read_attempt(file, descriptor, boot_);
    if (earlier.forbids()) found = earlier;
  }
  ::close(descriptor);
  return found;
}

VerdictCache::Begun VerdictCache::made(const fs::path& file, int descriptor) {
  Begun begun;
  begun.attempt = std::make_unique<Attempt>(file, descriptor);
  return begun;
}

VerdictCache::Begun VerdictCache::begin(const std::string& backend, const std::string& key,
                                        const std::string& what, bool again,
                                        std::vector<std::string>& notes) const {
  const fs::path file = file_of(backend, key, ".attempt");
  std::error_code none;
  fs::create_directories(folder_, none);
  const bool existed = fs::exists(file, none);
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (descriptor < 0) {
    notes.push_back(
        fmt::format("{} cannot be written ({}): a device that takes the machine down would be tried again",
                    file.string(), std::strerror(errno)));
    return made({}, -1);
  }
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    ::close(descriptor);
    return {nullptr, {}, true};
  }
  int times = 1;
  if (existed) {
    const UnfinishedAttempt earlier = read_attempt(file, descriptor, boot_);
    if (!again && earlier.forbids()) {
      ::close(descriptor);
      return {nullptr, earlier, false};
    }
    times = earlier.other_boot ? 1 : earlier.times + 1;
  }
  const json::object record{{"what", what}, {"begun", now_seconds()}, {"boot", boot_}, {"times", times}};
  if (!write_all(descriptor, json::serialize(record) + "\n"))
    notes.push_back(fmt::format("{} cannot be written: {}", file.string(), std::strerror(errno)));
  sync_folder(folder_);
  return made(file, descriptor);
}

VerdictCache::Attempt::~Attempt() {
  if (descriptor_ < 0) return;
  std::error_code none;
  fs::remove(file_, none);  // before the lock ends: nobody else has seen it unlocked
  ::close(descriptor_);
}

}  // namespace hearth
