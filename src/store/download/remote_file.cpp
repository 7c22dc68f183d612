#include "store/remote_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "store/download/transfer.h"

namespace hearth {
namespace {

constexpr int most_redirects = 10;

}  // namespace

struct RemoteFile::State {
  std::shared_ptr<BlobSource> source;
  HttpClient client;
  std::optional<uint64_t> size;
  std::optional<BlobSource::Place> place;

  // Bytes [from, to) of the file, behind `start`; false: the place moved, and is to be asked again.
  bool fetch(std::string& start, uint64_t to, const std::stop_token& stop) {
    const uint64_t from = start.size();
    const auto url = Url::parse(place->url);
    if (!url) throw HttpFailure("the server names no valid address for the content");
    uint64_t skip = 0;
    HttpRequest request;
    request.url = *url;
    request.headers.push_back(fmt::format("Range: bytes={}-{}", from, to - 1));
    if (!place->authorization.empty()) request.headers.push_back("Authorization: " + place->authorization);
    request.on_headers = [&](const HttpResponse& r) {
      if (r.status == 200) skip = from;  // it sends all of the file
      return r.redirect() || r.ok();
    };
    request.sink = [&](std::string_view bytes) {
      const auto skipped = static_cast<size_t>(std::min<uint64_t>(skip, bytes.size()));
      skip -= skipped;
      start += bytes.substr(skipped, to - start.size());
      return start.size() < to;
    };
    const HttpResponse response = client.send(request, stop);
    if (response.redirect()) {
      const auto next = url->resolve(response.header("location"));
      if (!next || (next->scheme == "http" && url->scheme == "https"))
        throw HttpFailure(fmt::format("{} redirects to no valid address", url->host));
      place = BlobSource::Place{next->text, next->same_host(*url) ? place->authorization : ""};
      return false;
    }
    if (!response.ok())
      throw HttpFailure(
          fmt::format("the content of {} was answered with status {}", url->host, response.status));
    if (start.size() < to) throw HttpFailure(fmt::format("{} ended the answer early", url->host));
    return true;
  }
};

RemoteFile::RemoteFile(std::shared_ptr<BlobSource> source, const DownloadOptions& options)
    : state_(new State{std::move(source), HttpClient(http_options(options)), {}, {}}) {}

RemoteFile::RemoteFile(RemoteFile&&) noexcept = default;
RemoteFile::~RemoteFile() = default;

uint64_t RemoteFile::size(const std::stop_token& stop) {
  if (!state_->size) state_->size = state_->source->facts(state_->client, stop).size;
  return *state_->size;
}

void RemoteFile::read_start(std::string& start, uint64_t bytes, const std::stop_token& stop) {
  const uint64_t to = std::min(bytes, size(stop));
  if (!state_->place) state_->place = state_->source->locate(state_->client, stop);
  for (int redirected = 0; start.size() < to; ++redirected) {
    if (state_->fetch(start, to, stop)) return;
    if (redirected == most_redirects) throw HttpFailure("the server redirects too often");
  }
}

}  // namespace hearth
