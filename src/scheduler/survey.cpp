#include "scheduler/survey.h"

#include <fmt/format.h>

#include <functional>

#include "base/error.h"
#include "base/file.h"
#include "base/subprocess.h"
#include "protocol/channel.h"

namespace hearth {
namespace {

namespace fs = std::filesystem;

// A file that changes whenever the program does.
std::string build_mark() {
  std::error_code ignored;
  const auto time = fs::last_write_time("/proc/self/exe", ignored).time_since_epoch().count();
  return fmt::format("{}-{}", fs::file_size("/proc/self/exe", ignored), time);
}

// What an answer depends on. Figures of the moment (free memory) are not among it.
std::string key_of(const LoadRequest& request) {
  LoadRequest asked = request;
  asked.wish.context = 0;
  asked.budgets.clear();
  std::error_code none;
  const auto size = request.path.empty() ? 0 : fs::file_size(request.path, none);
  const auto time =
      request.path.empty() ? 0 : fs::last_write_time(request.path, none).time_since_epoch().count();
  return fmt::format("{} {} {} {}", json::serialize(encode(ToChild(to_child::Survey{asked}))), size, time,
                     build_mark());
}

}  // namespace

from_child::Surveyed survey_in_child(const to_child::Survey& survey, std::chrono::milliseconds patience) {
  Subprocess child("internal-worker");
  Channel channel(child.socket());
  channel.send(encode(ToChild(survey)));
  const Channel::Received got = channel.receive(static_cast<int>(patience.count()));
  if (got.state != Channel::State::message) {
    child.kill();
    throw Error(Code::corrupt_file,
                fmt::format("{} could not be read: the reader {}",
                            survey.headers.empty() ? survey.request.path : survey.headers.front().path,
                            child.wait_and_describe()),
                "get the file again");
  }
  FromChild answer = decode_from_child(got.message);
  if (const auto* failed = std::get_if<from_child::Failed>(&answer))
    throw Error(failed->code, failed->message, failed->remedy);
  return std::get<from_child::Surveyed>(std::move(answer));
}

std::vector<DeviceBudget> device_budgets(const LoadRequest& request, uint64_t overhead) {
  LoadRequest built_in = request;
  built_in.path.clear();
  auto budgets = survey_in_child({built_in, {}}).budgets;
  for (DeviceBudget& b : budgets) {
    b.resident.clear();
    b.workspace.clear();
    b.refusals.clear();
    if (b.maps_weights) {
      b.usable = b.mapped_limit = 0;  // the system is asked each time
    } else {
      b.overhead += overhead;
    }
  }
  return budgets;
}

from_child::Surveyed SurveyCache::ask(const LoadRequest& request) const {
  const std::string key = key_of(request);
  const fs::path kept = folder_ / fmt::format("{:016x}.json", std::hash<std::string>{}(key));
  try {
    const Json known = json::parse(read_file(kept));
    if (known.at("key").as_string() == key)
      return std::get<from_child::Surveyed>(decode_from_child(known.at("answer")));
  } catch (const std::exception&) {  // not there, or of another build: asked anew
  }
  auto answer = survey_in_child({request, {}});
  try {
    fs::create_directories(folder_);
    write_file_atomic(kept,
                      json::serialize(json::object{{"key", key}, {"answer", encode(FromChild(answer))}}));
  } catch (const std::exception&) {  // a folder that cannot be written costs a question the next time
  }
  return answer;
}

}  // namespace hearth
