#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace hearth {

std::string base64(std::string_view bytes);
// Without padding, with - and _ instead of + and /.
std::string base64url(std::string_view bytes);

// The ed25519 key that tells registries who asks, in OpenSSH form without a passphrase.
class SigningKey {
 public:
  // Reads `file`; if it is missing, makes a new pair: `file` 0600 and `file`.pub 0644. Throws Error: io,
  // corrupt_file (of another form).
  static SigningKey load_or_create(const std::filesystem::path& file);
  SigningKey(SigningKey&&) noexcept;
  SigningKey& operator=(SigningKey&&) = delete;
  ~SigningKey();

  // The middle word of the public key file.
  std::string public_key() const;
  // Base64 of the signature over `text`.
  std::string sign(std::string_view text) const;

 private:
  struct State;
  explicit SigningKey(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace hearth
