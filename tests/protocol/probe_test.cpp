#include "protocol/probe.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace hearth {
namespace {

TEST(ProbeMessages, AQuestionTravels) {
  ProbeQuestion q;
  q.backend = "vulkan";
  q.list = true;
  q.device = "vulkan1";
  q.key = "0000:03:00.0";
  q.folders = "/a:/b";
  q.cpu_set = "avx2";
  q.threads = 3;
  q.skip = {"attend d64 f16"};
  q.driver_folders = {"/opt/driver"};
  q.own_libraries_only = true;
  q.sweep_bytes = 1 << 20;
  q.seconds = 1.5;
  const ProbeQuestion back = decode_question(encode(q));
  EXPECT_EQ(encode(back), encode(q));
  EXPECT_EQ(back.skip, q.skip);
  EXPECT_EQ(back.seconds, 1.5);
  EXPECT_THROW(decode_question(json::object{{"backend", 7}}), Error);
}

TEST(ProbeMessages, AReportTravelsWithDevicesAndVerdict) {
  ProbeReport r;
  r.verdict.backend = "vulkan";
  r.verdict.phase = "enumerate";
  r.devices.resize(2);
  r.devices[1].device = "vulkan1";
  r.done = true;
  const ProbeReport back = decode_report(encode(r));
  EXPECT_EQ(encode(back), encode(r));
  ASSERT_EQ(back.devices.size(), 2U);
  EXPECT_EQ(back.devices[1].device, "vulkan1");
  for (const char* hostile : {"7", "{}", R"({"verdict":7,"done":true})", R"({"verdict":{},"done":1})",
                              R"({"verdict":{"outcome":"odd"},"done":true})"}) {
    EXPECT_THROW(decode_report(json::parse(hostile)), Error) << hostile;
  }
}

}  // namespace
}  // namespace hearth
