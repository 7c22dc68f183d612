#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "store/download/transfer.h"
#include "store/files/files.h"
#include "store/registry.h"

namespace hearth {
namespace {

constexpr std::string_view suffix = ".gguf";
constexpr std::string_view gguf_magic = "GGUF";

bool has_suffix(const Url& url) {
  return url.path.size() > suffix.size() &&
         equal_ignoring_case(std::string_view(url.path).substr(url.path.size() - suffix.size()), suffix);
}

// Hugging Face names the SHA-256 of a large file in this header, or in the ETag.
std::optional<Digest> digest_of_tag(std::string_view tag) {
  if (tag.starts_with("W/")) tag.remove_prefix(2);
  if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"') tag = tag.substr(1, tag.size() - 2);
  return Digest::parse(fmt::format("sha256:{}", tag));
}

// A file at an address; redirects may lead anywhere.
class FileSource final : public BlobSource {
 public:
  FileSource(Url url, bool insecure) : url_(std::move(url)), insecure_(insecure) {}

  Facts facts(HttpClient& client, const std::stop_token& stop) override {
    Facts facts;
    find(client, "HEAD", stop, &facts);
    return facts;
  }

  Place locate(HttpClient& client, const std::stop_token& stop) override {
    return {find(client, "GET", stop, nullptr).text, {}};
  }

 private:
  static constexpr int most_redirects = 10;

  // Follows the redirects and notes on the way what the hosts say about the file.
  Url find(HttpClient& client, const char* method, const std::stop_token& stop, Facts* facts) const {
    HttpRequest request;
    request.method = method;
    request.url = url_;
    request.on_headers = [](const HttpResponse& response) { return !response.ok(); };
    for (int redirected = 0; redirected <= most_redirects; ++redirected) {
      const HttpResponse response = client.send(request, stop);
      if (facts) note(response, *facts);
      if (response.redirect()) {
        const auto next = request.url.resolve(response.header("location"));
        if (!next || (next->scheme == "http" && !insecure_))
          throw HttpFailure(fmt::format("{} redirects to no valid address", url_.host));
        request.url = *next;
        continue;
      }
      if (response.ok()) {
        if (facts && !response.content_length())
          throw HttpFailure(fmt::format("{} does not say how large the file is", url_.host));
        return request.url;
      }
      if (response.status >= 500 || response.status == 429)
        throw HttpFailure(fmt::format("{} answers with status {}", url_.host, response.status));
      throw Error(response.status == 404 ? Code::not_found : Code::bad_request,
                  fmt::format("{} answers with status {}", url_.text, response.status),
                  "check the address of the file");
    }
    throw HttpFailure(fmt::format("{} redirects more than {} times", url_.host, most_redirects));
  }

  static void note(const HttpResponse& response, Facts& facts) {
    for (const std::string_view name : {"x-linked-etag", "etag"}) {
      const std::string_view tag = response.header(name);
      if (tag.empty() || facts.digest) continue;
      facts.digest = digest_of_tag(tag);
      facts.tag = tag.substr(0, 200);
    }
    if (response.ok()) facts.size = response.content_length().value_or(0);
  }

  Url url_;
  bool insecure_;
};

Url address_or_throw(std::string_view text) {
  if (auto url = Url::parse(text); url && has_suffix(*url)) return *std::move(url);
  throw Error(Code::bad_request, "this is no address of a GGUF file", "write https://HOST/PATH/NAME.gguf");
}

Url safe_address(std::string_view text, bool insecure) {
  Url url = address_or_throw(text);
  if (url.scheme == "http" && !insecure) {
    throw Error(Code::bad_request, fmt::format("{} asks for plain http", url.text),
                "use https, or allow it with insecure");
  }
  return url;
}

bool is_gguf(const std::filesystem::path& path) {
  char start[4] = {};
  const size_t got = Descriptor::open_for_reading(path).read_at(start, sizeof start, 0);
  return std::string_view(start, got) == gguf_magic;
}

}  // namespace

bool Registry::is_file_address(std::string_view text) {
  if (text.find("://") == std::string_view::npos) return false;
  const auto url = Url::parse(text);
  return url && has_suffix(*url);
}

ModelName Registry::name_of_file(std::string_view address) {
  const Url url = address_or_throw(address);
  std::string leaf = url.path.substr(url.path.rfind('/') + 1);
  leaf.resize(std::min<size_t>(leaf.size() - suffix.size(), 80));
  ModelName name;
  for (const char c : leaf) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_';
    name.model += plain ? c : '-';
  }
  name.model.erase(0, std::min(name.model.find_first_not_of(".-"), name.model.size()));
  return ModelName::parse_or_throw(name.model);
}

RemoteFile Registry::remote_file(std::string_view address, bool insecure) {
  return RemoteFile(std::make_shared<FileSource>(safe_address(address, insecure), insecure),
                    downloads_.options());
}

void Registry::pull_file(std::string_view address, const ModelName& name, bool insecure,
                         const Describe& describe, const OnTransferProgress& progress,
                         const std::stop_token& stop) {
  const Url url = safe_address(address, insecure);
  const Digest key = digest_of(url.text);
  TransferProgress line{"pulling " + key.brief(), key, 0, 0};
  const BlobHold hold_key = store_.hold({key});
  const Digest digest = downloads_.fetch(
      key, std::nullopt, std::make_shared<FileSource>(url, insecure),
      [&](uint64_t completed, uint64_t total) {
        line.completed = completed;
        line.total = total;
        progress(line);
      },
      stop);
  const auto path = store_.blob_path(digest);
  if (!is_gguf(path)) {
    store_.remove_if_unused(digest);
    throw Error(Code::corrupt_file, fmt::format("{} holds no GGUF file", url.text),
                "check the address of the file");
  }
  const BlobHold hold = store_.hold({digest});
  progress({"verifying sha256 digest"});
  ModelConfig config;
  if (describe) config = describe(path);
  config.model_format = "gguf";
  const Layer weights{std::string(media::model), digest, store_.blob_size(digest).value_or(0), {}, {}};
  const Layer written = store_.add_blob(config.print({weights}), media::config);
  progress({"writing manifest"});
  store_.write_manifest(name, Manifest::make(written, {weights}));
  progress({"success"});
}

}  // namespace hearth
