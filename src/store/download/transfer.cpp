#include "store/download/transfer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>

#include "store/files/files.h"

namespace hearth {
namespace {

constexpr unsigned most_moves = 100;  // redirects of the content, over a whole download

// The server answered a part with the whole content.
struct NoRanges {};

// "bytes 100-199/1000" -> 100.
std::optional<uint64_t> range_begin(std::string_view text) {
  constexpr std::string_view unit = "bytes ";
  if (!text.starts_with(unit)) return std::nullopt;
  text.remove_prefix(unit.size());
  uint64_t begin = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), begin);
  if (error != std::errc() || end == text.data() + text.size() || *end != '-') return std::nullopt;
  return begin;
}

}  // namespace

void pause_for(std::chrono::milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
  if (stop.stop_requested()) throw Error(Code::cancelled, "the transfer was cancelled", "start it again");
}

HttpOptions http_options(const DownloadOptions& options) {
  return {options.user_agent, std::min(options.stall, std::chrono::milliseconds(30000)), options.stall};
}

Digest BlobFetch::run(const std::stop_token& stop) {
  HttpClient client(http_options(options_));
  open(client, stop);
  if (fetch_all(stop) == Outcome::no_ranges) {
    partial_->restart_in_one_part();
    completed_ = 0;
    fetch_all(stop);
  }
  return verify(stop);
}

void BlobFetch::open(HttpClient& client, const std::stop_token& stop) {
  const auto patiently = [&]() -> BlobSource::Facts {
    for (unsigned tries = 1;; ++tries) {
      try {
        return source_->facts(client, stop);
      } catch (const HttpFailure&) {
        if (tries >= options_.tries) throw;
        pause_for(options_.first_wait * (1 << std::min(tries - 1, 6U)), stop);
      }
    }
  };
  const BlobSource::Facts facts = patiently();
  if (!expected_) expected_ = facts.digest;
  make_folders(store_.blobs_folder());
  const auto blob = store_.blob_path(key_);
  const uint64_t there = std::min(partial_bytes(blob), facts.size);
  const uint64_t missing = facts.size - there, free = free_disk_bytes(store_.blobs_folder());
  if (missing > free) {
    throw Error(Code::io,
                fmt::format("not enough disk space in {}: {} bytes are missing, {} are free",
                            store_.blobs_folder().string(), missing, free),
                "free disk space or set OLLAMA_MODELS to another disk");
  }
  partial_ = std::make_unique<PartialFile>(
      blob, facts.size, facts.tag,
      PartialFile::Cut{options_.smallest_part, options_.largest_part, std::max(1U, options_.connections)});
  completed_ = partial_->completed();
  total_ = facts.size;
}

BlobFetch::Outcome BlobFetch::fetch_all(const std::stop_token& stop) {
  next_part_ = 0;
  no_ranges_ = false;
  stop_parts_ = std::stop_source();
  error_ = nullptr;
  {
    const std::stop_callback pass_on(stop, [this] { stop_parts_.request_stop(); });
    const size_t threads = std::min<size_t>(std::max(1U, options_.connections), partial_->count());
    std::vector<std::jthread> team;
    for (size_t i = 1; i < threads; ++i) team.emplace_back([this] { work(stop_parts_.get_token()); });
    work(stop_parts_.get_token());
  }
  if (no_ranges_) return Outcome::no_ranges;
  const std::lock_guard lock(error_mutex_);
  if (error_) std::rethrow_exception(error_);
  return Outcome::complete;
}

void BlobFetch::work(const std::stop_token& stop) {
  try {
    HttpClient client(http_options(options_));
    for (size_t index = next_part_++; index < partial_->count(); index = next_part_++) {
      fetch_part(client, index, stop);
    }
  } catch (const NoRanges&) {
    no_ranges_ = true;
    stop_parts_.request_stop();
  } catch (...) {
    fail(std::current_exception());
  }
}

void BlobFetch::fail(std::exception_ptr error) {
  {
    // The first error is the cause; the cancellations of the other parts follow from it.
    const std::lock_guard lock(error_mutex_);
    if (!error_ && !no_ranges_) error_ = std::move(error);
  }
  stop_parts_.request_stop();
}

void BlobFetch::fetch_part(HttpClient& client, size_t index, const std::stop_token& stop) {
  unsigned failures = 0, stalls = 0;
  while (!partial_->part(index).done()) {
    const uint64_t before = partial_->part(index).completed;
    try {
      attempt(client, index, stop);
      continue;
    } catch (const HttpStall&) {
      // Not a failure of the part, unless the server never says a word.
      stalls = partial_->part(index).completed > before ? 0 : stalls + 1;
      if (stalls >= options_.tries) throw;
      continue;
    } catch (const HttpFailure&) {
      failures = partial_->part(index).completed > before ? 1 : failures + 1;
      if (failures >= options_.tries) throw;
    }
    pause_for(options_.first_wait * (1 << std::min(failures - 1, 6U)), stop);
  }
}

void BlobFetch::attempt(HttpClient& client, size_t index, const std::stop_token& stop) {
  struct SaveAtEnd {
    PartialFile& file;
    size_t index;
    ~SaveAtEnd() {
      try {
        file.save(index);
      } catch (const Error&) {
        // The worst is that these bytes are fetched again.
      }
    }
  } const save_at_end{*partial_, index};
  unsigned generation = 0;
  const BlobSource::Place where = place(client, generation, stop);
  const DownloadPart part = partial_->part(index);
  const uint64_t begin = part.offset + part.completed;
  const auto url = Url::parse(where.url);
  if (!url) throw HttpFailure("the registry names no valid address for the content");
  uint64_t skip = 0;
  HttpRequest request;
  request.url = *url;
  request.headers.push_back(fmt::format("Range: bytes={}-{}", begin, part.offset + part.size - 1));
  if (!where.authorization.empty()) request.headers.push_back("Authorization: " + where.authorization);
  request.on_headers = [&](const HttpResponse& response) {
    return response.redirect() || accept(response, index, begin, skip, generation);
  };
  request.sink = [&](std::string_view bytes) {
    const auto skipped = static_cast<size_t>(std::min<uint64_t>(skip, bytes.size()));
    skip -= skipped;
    bytes.remove_prefix(skipped);
    const uint64_t before = partial_->part(index).completed;
    const bool more = partial_->write(index, bytes);
    completed_ += partial_->part(index).completed - before;
    return more;
  };
  const HttpResponse response = client.send(request, stop);
  if (response.redirect()) {
    move_place(request.url, response, generation);
  } else if (!partial_->part(index).done()) {
    throw HttpFailure(fmt::format("{} ended the answer early", url->host));
  }
}

bool BlobFetch::accept(const HttpResponse& response, size_t index, uint64_t begin, uint64_t& skip,
                       unsigned generation) {
  if (response.status == 206) {
    if (range_begin(response.header("content-range")) == begin) return true;
    throw HttpFailure(fmt::format("another range was sent than bytes {} and on", begin));
  }
  if (response.status == 200) {
    const DownloadPart part = partial_->part(index);
    if (part.size != partial_->size()) throw NoRanges{};
    skip = begin;
    return true;
  }
  // An address that has expired answers 403 and the like: another one is asked for.
  const bool busy = response.status == 408 || response.status == 429;
  if (response.status >= 300 && response.status < 500 && !busy) forget_place(generation);
  throw HttpFailure(
      fmt::format("the content of {} was answered with status {}", key_.brief(), response.status));
}

BlobSource::Place BlobFetch::place(HttpClient& client, unsigned& generation, const std::stop_token& stop) {
  // Held while asking: the other parts wait for the same answer.
  const std::lock_guard lock(place_mutex_);
  if (!place_) {
    place_ = source_->locate(client, stop);
  }
  generation = generation_;
  return *place_;
}

// The content has moved on: every part asks at the new place, without the token.
void BlobFetch::move_place(const Url& from, const HttpResponse& response, unsigned generation) {
  const auto to = from.resolve(response.header("location"));
  if (!to || (from.scheme == "https" && to->scheme == "http") || ++moves_ > most_moves) {
    forget_place(generation);
    throw HttpFailure(fmt::format("{} redirects to no valid address", from.host));
  }
  const std::lock_guard lock(place_mutex_);
  if (generation != generation_) return;
  place_ = BlobSource::Place{to->text, {}};
  ++generation_;
}

void BlobFetch::forget_place(unsigned generation) {
  const std::lock_guard lock(place_mutex_);
  if (generation != generation_) return;
  place_.reset();
  ++generation_;
}

Digest BlobFetch::verify(const std::stop_token& stop) {
  Digest found = digest_of_file(partial_->path(), stop);
  if (expected_ && found != *expected_) {
    partial_->discard();
    throw Error(Code::corrupt_file,
                fmt::format("digest mismatch, file must be downloaded again: want {}, got {}",
                            expected_->text(), found.text()),
                "pull the model again");
  }
  partial_->finish(store_.blob_path(found));
  return found;
}

}  // namespace hearth
