#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>
#include <set>
#include <vector>

#include "base/error.h"
#include "store/download/transfer.h"
#include "store/files/files.h"
#include "store/registry.h"
#include "store/registry/session.h"

namespace hearth {
namespace {

using Md5 = std::array<uint8_t, 16>;

Md5 md5_of_range(const Descriptor& file, uint64_t offset, uint64_t size) {
  struct Free {
    void operator()(EVP_MD_CTX* made) const { EVP_MD_CTX_free(made); }
  };
  const std::unique_ptr<EVP_MD_CTX, Free> context(EVP_MD_CTX_new());
  EVP_DigestInit_ex(context.get(), EVP_md5(), nullptr);
  std::vector<char> chunk(1 << 20);
  while (size > 0) {
    const size_t got =
        file.read_at(chunk.data(), static_cast<size_t>(std::min<uint64_t>(size, chunk.size())), offset);
    if (got == 0) break;
    EVP_DigestUpdate(context.get(), chunk.data(), got);
    offset += got;
    size -= got;
  }
  Md5 sum{};
  EVP_DigestFinal_ex(context.get(), sum.data(), nullptr);
  return sum;
}

std::string hex_md5(const std::string& bytes) {
  Md5 sum{};
  EVP_Digest(bytes.data(), bytes.size(), sum.data(), nullptr, EVP_md5(), nullptr);
  std::string hex;
  for (const uint8_t byte : sum) hex += fmt::format("{:02x}", byte);
  return hex;
}

// One blob on its way up: the parts go one after the other, each to the address that the answer to the last
// named.
class BlobPush {
 public:
  BlobPush(RegistrySession& session, const Store& store, const DownloadOptions& options, const Layer& layer,
           const OnTransferProgress& progress, const std::stop_token& stop)
      : session_(session),
        options_(options),
        layer_(layer),
        progress_(progress),
        stop_(stop),
        client_(http_options(options)),
        file_(Descriptor::open_for_reading(store.blob_path(layer.digest))) {}

  void run() {
    report(0);
    if (!is_there() && !begin()) {
      const uint64_t wanted = std::clamp(layer_.size / 16, options_.smallest_part, options_.largest_part);
      for (uint64_t offset = 0; offset < layer_.size; offset += wanted) {
        send_part(offset, std::min(wanted, layer_.size - offset));
      }
      finish();
    }
    report(layer_.size);
  }

 private:
  void report(uint64_t completed) {
    progress_({"pushing " + layer_.digest.brief(), layer_.digest, completed, layer_.size});
  }

  HttpResponse send(HttpRequest request) {
    return session_.send(client_, std::move(request), Redirects::same_host, stop_);
  }

  bool is_there() {
    HttpRequest request;
    request.method = "HEAD";
    request.url = session_.address("blobs/" + layer_.digest.text());
    const HttpResponse response = session_.send(client_, request, Redirects::any_host, stop_);
    if (response.status != 404 && !response.ok()) fail_on_response(response);
    return response.ok();
  }

  // True if the registry could take the blob over from another model of its own.
  bool begin() {
    HttpRequest request;
    request.method = "POST";
    std::string path = "blobs/uploads/";
    const auto parent = layer_.from.empty() ? std::nullopt : ModelName::parse(layer_.from);
    if (parent)
      path += fmt::format("?mount={}&from={}/{}", escape_query(layer_.digest.text()), parent->space,
                          parent->model);
    request.url = session_.address(path);
    const HttpResponse response = send(request);
    if (!response.ok()) fail_on_response(response);
    if (parent && response.status == 201) return true;
    take_next(request.url, response);
    return false;
  }

  void take_next(const Url& from, HttpResponse response) {
    if (const std::string own(response.header("docker-upload-location")); !own.empty()) {
      response.headers["location"] = own;
    }
    next_ = response.header("location").empty() ? from : session_.follow(from, response);
  }

  void send_part(uint64_t offset, uint64_t size) {
    sums_.append(reinterpret_cast<const char*>(md5_of_range(file_, offset, size).data()), Md5().size());
    ++parts_;
    for (unsigned tries = 1;; ++tries) {
      try {
        return try_part(offset, size);
      } catch (const HttpFailure&) {
        if (tries >= options_.tries) throw;
        pause_for(options_.first_wait * (1 << std::min(tries - 1, 6U)), stop_);
      }
    }
  }

  void try_part(uint64_t offset, uint64_t size) {
    HttpRequest request;
    request.method = "PATCH";
    request.url = next_;
    request.headers = {"Content-Type: application/octet-stream", "X-Redirect-Uploads: 1",
                       fmt::format("Content-Range: {}-{}", offset, offset + size - 1)};
    request.upload = upload(offset, size);
    if (const std::string value = session_.authorization(next_); !value.empty()) {
      request.headers.push_back("Authorization: " + value);
    }
    HttpResponse response = client_.send(request, stop_);
    if (response.status == 401) {
      // The token may have run out in the meantime: any request that the session answers brings a new one.
      is_there();
      throw HttpFailure("the registry wants a new token for the upload");
    }
    if (response.status == 307) {
      HttpRequest put;
      put.method = "PUT";
      put.url = session_.follow(next_, response);
      put.upload = upload(offset, size);
      const Url from = next_;
      take_next(
          from,
          HttpResponse{response.status,
                       {{"docker-upload-location", std::string(response.header("docker-upload-location"))}},
                       {}});
      response = client_.send(put, stop_);
      if (!response.ok()) throw HttpFailure(registry_error(response));
      return;
    }
    if (!response.ok()) fail_on_response(response);
    take_next(next_, response);
  }

  HttpRequest::Upload upload(uint64_t offset, uint64_t size) {
    return {size, [this, offset](char* into, size_t room, uint64_t at) {
              const size_t got = file_.read_at(into, room, offset + at);
              report(std::min(offset + at + got, layer_.size));
              return got;
            }};
  }

  void finish() {
    HttpRequest request;
    request.method = "PUT";
    const std::string text = fmt::format("{}{}digest={}&etag={}-{}", next_.text,
                                         next_.text.find('?') == std::string::npos ? '?' : '&',
                                         escape_query(layer_.digest.text()), hex_md5(sums_), parts_);
    const auto url = Url::parse(text);
    if (!url) throw HttpFailure("the registry names no valid address for the upload");
    request.url = *url;
    request.headers = {"Content-Type: application/octet-stream"};
    const HttpResponse response = send(request);
    if (!response.ok()) fail_on_response(response);
  }

  RegistrySession& session_;
  const DownloadOptions& options_;
  const Layer& layer_;
  const OnTransferProgress& progress_;
  const std::stop_token& stop_;
  HttpClient client_;
  Descriptor file_;
  Url next_;          // where the next part goes
  std::string sums_;  // the MD5s of the parts, one after the other
  unsigned parts_ = 0;
};

// Works again from its beginning where the network or the registry failed. Parts have tries of their own.
template <class Work>
void with_patience(const DownloadOptions& options, const std::stop_token& stop, const Work& work) {
  constexpr unsigned most = 4;
  for (unsigned tries = 1;; ++tries) {
    try {
      return work();
    } catch (const HttpFailure&) {
      if (tries >= std::min(options.tries, most)) throw;
      pause_for(options.first_wait * (1 << (tries - 1)), stop);
    }
  }
}

}  // namespace

void Registry::push(const ModelName& name, bool insecure, const OnTransferProgress& progress,
                    const std::stop_token& stop) {
  progress({"retrieving manifest"});
  const InstalledModel model = store_.get(name);
  ModelName target = model.name;
  target.scheme = name.scheme;
  RegistrySession session(target, insecure, options_.key_file);
  std::set<Digest> done;
  model.manifest.for_each_blob([&](const Layer& layer) {
    if (!done.insert(layer.digest).second) return;
    with_patience(downloads_.options(), stop,
                  [&] { BlobPush(session, store_, downloads_.options(), layer, progress, stop).run(); });
  });
  progress({"pushing manifest"});
  HttpClient client(http_options(downloads_.options()));
  HttpRequest request;
  request.method = "PUT";
  request.url = session.address("manifests/" + target.tag);
  request.headers = {fmt::format("Content-Type: {}", media::manifest)};
  request.body = model.manifest.bytes;
  with_patience(downloads_.options(), stop, [&] {
    const HttpResponse response = session.send(client, request, Redirects::same_host, stop);
    if (!response.ok()) fail_on_response(response);
  });
  progress({"success"});
}

}  // namespace hearth
