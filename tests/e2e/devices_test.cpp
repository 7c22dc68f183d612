// What a server does about devices by itself: it probes, uses or refuses, says so, and remembers. The device
// is a fake module that computes on the processor.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "page.h"
#include "server_process.h"
#include "support/data.h"

namespace hearth {
namespace {

using testing::HasSubstr;
using testing::Not;
using Settings = std::map<std::string, std::string>;

class Devices : public testing::Test {
 protected:
  Devices()
      : folder_(std::filesystem::temp_directory_path() /
                ("hearth-devices-e2e-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_ / "modules");
    std::filesystem::create_symlink(test::build_dir() / "fakes/modules/libhearth-fake.so",
                                    folder_ / "modules/libhearth-vulkan.so");
  }
  ~Devices() override { std::filesystem::remove_all(folder_); }

  // Servers of one test share a cache of verdicts.
  Settings settings(Settings more) const {
    more.emplace("HEARTH_BACKENDS", (folder_ / "modules").string());
    more.emplace("XDG_CACHE_HOME", (folder_ / "cache").string());
    more.emplace("HEARTH_THREADS", "1");
    return more;
  }

  // The line about a device in /api/ps, once the server has looked; null where there is none.
  static Json line_of(const test::ServerProcess& server, const std::string& name) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (std::chrono::steady_clock::now() < end) {
      const Json body = server.send("GET", "/api/ps").body;
      const Json* devices = body.as_object().if_contains("devices");
      if (devices != nullptr) {
        for (const Json& d : devices->as_array()) {
          if (d.at("name").as_string() == name) return d;
        }
        return nullptr;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return nullptr;
  }

  static test::ServerProcess::Reply ask(const test::ServerProcess& server) {
    return server.send(
        "POST", "/api/generate",
        R"({"model":"ember","prompt":"What is 1 + 1?","stream":false,"options":{"num_predict":3}})");
  }

  std::filesystem::path folder_;
};

TEST_F(Devices, OneThatPassesItsProbeIsUsedAndRemembered) {
  {
    const test::ServerProcess server("devices-used", settings({}));
    const Json line = line_of(server, "vulkan0");
    ASSERT_TRUE(line.is_object()) << server.log();
    EXPECT_EQ(line.at("use").as_string(), "used") << json::serialize(line);
    EXPECT_THAT(server.log(), HasSubstr("looking at the devices"));
    EXPECT_THAT(server.log(), HasSubstr("device vulkan0"));
    const auto reply = ask(server);
    ASSERT_EQ(reply.status, 200) << reply.text << server.log();
    const Json ps = server.send("GET", "/api/ps").body;
    const Json& model = ps.at("models").at(0);
    EXPECT_EQ(model.at("device").as_string(), "vulkan0") << json::serialize(model);
    EXPECT_GT(model.at("size_vram").to_number<uint64_t>(), 0U);
    EXPECT_FALSE(ps.as_object().contains("idle_gpus")) << json::serialize(ps);
    EXPECT_THAT(server.run("ps").out, HasSubstr("GPU"));
  }
  const test::ServerProcess again("devices-again", settings({}));
  EXPECT_EQ(line_of(again, "vulkan0").at("use").as_string(), "used");
  EXPECT_THAT(again.log(), Not(HasSubstr("looking at the devices"))) << "the verdict was kept";
}

TEST_F(Devices, OneThatFailsIsRefusedAndSaid) {
  for (const auto& [fault, why] :
       {std::pair{"open=crash", "died by signal 11"}, std::pair{"results=wrong", "matmul F16 is wrong"},
        std::pair{"devices=exit", ""}}) {
    const test::ServerProcess server(
        "devices-refused",
        settings({{"HEARTH_FAKE", fault}, {"XDG_CACHE_HOME", (folder_ / fault).string()}}));
    const Json line = line_of(server, "vulkan0");
    const auto reply = ask(server);
    EXPECT_EQ(reply.status, 200) << fault << reply.text << server.log();
    const Json ps = server.send("GET", "/api/ps").body;
    EXPECT_EQ(ps.at("models").at(0).at("device").as_string(), "cpu") << fault;
    if (std::string(why).empty()) continue;  // nothing is known of a device that was never listed
    ASSERT_TRUE(line.is_object()) << fault << server.log();
    EXPECT_EQ(line.at("use").as_string(), "refused") << json::serialize(line);
    EXPECT_THAT(std::string(line.at("why").as_string()), HasSubstr(why));
    ASSERT_TRUE(ps.as_object().contains("idle_gpus")) << json::serialize(ps);
    EXPECT_THAT(json::serialize(ps.at("idle_gpus")), HasSubstr("is not used"));
    EXPECT_THAT(server.log(), HasSubstr("is not used"));
    EXPECT_THAT(server.run("ps").err, HasSubstr("is not used"));
  }
}

TEST_F(Devices, ThePageSaysWhichIsNotUsedAndWhy) {
  if (const std::string why = test::no_browser(); !why.empty()) GTEST_SKIP() << why;
  const test::ServerProcess server("devices-page", settings({{"HEARTH_FAKE", "results=wrong"}}));
  ASSERT_TRUE(line_of(server, "vulkan0").is_object()) << server.log();
  ASSERT_EQ(ask(server).status, 200);
  EXPECT_EQ(test::test_page(server, "HEARTH_IDLE_GPU='matmul F16 is wrong'", "not used"), "");
}

// Each kind of attention named here comes out wrong for every size of heads but 128.
std::string wrong_attention(const std::vector<std::string>& kinds) {
  std::string faults;
  for (const std::string& kind : kinds) {
    for (const char* size : {"32", "64", "80", "96", "112", "192", "256"})
      faults += std::string(faults.empty() ? "" : ",") + kind + "_d" + size + "_f16=wrong";
  }
  return faults;
}

// Both kinds of attention came out wrong: layers with such heads are computed elsewhere.
TEST_F(Devices, WhatCameOutWrongIsComputedOnTheProcessor) {
  const test::ServerProcess server(
      "devices-variant", settings({{"HEARTH_FAKE", wrong_attention({"attend", "attend-two-pass"})}}));
  const Json line = line_of(server, "vulkan0");
  ASSERT_TRUE(line.is_object()) << server.log();
  EXPECT_EQ(line.at("use").as_string(), "used") << json::serialize(line);
  const auto reply = ask(server);
  ASSERT_EQ(reply.status, 200) << reply.text << server.log();
  const Json ps = server.send("GET", "/api/ps").body;
  for (const Json& buffer : ps.at("models").at(0).at("buffers").as_array()) {
    if (buffer.at("kind").as_string() == "kv" && buffer.at("bytes").to_number<uint64_t>() > 0) {
      EXPECT_EQ(buffer.at("device").as_string(), "cpu") << "ember has heads of 32";
    }
  }
}

// A running softmax came out wrong and two passes right: the model stays on the device, and it is said.
TEST_F(Devices, TwoPassesKeepAModelWhereARunningSoftmaxFails) {
  const test::ServerProcess server("devices-two-passes",
                                   settings({{"HEARTH_FAKE", wrong_attention({"attend"})}}));
  ASSERT_TRUE(line_of(server, "vulkan0").is_object()) << server.log();
  const auto reply = ask(server);
  ASSERT_EQ(reply.status, 200) << reply.text << server.log();
  const Json ps = server.send("GET", "/api/ps").body;
  const Json& model = ps.at("models").at(0);
  EXPECT_EQ(model.at("device").as_string(), "vulkan0") << json::serialize(model);
  EXPECT_THAT(json::serialize(model.at("notes")), HasSubstr("attention takes two passes")) << server.log();
  for (const Json& buffer : model.at("buffers").as_array()) {
    if (buffer.at("kind").as_string() == "kv" && buffer.at("bytes").to_number<uint64_t>() > 0) {
      EXPECT_EQ(buffer.at("device").as_string(), "vulkan0");
    }
  }
}

TEST_F(Devices, AServerAnswersWhileItLooks) {
  const test::ServerProcess server("devices-slow", settings({{"HEARTH_FAKE", "open=hang"}}));
  EXPECT_EQ(server.send("GET", "/").text, "Ollama is running");
  EXPECT_EQ(server.send("GET", "/api/tags").status, 200);
}

}  // namespace
}  // namespace hearth
