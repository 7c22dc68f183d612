#include "store/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "store/files/files.h"

namespace hearth {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";
constexpr size_t chunk_bytes = 1 << 20;

void check(int openssl_result) {
  if (openssl_result != 1) {
    throw Error(Code::bug, "SHA-256 is not available in the cryptographic library",
                "repair the installation");
  }
}

}  // namespace

std::optional<Digest> Digest::parse(std::string_view text) {
  if (text.size() != 71 || !text.starts_with("sha256")) return std::nullopt;
  if (text[6] != ':' && text[6] != '-') return std::nullopt;
  std::string hex(text.substr(7));
  for (char& c : hex) {
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
    if (hex_digits.find(c) == std::string_view::npos) return std::nullopt;
  }
  return Digest(std::move(hex));
}

Digest Digest::parse_or_throw(std::string_view text) {
  if (auto digest = parse(text)) return *std::move(digest);
  throw Error(Code::bad_request, "invalid digest format", "write sha256: and 64 hexadecimal digits");
}

Digest Digest::from_bytes(const std::array<uint8_t, 32>& bytes) {
  std::string hex;
  hex.reserve(64);
  for (const uint8_t byte : bytes) {
    hex += hex_digits[byte >> 4];
    hex += hex_digits[byte & 15];
  }
  return Digest(std::move(hex));
}

struct Sha256::State {
  struct Free {
    void operator()(EVP_MD_CTX* made) const { EVP_MD_CTX_free(made); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context{EVP_MD_CTX_new()};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  check(EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr));
}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(std::string_view bytes) {
  check(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()));
}

Digest Sha256::finish() {
  std::array<uint8_t, 32> bytes{};
  check(EVP_DigestFinal_ex(state_->context.get(), bytes.data(), nullptr));
  check(EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr));
  return Digest::from_bytes(bytes);
}

Digest digest_of(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

Digest digest_of_file(const std::filesystem::path& path, const std::stop_token& stop,
                      const std::function<void(uint64_t)>& progress) {
  const Descriptor file = Descriptor::open_for_reading(path);
  std::vector<char> chunk(chunk_bytes);
  Sha256 hash;
  uint64_t done = 0;
  while (const size_t got = file.read_some(chunk.data(), chunk.size())) {
    if (stop.stop_requested()) {
      throw Error(Code::cancelled, fmt::format("reading {} was cancelled", path.string()), "start it again");
    }
    hash.update({chunk.data(), got});
    done += got;
    if (progress && done % (8 * chunk_bytes) < got) progress(done);
  }
  return hash.finish();
}

}  // namespace hearth
