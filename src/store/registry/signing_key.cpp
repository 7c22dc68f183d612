#include "store/registry/signing_key.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <optional>

#include "base/error.h"
#include "store/files/files.h"

namespace hearth {
namespace {

constexpr size_t key_bytes = 32;
constexpr std::string_view first_line = "-----BEGIN OPENSSH PRIVATE KEY-----";
constexpr std::string_view last_line = "-----END OPENSSH PRIVATE KEY-----";
constexpr std::string_view magic("openssh-key-v1\0", 15);
constexpr std::string_view key_type = "ssh-ed25519";

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct FreeContext {
  void operator()(EVP_MD_CTX* made) const { EVP_MD_CTX_free(made); }
};
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;

void put_string(std::string& out, std::string_view bytes) {
  const auto size = static_cast<uint32_t>(bytes.size());
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((size >> shift) & 0xFF);
  out += bytes;
}

// Takes length-prefixed strings off a buffer; any shortage makes all later ones empty.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}
  uint32_t number() {
    const std::string_view four = take(4);
    uint32_t value = 0;
    for (const char c : four) value = (value << 8) | static_cast<uint8_t>(c);
    return value;
  }
  std::string_view string() { return take(number()); }
  std::string_view take(size_t size) {
    if (size > left_.size()) {
      left_ = {};
      return {};
    }
    const std::string_view found = left_.substr(0, size);
    left_.remove_prefix(size);
    return found;
  }

 private:
  std::string_view left_;
};

std::string decode_base64(std::string_view text) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const size_t value = alphabet.find(c);
    if (value == std::string_view::npos) continue;  // line ends, padding
    bits = (bits << 6) | static_cast<uint32_t>(value);
    if ((count += 6) < 8) continue;
    count -= 8;
    out += static_cast<char>((bits >> count) & 0xFF);
  }
  return out;
}

std::string public_blob(std::string_view public_key) {
  std::string blob;
  put_string(blob, key_type);
  put_string(blob, public_key);
  return blob;
}

// The 32 secret bytes of an OpenSSH private key file without passphrase (format: PROTOCOL.key of OpenSSH).
std::optional<std::string> secret_of_file(std::string_view text) {
  const size_t begin = text.find(first_line), end = text.find(last_line);
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) return std::nullopt;
  const std::string bytes =
      decode_base64(text.substr(begin + first_line.size(), end - begin - first_line.size()));
  Reader reader(bytes);
  if (reader.take(magic.size()) != magic) return std::nullopt;
  if (reader.string() != "none" || reader.string() != "none") return std::nullopt;  // cipher, key derivation
  reader.string();                                                                  // its options
  if (reader.number() != 1) return std::nullopt;
  reader.string();  // public key
  Reader secret(reader.string());
  if (secret.number() != secret.number() || secret.string() != key_type) return std::nullopt;
  secret.string();  // public key
  const std::string_view pair = secret.string();
  if (pair.size() != 2 * key_bytes) return std::nullopt;
  return std::string(pair.substr(0, key_bytes));
}

Key key_of_secret(std::string_view secret) {
  Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr,
                                       reinterpret_cast<const uint8_t*>(secret.data()), secret.size()));
  if (!key)
    throw Error(Code::bug, "ed25519 is not available in the cryptographic library",
                "repair the installation");
  return key;
}

std::string public_bytes(const EVP_PKEY* key) {
  std::string bytes(key_bytes, '\0');
  size_t size = bytes.size();
  EVP_PKEY_get_raw_public_key(key, reinterpret_cast<uint8_t*>(bytes.data()), &size);
  return bytes;
}

std::string file_of_secret(std::string_view secret, std::string_view public_key) {
  const std::string check = random_bytes(4);
  std::string inner = check + check;
  put_string(inner, key_type);
  put_string(inner, public_key);
  put_string(inner, std::string(secret).append(public_key));
  put_string(inner, "");  // comment
  for (char pad = 1; inner.size() % 8 != 0; ++pad) inner += pad;
  std::string outer(magic);
  put_string(outer, "none");
  put_string(outer, "none");
  put_string(outer, "");
  outer += std::string_view("\0\0\0\1", 4);
  put_string(outer, public_blob(public_key));
  put_string(outer, inner);
  const std::string encoded = base64(outer);
  std::string text(first_line);
  for (size_t at = 0; at < encoded.size(); at += 70) text.append("\n").append(encoded, at, 70);
  return text.append("\n").append(last_line).append("\n");
}

void write_new(const std::filesystem::path& path, std::string_view content, mode_t mode) {
  const auto temporary = std::filesystem::path(path) += "." + random_suffix();
  try {
    const Descriptor file = Descriptor::create_new(temporary);
    ::fchmod(file.get(), mode);
    file.write_all(content);
    file.flush();
    // link() and not rename(): a key that another process made meanwhile stays.
    if (::link(temporary.c_str(), path.c_str()) != 0 && errno != EEXIST) fail_on_file(path, "create", errno);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  ::unlink(temporary.c_str());
}

}  // namespace

std::string base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<uint8_t*>(out.data()), reinterpret_cast<const uint8_t*>(bytes.data()),
                      static_cast<int>(bytes.size()));
  out.resize(static_cast<size_t>(size));
  return out;
}

std::string base64url(std::string_view bytes) {
  std::string out = base64(bytes);
  for (char& c : out) c = c == '+' ? '-' : c == '/' ? '_' : c;
  out.resize(std::min(out.find('='), out.size()));
  return out;
}

struct SigningKey::State {
  Key key;
};

SigningKey::SigningKey(std::unique_ptr<State> state) : state_(std::move(state)) {}
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey::~SigningKey() = default;

SigningKey SigningKey::load_or_create(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) {
    const std::string secret = random_bytes(key_bytes);
    const std::string known = public_bytes(key_of_secret(secret).get());
    make_folders(file.parent_path());
    write_new(file, file_of_secret(secret, known), 0600);
  }
  const auto secret = secret_of_file(read_small_file(file, 1 << 16));
  if (!secret) {
    throw Error(Code::corrupt_file,
                fmt::format("{} is not an ed25519 key in OpenSSH form without passphrase", file.string()),
                "make one with ssh-keygen -t ed25519, or remove the file");
  }
  SigningKey key(std::make_unique<State>(State{key_of_secret(*secret)}));
  const auto beside = std::filesystem::path(file) += ".pub";
  if (!std::filesystem::exists(beside)) {
    try {
      write_new(beside, fmt::format("{} {}\n", key_type, key.public_key()), 0644);
    } catch (const Error&) {
      // Only for people to copy; signing works without it.
    }
  }
  return key;
}

std::string SigningKey::public_key() const { return base64(public_blob(public_bytes(state_->key.get()))); }

std::string SigningKey::sign(std::string_view text) const {
  const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  std::string signature(64, '\0');
  size_t size = signature.size();
  if (EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, state_->key.get()) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<uint8_t*>(signature.data()), &size,
                     reinterpret_cast<const uint8_t*>(text.data()), text.size()) != 1) {
    throw Error(Code::bug, "signing with ed25519 failed", "repair the installation");
  }
  return base64(signature);
}

}  // namespace hearth
