#include "protocol/frames.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "protocol/messages.h"

namespace hearth {
namespace {

TEST(Frames, AStreamMayBeCutAnywhere) {
  std::string stream;
  for (int i = 0; i < 50; ++i) stream += frame_of({{"n", i}, {"filling", std::string(i, 'x')}});
  for (const size_t piece : {size_t{1}, size_t{3}, size_t{7}, size_t{64}, stream.size()}) {
    FrameReader reader;
    int next = 0;
    for (size_t at = 0; at < stream.size(); at += piece) {
      reader.append(std::string_view(stream).substr(at, piece));
      while (const auto message = reader.next()) EXPECT_EQ(message->at("n").as_int64(), next++);
    }
    EXPECT_EQ(next, 50);
    EXPECT_FALSE(reader.next());
  }
}

TEST(Frames, WhatIsNoMessageIsAnError) {
  using namespace std::string_view_literals;
  std::string deep("\x58\x02\0\0"sv);
  deep += std::string(300, '[') + std::string(300, ']');
  for (const std::string_view bytes :
       {"\xff\xff\xff\xff"sv, "\2\0\0\0{x"sv, "\0\0\0\0"sv, std::string_view(deep)}) {
    FrameReader reader;
    reader.append(bytes);
    EXPECT_THROW(reader.next(), Error);
  }
  FrameReader empty;
  EXPECT_FALSE(empty.next());
}

TEST(Frames, AMessageWithoutEndIsRefused) {
  EXPECT_THROW(frame_of(Json(std::string((size_t{256} << 20) + 1, 'x'))), Error);
}

TEST(Frames, SignsOfLifeTravel) {
  EXPECT_TRUE(std::holds_alternative<to_child::Ping>(decode_to_child(encode(ToChild(to_child::Ping{})))));
  EXPECT_TRUE(
      std::holds_alternative<from_child::Pong>(decode_from_child(encode(FromChild(from_child::Pong{})))));
}

}  // namespace
}  // namespace hearth
