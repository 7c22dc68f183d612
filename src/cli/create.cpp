// hearth create: a Modelfile and the files it names become a model of a server.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "cli/api_client.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/transfer.h"
#include "store/digest.h"
#include "store/modelfile.h"

namespace hearth {
namespace {

namespace fs = std::filesystem;

struct CreateOptions {
  std::string model, file, quantize;
};

fs::path expanded(const std::string& text, const fs::path& base) {
  if (text == "~" || text.starts_with("~/")) {
    const char* home = std::getenv("HOME");
    return fs::path(home != nullptr ? home : "") / text.substr(std::min<size_t>(2, text.size()));
  }
  return base / text;
}

// What comes through a pipe: `-f -`, or `-f <(…)` of a shell. Read to its end, but no more than a Modelfile
// may be.
std::string read_pipe(const std::string& path) {
  constexpr size_t most = 16 << 20;
  std::ifstream in(path, std::ios::binary);
  std::string text(most + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || !in.eof()) {
    throw Error(Code::bad_request,
                fmt::format("{} is not a Modelfile: it cannot be read, or does not end within 16 MiB", path),
                "check what writes into it");
  }
  text.resize(static_cast<size_t>(in.gcount()));
  return text;
}

Modelfile read_modelfile(const CreateOptions& o) {
  if (o.file.empty() && !fs::exists("Modelfile")) return Modelfile::parse("FROM .");
  const std::string path = o.file.empty() ? "Modelfile" : o.file == "-" ? "/dev/stdin" : o.file;
  if (!fs::exists(path)) {
    throw Error(Code::not_found, fmt::format("no such file: {}", path), "check the path after -f");
  }
  const bool pipe = !fs::is_regular_file(path) && !fs::is_directory(path);
  return Modelfile::parse(pipe ? read_pipe(path) : read_file(path));
}

// Sends a file unless the server has it; its digest.
std::string upload(ApiClient& client, const fs::path& file, ProgressView& progress) {
  const Digest digest = digest_of_file(file);
  const std::string path = "/api/blobs/" + digest.text();
  if (client.head(path) == 200) return digest.text();
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw Error(Code::io, fmt::format("cannot read {}", file.string()), "check its permissions");
  HttpRequest::Upload bytes;
  bytes.size = fs::file_size(file);
  const std::string status = "copying file " + digest.text();
  bytes.read = [&](char* into, size_t room, uint64_t offset) {
    const ssize_t n = ::pread(fd, into, room, static_cast<off_t>(offset));
    progress.update(status, offset + static_cast<uint64_t>(std::max<ssize_t>(n, 0)), bytes.size);
    return n > 0 ? static_cast<size_t>(n) : 0;
  };
  try {
    client.upload(path, bytes);
  } catch (...) {
    ::close(fd);
    throw;
  }
  ::close(fd);
  return digest.text();
}

// Files of a path, or of a folder, by name.
void add_files(ApiClient& client, const fs::path& path, json::object& files, ProgressView& progress) {
  const std::vector<fs::path> all =
      fs::is_directory(path) ? files_of_folder(path) : std::vector<fs::path>{path};
  for (const fs::path& file : all) files[file.filename().string()] = upload(client, file, progress);
}

json::object order_of(ApiClient& client, const Modelfile& m, const fs::path& base, ProgressView& progress) {
  json::object order, files, adapters;
  for (const std::string& from : m.from) {
    const fs::path path = expanded(from, base);
    if (fs::exists(path)) {
      add_files(client, path, files, progress);
    } else {
      order["from"] = from;
    }
  }
  for (const std::string& adapter : m.adapters) {
    const fs::path path = expanded(adapter, base);
    if (!fs::exists(path))
      throw Error(Code::not_found, fmt::format("no such file: {}", path.string()), "check the ADAPTER line");
    add_files(client, path, adapters, progress);
  }
  if (!files.empty()) order["files"] = std::move(files);
  if (!adapters.empty()) order["adapters"] = std::move(adapters);
  if (m.prompt_template) order["template"] = *m.prompt_template;
  if (m.system) order["system"] = *m.system;
  if (!m.licenses.empty()) order["license"] = json::value_from(m.licenses);
  if (!m.renderer.empty()) order["renderer"] = m.renderer;
  if (!m.parser.empty()) order["parser"] = m.parser;
  if (!m.requires_version.empty()) order["requires"] = m.requires_version;
  std::vector<std::string> warnings;
  const json::object parameters = typed_parameters(m.parameters, warnings);
  for (const std::string& w : warnings) fmt::print(stderr, "Warning: {}\n", w);
  if (!parameters.empty()) order["parameters"] = parameters;
  json::array messages;
  for (const Modelfile::Message& msg : m.messages)
    messages.push_back({{"role", msg.role}, {"content", msg.content}});
  if (!messages.empty()) order["messages"] = std::move(messages);
  return order;
}

void create(const CreateOptions& o) {
  const Modelfile modelfile = read_modelfile(o);
  ApiClient client = ApiClient::connect();
  const fs::path base = fs::is_regular_file(o.file) ? fs::path(o.file).parent_path() : fs::path(".");
  json::object order;
  {
    ProgressView progress(STDERR_FILENO, ::isatty(STDERR_FILENO) != 0);
    order = order_of(client, modelfile, base, progress);
  }
  order["model"] = o.model;
  if (!o.quantize.empty()) order["quantize"] = o.quantize;
  follow_progress(client, "/api/create", order);
}

}  // namespace

void add_create(Arguments app) {
  auto o = std::make_shared<CreateOptions>();
  app.option("MODEL", o->model, "name of the new model").required();
  app.option("-f,--file", o->file,
             "the Modelfile (default: ./Modelfile, else FROM .); - reads standard input");
  app.option("-q,--quantize", o->quantize, "type of the weights: Q4_K_M, Q8_0 …");
  app.footer("Environment: OLLAMA_HOST");
  app.run([o] { create(*o); });
}

}  // namespace hearth
