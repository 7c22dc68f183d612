#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "store/files/files.h"
#include "store/store.h"

namespace hearth {
namespace {

Descriptor open_temporary(const Store& store) {
  make_folders(store.blobs_folder());
  return Descriptor::create_new(store.blobs_folder() / ("sha256-" + random_suffix()));
}

}  // namespace

struct BlobWriter::State {
  explicit State(const Store& owner) : store(owner), file(open_temporary(owner)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (!renamed) ::unlink(file.path().c_str());
  }

  const Store& store;
  Descriptor file;
  Sha256 hash;
  uint64_t size = 0;
  bool renamed = false;
};

BlobWriter::BlobWriter(const Store& store) : state_(std::make_unique<State>(store)) {}
BlobWriter::BlobWriter(BlobWriter&&) noexcept = default;
BlobWriter::~BlobWriter() = default;

void BlobWriter::write(std::string_view bytes) {
  state_->file.write_all(bytes);
  state_->hash.update(bytes);
  state_->size += bytes.size();
}

Layer BlobWriter::finish(std::string_view media_type, const std::optional<Digest>& expected) {
  State& state = *state_;
  const Digest digest = state.hash.finish();
  if (expected && *expected != digest) {
    throw Error(Code::bad_request,
                fmt::format("digest mismatch, expected {}, got {}", expected->text(), digest.text()),
                "send the bytes again, with the digest of these very bytes");
  }
  Layer layer{std::string(media_type), digest, state.size, {}, {}};
  // The same digest and the same size are the same content; another size is a damaged blob, which is
  // replaced.
  if (state.store.blob_size(digest) == state.size) {
    state.store.touch(digest);
    return layer;
  }
  state.file.flush();
  state.file.close();
  const auto path = state.store.blob_path(digest);
  if (::rename(state.file.path().c_str(), path.c_str()) != 0) fail_on_file(path, "replace", errno);
  state.renamed = true;
  flush_folder(state.store.blobs_folder());
  return layer;
}

}  // namespace hearth
