#include "server/http/encoding.h"

#include <fmt/format.h>
#include <zstd.h>

#include <memory>

#include "base/error.h"

namespace hearth {
namespace {

struct FreeStream {
  void operator()(ZSTD_DCtx* stream) const { ZSTD_freeDCtx(stream); }
};

[[noreturn]] void broken(const char* why) {
  throw Error(Code::bad_request, fmt::format("the zstd-compressed request body is broken: {}", why),
              "send it again, or uncompressed");
}

std::string from_zstd(std::string_view body, size_t limit) {
  const std::unique_ptr<ZSTD_DCtx, FreeStream> stream(ZSTD_createDCtx());
  std::string out;
  ZSTD_inBuffer in{body.data(), body.size(), 0};
  constexpr size_t piece = 128 << 10;
  for (size_t left = 1; left != 0 || in.pos < in.size;) {
    const size_t before = out.size();
    if (before > limit) {
      throw Error(Code::bad_request, fmt::format("the request body is larger than {} MB", limit / 1'000'000),
                  "send less at once");
    }
    out.resize(before + piece);
    ZSTD_outBuffer to{out.data() + before, piece, 0};
    left = ZSTD_decompressStream(stream.get(), &to, &in);
    if (ZSTD_isError(left) != 0) broken(ZSTD_getErrorName(left));
    out.resize(before + to.pos);
    if (left != 0 && in.pos == in.size && to.pos < piece) broken("it ends too early");
  }
  return out;
}

}  // namespace

std::string unpacked(std::string body, std::string_view encoding, size_t limit) {
  if (encoding.empty() || encoding == "identity") return body;
  if (encoding == "zstd") return from_zstd(body, limit);
  throw Error(Code::bad_request, fmt::format("Content-Encoding \"{}\" is not supported", encoding),
              "send the body uncompressed, or compressed with zstd");
}

}  // namespace hearth
