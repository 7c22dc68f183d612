#pragma once

#include <string>
#include <string_view>

namespace hearth {

// A body as its Content-Encoding packs it, unpacked: "zstd", or none. Throws Error(bad_request) for other
// encodings, for broken bodies, and for those that would be larger than `limit` bytes.
std::string unpacked(std::string body, std::string_view encoding, size_t limit);

}  // namespace hearth
