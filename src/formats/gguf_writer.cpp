#include "formats/gguf_writer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "formats/gguf_parser.h"
#include "formats/output_file.h"

namespace hearth {
namespace {

template <class T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_string(std::string& out, std::string_view text) {
  append(out, static_cast<uint64_t>(text.size()));
  out.append(text);
}

[[noreturn]] void fail(const std::string& name, const char* doing) {
  throw Error(Code::io, fmt::format("cannot {} {}: {}", doing, name, std::strerror(errno)),
              "check the disk's free space and the folder's permissions");
}

}  // namespace

void GgufWriter::key(const std::string& key, GgufType type) {
  append_string(metadata_, key);
  append(metadata_, static_cast<uint32_t>(type));
  ++entries_;
}

void GgufWriter::put(const std::string& name, GgufType type, uint64_t value) {
  key(name, type);
  metadata_.append(reinterpret_cast<const char*>(&value), element_bytes(type));
}
void GgufWriter::put(const std::string& name, double value, bool wide) {
  key(name, wide ? GgufType::f64 : GgufType::f32);
  if (wide) {
    append(metadata_, value);
  } else {
    append(metadata_, static_cast<float>(value));
  }
}
void GgufWriter::put(const std::string& name, bool value) {
  key(name, GgufType::boolean);
  append(metadata_, static_cast<uint8_t>(value ? 1 : 0));
}
void GgufWriter::put(const std::string& name, std::string_view value) {
  key(name, GgufType::string);
  append_string(metadata_, value);
}
void GgufWriter::put_array(const std::string& name, GgufType element, uint64_t count,
                           std::string_view bytes) {
  key(name, GgufType::array);
  append(metadata_, static_cast<uint32_t>(element));
  append(metadata_, count);
  metadata_.append(bytes);
}
void GgufWriter::put(const std::string& name, const std::vector<std::string>& values) {
  std::string bytes;
  for (const std::string& s : values) append_string(bytes, s);
  put_array(name, GgufType::string, values.size(), bytes);
}
void GgufWriter::put(const std::string& name, const std::vector<int32_t>& values) {
  put_array(name, GgufType::i32, values.size(),
            {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(int32_t)});
}
void GgufWriter::put(const std::string& name, const std::vector<float>& values) {
  put_array(name, GgufType::f32, values.size(),
            {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
}

void GgufWriter::put(const std::string& name, const MetadataValue& v) {
  if (const auto* n = std::get_if<uint64_t>(&v.value)) return put(name, v.type, *n);
  if (const auto* n = std::get_if<int64_t>(&v.value)) return put(name, v.type, static_cast<uint64_t>(*n));
  if (const auto* x = std::get_if<double>(&v.value)) return put(name, *x, v.type == GgufType::f64);
  if (const auto* b = std::get_if<bool>(&v.value)) return put(name, *b);
  if (const auto* s = std::get_if<std::string_view>(&v.value)) return put(name, *s);
  const auto& a = std::get<GgufArray>(v.value);
  put_array(name, a.element, a.count, {reinterpret_cast<const char*>(a.data.data()), a.data.size()});
}

void GgufWriter::add(const std::string& name, DType type, std::vector<uint64_t> dims, Fill fill) {
  uint64_t rows = 1;
  for (size_t i = 1; i < dims.size(); ++i) rows *= dims[i];
  const auto row = row_bytes(type, dims.at(0));
  if (!row) {
    throw Error(Code::bad_request,
                fmt::format("tensor '{}': {} values are no whole number of {} blocks", name, dims[0],
                            type_info(type).name),
                "use another type for this tensor");
  }
  tensors_.push_back({name, type, std::move(dims), std::move(fill), *row * rows});
}

std::string GgufWriter::header() const {
  std::string out = "GGUF";
  append(out, version_);
  append(out, static_cast<uint64_t>(tensors_.size()));
  append(out, entries_);
  out += metadata_;
  uint64_t offset = 0;
  for (const Tensor& t : tensors_) {
    append_string(out, t.name);
    append(out, static_cast<uint32_t>(t.dims.size()));
    for (const uint64_t d : t.dims) append(out, d);
    append(out, static_cast<uint32_t>(t.type));
    append(out, offset);
    offset = align_up(offset + t.bytes, alignment_);
  }
  if (!tensors_.empty()) out.resize(align_up(out.size(), alignment_));
  return out;
}

uint64_t GgufWriter::file_bytes() const {
  uint64_t bytes = header().size();
  for (const Tensor& t : tensors_) bytes += align_up(t.bytes, alignment_);
  return bytes;
}

std::vector<GgufWriter::Placed> GgufWriter::placed() const {
  std::vector<Placed> all;
  uint64_t at = header().size();
  for (const Tensor& t : tensors_) {
    all.push_back({&t.fill, at, t.bytes, type_info(t.type).block_bytes});
    at += align_up(t.bytes, alignment_);
  }
  return all;
}

std::vector<std::byte> GgufWriter::image() const {
  const std::string head = header();
  std::vector<std::byte> out(file_bytes());
  std::memcpy(out.data(), head.data(), head.size());
  uint64_t at = head.size();
  for (const Tensor& t : tensors_) {
    t.fill(0, std::span(out).subspan(at, t.bytes));
    at += align_up(t.bytes, alignment_);
  }
  return out;
}

void GgufWriter::write(const std::filesystem::path& path) const {
  OutputFile file(path);
  write(file.fd(), path.string());
  file.commit();
}

void GgufWriter::write(int fd, const std::string& name) const {
  const auto put_bytes = [&](const void* data, size_t size) {
    const char* at = static_cast<const char*>(data);
    while (size > 0) {
      const ssize_t done = ::write(fd, at, size);
      if (done < 0 && errno == EINTR) continue;
      if (done <= 0) fail(name, "write");
      at += done;
      size -= static_cast<size_t>(done);
    }
  };
  const std::string head = header();
  put_bytes(head.data(), head.size());
  std::vector<std::byte> buffer;
  for (const Tensor& t : tensors_) {
    const uint64_t block = type_info(t.type).block_bytes, piece = (4U << 20) / block * block;
    for (uint64_t first = 0; first < t.bytes; first += piece) {
      buffer.resize(std::min(piece, t.bytes - first));
      t.fill(first, buffer);
      put_bytes(buffer.data(), buffer.size());
    }
    const std::string padding(align_up(t.bytes, alignment_) - t.bytes, '\0');
    put_bytes(padding.data(), padding.size());
  }
}

}  // namespace hearth
