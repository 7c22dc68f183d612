#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace hearth {

// A SHA-256, always 64 lower-case hex digits; there is no empty Digest.
class Digest {
 public:
  // "sha256:HEX" or "sha256-HEX", hex in any case; none for anything else.
  static std::optional<Digest> parse(std::string_view text);
  // As above. Throws Error(bad_request): "invalid digest format".
  static Digest parse_or_throw(std::string_view text);
  static Digest from_bytes(const std::array<uint8_t, 32>& bytes);

  const std::string& hex() const noexcept { return hex_; }
  std::string text() const { return "sha256:" + hex_; }       // as in JSON
  std::string file_name() const { return "sha256-" + hex_; }  // as below `blobs`
  std::string brief() const { return hex_.substr(0, 12); }    // as in lists and progress

  // NOLINTNEXTLINE(modernize-use-nullptr): Clang 14 takes the 0 of a comparison for a pointer.
  friend auto operator<=>(const Digest&, const Digest&) = default;

 private:
  explicit Digest(std::string hex) : hex_(std::move(hex)) {}
  std::string hex_;
};

// Hashes a stream of bytes.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();
  void update(std::string_view bytes);
  // The digest of everything so far; the object begins anew.
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Digest digest_of(std::string_view bytes);

// Reads the file once. `progress` is told the bytes done so far, about every 8 MiB. Throws Error: not_found,
// io, cancelled.
Digest digest_of_file(const std::filesystem::path& path, const std::stop_token& stop = {},
                      const std::function<void(uint64_t)>& progress = {});

}  // namespace hearth
