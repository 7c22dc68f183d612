#include "hardware/errno_names.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <charconv>

namespace hearth {
namespace {

struct Name {
  int error;
  std::string_view name;
};
constexpr std::array names{
    Name{EPERM, "EPERM"},   Name{ENOENT, "ENOENT"},         Name{EIO, "EIO"},       Name{ENXIO, "ENXIO"},
    Name{EAGAIN, "EAGAIN"}, Name{ENOMEM, "ENOMEM"},         Name{EACCES, "EACCES"}, Name{EBUSY, "EBUSY"},
    Name{ENODEV, "ENODEV"}, Name{ENOTDIR, "ENOTDIR"},       Name{EISDIR, "EISDIR"}, Name{EINVAL, "EINVAL"},
    Name{EMFILE, "EMFILE"}, Name{EROFS, "EROFS"},           Name{ELOOP, "ELOOP"},   Name{ENODATA, "ENODATA"},
    Name{ENOSYS, "ENOSYS"}, Name{EOPNOTSUPP, "EOPNOTSUPP"},
};

}  // namespace

std::string errno_name(int error) {
  for (const Name& n : names) {
    if (n.error == error) return std::string(n.name);
  }
  return fmt::format("E{}", error);
}

int errno_named(std::string_view name) noexcept {
  for (const Name& n : names) {
    if (n.name == name) return n.error;
  }
  int value = 0;
  if (name.size() < 2 || name.front() != 'E') return 0;
  const char* end = name.data() + name.size();
  const auto result = std::from_chars(name.data() + 1, end, value);
  return result.ec == std::errc() && result.ptr == end && value > 0 ? value : 0;
}

}  // namespace hearth
